//! nginx, a server that is not ours, for the tests of what stands in front of others: an installed one, or Debian's, which
//! is unpacked and not installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::find;
use crate::process;
use crate::workspace::Workspace;

/// Where nginx is in Debian's package.
const UNPACKED: &str = "usr/sbin/nginx";
/// Where distributions put it, which is not on everybody's path.
const INSTALLED: [&str; 2] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];

/// Finds it; `None` where there is none and none can be fetched.
pub(crate) fn nginx(workspace: &Workspace) -> Option<PathBuf> {
    let folder = workspace.tools().join("nginx");
    let named = std::env::var_os("XTASK_NGINX").map(PathBuf::from);
    let installed = || INSTALLED.iter().map(PathBuf::from).find(|path| path.is_file());
    let unpacked = || Some(folder.join(UNPACKED)).filter(|path| path.is_file());
    let found = named.or_else(|| process::which("nginx")).or_else(installed).or_else(unpacked);
    if found.is_some() {
        return found;
    }
    if let Err(error) = unpack(&folder) {
        eprintln!("note: no nginx to test with: {error:#}; put one on PATH (Debian's package: nginx)");
    }
    unpacked()
}

fn unpack(folder: &Path) -> anyhow::Result<()> {
    let apt = process::which("apt-get").context("find apt-get, which fetches Debian's")?;
    std::fs::create_dir_all(folder).context("make the download folder")?;
    let download =
        || process::run(Command::new(&apt).args(["--quiet", "download", "nginx"]).current_dir(folder));
    // A machine that was just set up has no package lists yet, and only root may fetch them.
    download().or_else(|_| {
        process::run(Command::new(&apt).args(["--quiet", "update"])).and_then(|()| download())
    })?;
    let package =
        find(folder, &|path| path.extension() == Some(OsStr::new("deb"))).context("find the package")?;
    process::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder))
}
