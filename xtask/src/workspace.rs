//! Where things are: the checkout, and what xtask puts under its `target` folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::process;

/// The checkout that xtask works on.
pub(crate) struct Workspace {
    root: PathBuf,
    commit: String,
}

impl Workspace {
    /// Finds the checkout from the manifest folder that `cargo run` reports.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("start xtask through `cargo xtask`")?;
        let root = Path::new(&manifest).parent().context("find the folder above xtask")?.to_owned();
        let commit = commit(&root);
        Ok(Self { root, commit })
    }

    /// The folder of the root manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The commit that binaries report; ends with `-dirty` when the tree differs.
    pub(crate) fn commit(&self) -> &str {
        &self.commit
    }

    /// A path in the checkout.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The folder of all build output.
    pub(crate) fn target(&self) -> PathBuf {
        self.path("target")
    }

    /// The folder of finished binaries and plugins.
    pub(crate) fn dist(&self) -> PathBuf {
        self.path("target/dist")
    }

    /// The folder of tools that xtask fetched itself.
    pub(crate) fn tools(&self) -> PathBuf {
        self.path("target/tools")
    }

    /// A cargo call in the checkout. Every call carries the same environment, so that none rebuilds what
    /// another built.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(args).current_dir(&self.root).env("DETECTVIZ_COMMIT", &self.commit);
        command.env("CARGO_TARGET_DIR", self.target());
        command
    }

    /// A git call in the checkout.
    pub(crate) fn git(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(args).current_dir(&self.root);
        command
    }

    /// Every file that is tracked, or new and not ignored, with `/` separators relative to the root.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<String>> {
        let listed =
            process::quiet(&mut self.git(&["ls-files", "--cached", "--others", "--exclude-standard"]))
                .context("list the files of the checkout")?;
        let mut files: Vec<String> =
            listed.lines().filter(|file| self.path(file).is_file()).map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// The commit that binaries report: 12 digits, `-dirty` when the tree differs, `unknown` without git.
fn commit(root: &Path) -> String {
    let git = |args: &[&str]| process::quiet(Command::new("git").args(args).current_dir(root));
    let Ok(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let clean =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_ok_and(|changes| changes.is_empty());
    format!("{}{}", commit.trim(), if clean { "" } else { "-dirty" })
}
