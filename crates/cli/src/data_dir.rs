//! The data folder: one server at a time, of one format.

use anyhow::{Context, bail};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the folder's `format` file says.
const FORMAT: &str = "detectviz-data 1\n";

/// The data folder, locked until dropped.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens the folder, or makes it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
            format!("make the data folder {}; choose another with --data-dir", path.display())
        })?;
        let lock = lock(&path.join("lock"))?;
        check_format(&path.join("format"))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where the embedded store is.
    pub(crate) fn store(&self) -> PathBuf {
        store(&self.path)
    }

    /// Where the administrator's kubeconfig is.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.path.join("admin.kubeconfig")
    }
}

/// Where the embedded store of a data folder is.
pub(crate) fn store(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = open.with_context(|| format!("open {}; is the data folder writable?", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "lock {}: another process uses this data folder; stop it, or choose another with --data-dir",
                path.display()
            )
        }
        Err(TryLockError::Error(fault)) => Err(fault).with_context(|| format!("lock {}", path.display())),
    }
}

fn check_format(path: &Path) -> anyhow::Result<()> {
    match std::fs::read_to_string(path) {
        Ok(found) if found == FORMAT => Ok(()),
        Ok(found) => bail!(
            "read {}: format {:?} is not known to this version, which knows {:?}",
            path.display(),
            found.trim(),
            FORMAT.trim()
        ),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
            detectviz_server::pki::write_atomically(path, FORMAT.as_bytes(), detectviz_server::pki::PUBLIC)
                .with_context(|| format!("write {}", path.display()))
        }
        Err(fault) => Err(fault).with_context(|| format!("read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_once_at_a_time_and_keeps_its_format() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        let second = DataDir::open(dir.path()).err().unwrap().to_string();
        assert!(second.contains("another process uses this data folder"), "{second}");
        drop(first);
        DataDir::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("format"), "detectviz-data 9\n").unwrap();
        let unknown = DataDir::open(dir.path()).err().unwrap().to_string();
        assert!(unknown.contains("\"detectviz-data 9\" is not known"), "{unknown}");
    }
}
