//! Where a plugin puts its socket: a folder of its own that nobody else may enter, with a path that fits a socket's.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};

/// A socket's path may have 107 bytes at most on Linux, 103 elsewhere.
const MAX_PATH_BYTES: usize = 100;
/// `/plugin` and the digits behind it.
const NAME_BYTES: usize = 32;
/// Names to try for a temporary folder; any that exists is not ours.
const ATTEMPTS: u32 = 100;
/// How a temporary folder's name begins; the process and a number follow.
const TEMPORARY: &str = "detectviz-";

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
        clear(&dir.path);
        Ok(dir)
    }

    fn temporary() -> io::Result<Self> {
        let base = std::env::temp_dir();
        let mut result = Err(io::ErrorKind::AlreadyExists.into());
        for attempt in 0..ATTEMPTS {
            let path = base.join(format!("{TEMPORARY}{}-{attempt}", std::process::id()));
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
}

/// Removes the temporary folders in `base` that servers left behind which are gone: who is killed cannot.
pub(crate) fn sweep(base: &Path) {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| owner(&entry.file_name()).is_some_and(is_gone)) {
        let is_ours = |meta: fs::Metadata| meta.is_dir() && meta.uid() == geteuid().as_raw();
        if entry.metadata().is_ok_and(is_ours) {
            clear(&entry.path());
            // A folder with anything else in it stays.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The process that made a temporary folder of this name.
fn owner(name: &OsStr) -> Option<Pid> {
    let (process, attempt) = name.to_str()?.strip_prefix(TEMPORARY)?.split_once('-')?;
    attempt.parse::<u32>().ok()?;
    process.parse().ok().filter(|id| *id > 0).and_then(Pid::from_raw)
}

fn is_gone(process: Pid) -> bool {
    test_kill_process(process) == Err(Errno::SRCH)
}

/// Removes the sockets in a folder, and nothing else. No path but those found here is ever removed: what a plugin says
/// of its socket is not to be trusted.
fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
            // Gone already is as good as removed.
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        clear(&self.path);
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

    #[test]
    fn only_folders_of_processes_that_are_gone_are_swept() {
        let base = tempfile::tempdir_in("/tmp").unwrap();
        let mut process = std::process::Command::new("true").spawn().unwrap();
        process.wait().unwrap();
        let (gone, own) = (process.id(), std::process::id());
        let folder = |name: String| {
            let path = base.path().join(name);
            fs::create_dir(&path).unwrap();
            drop(UnixListener::bind(path.join("s")).unwrap());
            path
        };
        let swept = folder(format!("detectviz-{gone}-7"));
        let full = folder(format!("detectviz-{gone}-8"));
        fs::write(full.join("file"), "").unwrap();
        let others = [format!("detectviz-{own}-0"), format!("detectviz-{gone}"), format!("other-{gone}-0")];
        let others = others.map(folder);
        let foreign = base.path().join(format!("detectviz-{gone}-9"));
        std::os::unix::fs::symlink(&others[0], &foreign).unwrap();
        sweep(base.path());
        assert!(!swept.exists() && full.join("file").exists());
        assert!(others.iter().all(|other| other.join("s").exists()) && foreign.exists());
    }
}
