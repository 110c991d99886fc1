//! The oldest kubectl that the server supports, out of Debian's package of it: unpacked, not installed, so that no root
//! is needed and the machine's own kubectl stays as it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::workspace::Workspace;
use crate::{build, process};

/// The package, which Debian 12 has in this line.
const PACKAGE: &str = "kubernetes-client";
const LINE: &str = "v1.20.";

/// Finds a kubectl of the old line, fetching it where that is needed; the error says what is missing.
///
/// `XTASK_KUBECTL_OLD` always wins, then `target/tools/kubectl-old`, then a kubectl on `PATH` that is of this line.
pub(crate) fn old_kubectl(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("XTASK_KUBECTL_OLD").map(PathBuf::from) {
        ensure!(is_old(&path), "XTASK_KUBECTL_OLD names {}, which is no kubectl {LINE}x", path.display());
        return std::path::absolute(&path).context("make the path of the old kubectl absolute");
    }
    let fetched = workspace.tools().join("kubectl-old");
    let mut installed = [Some(fetched.clone()), process::which("kubectl")].into_iter().flatten();
    match installed.find(|path| is_old(path)) {
        Some(path) => Ok(path),
        None => fetch(workspace, &fetched).with_context(|| {
            format!(
                "fetch kubectl {LINE}x: name one in XTASK_KUBECTL_OLD, or run where apt-get knows Debian 12's \
                 {PACKAGE} (after `apt-get update`)"
            )
        }),
    }
}

fn is_old(binary: &Path) -> bool {
    binary.is_file()
        && process::quiet(Command::new(binary).args(["version", "--client"]))
            .is_ok_and(|printed| printed.contains(LINE))
}

/// Downloads the package and unpacks kubectl to `binary`.
fn fetch(workspace: &Workspace, binary: &Path) -> anyhow::Result<PathBuf> {
    let (apt, dpkg) = (process::which("apt-get"), process::which("dpkg"));
    let (apt, dpkg) = apt.zip(dpkg).context("find apt-get and dpkg")?;
    let folder = workspace.tools().join("deb");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("clear the download folder")?;
    }
    std::fs::create_dir_all(&folder).context("create the download folder")?;
    let download =
        || process::run(Command::new(&apt).args(["--quiet", "download", PACKAGE]).current_dir(&folder));
    // A machine that was just set up has no package lists yet, and only root may fetch them.
    download().or_else(|_| {
        process::run(Command::new(&apt).args(["--quiet", "update"])).and_then(|()| download())
    })?;
    let package = super::find(&folder, &|path| path.extension() == Some(OsStr::new("deb")));
    let package = package.context("find the downloaded package")?;
    process::run(Command::new(&dpkg).arg("--extract").arg(&package).arg(&folder))?;
    let unpacked = super::find(&folder, &|path| path.ends_with("usr/bin/kubectl") && path.is_file());
    let unpacked = unpacked.context("find kubectl in the package")?;
    if !is_old(&unpacked) {
        bail!("{PACKAGE} of this system is of another line");
    }
    build::place(&unpacked, binary)?;
    std::fs::remove_dir_all(&folder).context("clear the download folder")?;
    Ok(binary.to_owned())
}
