//! An edition is a package: one cargo call each, since features unify within a call, then one copy.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use crate::process;
use crate::workspace::Workspace;

/// One edition of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Edition {
    /// The API server alone, with noop runners
    Oss,
    /// The API server with the aggregator and the dataplane
    Enterprise,
}

impl Edition {
    /// Every edition, in the order they are built.
    pub(crate) const ALL: [Self; 2] = [Self::Oss, Self::Enterprise];

    /// The edition's name in paths and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oss => "oss",
            Self::Enterprise => "enterprise",
        }
    }

    /// The edition's package, which is its binary's name too.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Oss => "detectviz-oss",
            Self::Enterprise => "detectviz-enterprise",
        }
    }

    /// The finished binary.
    pub(crate) fn binary(self, workspace: &Workspace) -> PathBuf {
        workspace.dist().join(self.name()).join("detectviz")
    }
}

/// What `--edition` takes where several make sense.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Selection {
    /// Only the OSS edition
    Oss,
    /// Only the enterprise edition
    Enterprise,
    /// Every edition
    #[default]
    All,
}

impl Selection {
    /// The editions that are meant.
    pub(crate) fn editions(self) -> Vec<Edition> {
        match self {
            Self::Oss => vec![Edition::Oss],
            Self::Enterprise => vec![Edition::Enterprise],
            Self::All => Edition::ALL.to_vec(),
        }
    }
}

/// How cargo optimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Profile {
    /// The profile's folder under `target`.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Debug => &[],
            Self::Release => &["--release"],
        }
    }
}

/// `cargo xtask build`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to build
    #[arg(long, value_enum, default_value_t)]
    edition: Selection,
    /// Build with optimisations
    #[arg(long)]
    release: bool,
    /// Build the enterprise edition with only these runners, such as `aggregator` (an empty list: none)
    #[arg(long, value_delimiter = ',', num_args = 0..)]
    features: Option<Vec<String>>,
}

/// Builds the selected editions and prints where they are.
pub(crate) fn build(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    let profile = if args.release { Profile::Release } else { Profile::Debug };
    for edition in args.edition.editions() {
        let features = args.features.as_deref().filter(|_| edition == Edition::Enterprise);
        println!("{}", edition_binary(workspace, edition, profile, features)?.display());
    }
    Ok(())
}

/// Builds one edition and copies it to its place under `target/dist`. `features` replaces the defaults.
pub(crate) fn edition_binary(
    workspace: &Workspace,
    edition: Edition,
    profile: Profile,
    features: Option<&[String]>,
) -> anyhow::Result<PathBuf> {
    let mut cargo = workspace.cargo(&["build", "--package", edition.package()]);
    cargo.args(profile.flags());
    if let Some(features) = features {
        cargo.args(["--no-default-features", "--features", &features.join(",")]);
    }
    process::run(&mut cargo)?;
    let built = workspace.target().join(profile.folder()).join(edition.package());
    let placed = edition.binary(workspace);
    place(&built, &placed)?;
    Ok(placed)
}

/// What the suites load into the server to make its disk fail; Linux alone can.
pub(crate) const FAULTY_DISK: [&str; 2] = ["--package", "detectviz-faulty-disk"];

/// The examples, as cargo selects them.
pub(crate) const EXAMPLES: [&str; 4] =
    ["--package", "extension-apiserver", "--package", "host-metrics-plugin"];

/// Builds both examples and returns the folder of their binaries.
pub(crate) fn examples(workspace: &Workspace, profile: Profile) -> anyhow::Result<PathBuf> {
    let mut cargo = workspace.cargo(&["build"]);
    process::run(cargo.args(EXAMPLES).args(profile.flags()))?;
    Ok(workspace.target().join(profile.folder()))
}

/// Builds the library that makes a disk fail, beside the examples.
pub(crate) fn faulty_disk(workspace: &Workspace) -> anyhow::Result<()> {
    process::run(workspace.cargo(&["build"]).args(FAULTY_DISK))
}

/// Copies a file by an atomic rename, so that a binary that runs now stays whole.
pub(crate) fn place(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().context("place a file at the root folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let partial = to.with_extension(format!("{}.partial", std::process::id()));
    std::fs::copy(from, &partial).with_context(|| format!("copy {}", from.display()))?;
    std::fs::rename(&partial, to).with_context(|| format!("put {} in place", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placing_replaces_the_old_file_and_leaves_nothing_beside_it() {
        let folder = std::env::temp_dir().join(format!("xtask-place-{}", std::process::id()));
        let (from, to) = (folder.join("built"), folder.join("dist/detectviz"));
        std::fs::create_dir_all(&folder).unwrap();
        for content in ["one", "two"] {
            std::fs::write(&from, content).unwrap();
            place(&from, &to).unwrap();
            assert_eq!(std::fs::read_to_string(&to).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(folder.join("dist")).unwrap().count(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
