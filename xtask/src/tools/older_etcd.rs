//! An etcd of an older line, which asks for other ways of the store than the current one that the tests bring as a crate.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::find;
use crate::process;
use crate::workspace::Workspace;

/// Where etcd is in Debian's package.
const UNPACKED_ETCD: &str = "usr/bin/etcd";

/// Finds it: an installed one, or Debian's, which is unpacked and not
/// installed. Tests that are about older lines run with the current one where there is none.
pub(crate) fn older_etcd(workspace: &Workspace) -> Option<PathBuf> {
    let folder = workspace.tools().join("etcd");
    let named = std::env::var_os("XTASK_ETCD").map(PathBuf::from);
    let unpacked = || Some(folder.join(UNPACKED_ETCD)).filter(|path| path.is_file());
    if let Some(found) = named.or_else(|| process::which("etcd")).or_else(unpacked) {
        return Some(found);
    }
    if let Err(error) = unpack_etcd(&folder) {
        eprintln!(
            "note: no older etcd to test with: {error:#}; put one on PATH (Debian's package: etcd-server)"
        );
    }
    unpacked()
}

fn unpack_etcd(folder: &Path) -> anyhow::Result<()> {
    let apt = process::which("apt-get").context("find apt-get, which fetches Debian's")?;
    std::fs::create_dir_all(folder).context("make the download folder")?;
    process::run(Command::new(apt).args(["download", "--quiet", "etcd-server"]).current_dir(folder))?;
    let package =
        find(folder, &|path| path.extension() == Some(OsStr::new("deb"))).context("find the package")?;
    process::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder))
}
