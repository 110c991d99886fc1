//! Where a plugin puts its socket: a folder of its own that nobody else may enter, with a path that fits a socket's.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A socket's path may have 107 bytes at most on Linux, 103 elsewhere.
const MAX_PATH_BYTES: usize = 100;
/// `/plugin` and the digits behind it.
const NAME_BYTES: usize = 32;
/// Names to try for a temporary folder; any that exists is not ours.
const ATTEMPTS: u32 = 100;

/// The folder; left-over sockets go with it, and so does the folder when it is a temporary one.
#[derive(Debug)]
pub(crate) struct SocketDir {
    path: PathBuf,
    temporary: bool,
}

impl SocketDir {
    /// Makes `run/plugins/ID` in `data_dir`, or a temporary folder when that is too long for a socket's path.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn create(data_dir: &Path, id: &str) -> io::Result<Self> {
        let path = std::path::absolute(data_dir)?.join("run").join("plugins").join(id);
        if path.as_os_str().as_bytes().len() + NAME_BYTES > MAX_PATH_BYTES {
            return Self::temporary();
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        // It may be an older one, made by hand.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        let dir = Self { path, temporary: false };
        dir.clear();
        Ok(dir)
    }

    fn temporary() -> io::Result<Self> {
        let base = std::env::temp_dir();
        let mut result = Err(io::ErrorKind::AlreadyExists.into());
        for attempt in 0..ATTEMPTS {
            let path = base.join(format!("detectviz-{}-{attempt}", std::process::id()));
            result = DirBuilder::new().mode(0o700).create(&path).map(|()| Self { path, temporary: true });
            let taken = |fault: &io::Error| fault.kind() == io::ErrorKind::AlreadyExists;
            if !result.as_ref().is_err_and(taken) {
                break;
            }
        }
        result
    }

    /// The folder's path; absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn clear(&self) {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for entry in entries {
            remove_socket(&entry.path());
        }
    }
}

/// Removes a socket, and nothing that is none.
pub(crate) fn remove_socket(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        // Gone already is as good as removed.
        let _ = fs::remove_file(path);
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        self.clear();
        if self.temporary {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_is_private_and_loses_old_sockets() {
        let data = tempfile::tempdir_in("/tmp").unwrap();
        let path = data.path().join("run/plugins/p");
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        drop(UnixListener::bind(path.join("old")).unwrap());
        fs::write(path.join("file"), "").unwrap();
        let dir = SocketDir::create(data.path(), "p").unwrap();
        assert_eq!((dir.path(), mode(&path)), (path.as_path(), 0o700));
        assert!(!path.join("old").exists() && path.join("file").exists());
    }

    #[test]
    fn a_long_data_folder_gives_a_temporary_one_that_is_removed() {
        let long = Path::new("/tmp").join("x".repeat(90));
        let (first, second) =
            (SocketDir::create(&long, "p").unwrap(), SocketDir::create(&long, "p").unwrap());
        assert_ne!(first.path(), second.path());
        assert_eq!(mode(first.path()), 0o700);
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists() && !long.exists());
    }
}
