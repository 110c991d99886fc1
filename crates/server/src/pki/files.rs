//! Small files that are either there as a whole or not at all, and never readable by more people than meant, not
//! even while they are being written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::PkiError;

/// Only the owner reads: keys, and what embeds them.
pub const PRIVATE: u32 = 0o600;
/// Everyone reads: certificates.
pub const PUBLIC: u32 = 0o644;

/// The most bytes of a PEM file that are read; a chain with a key is far below.
const MAX_FILE: u64 = 1 << 20;

/// Puts `bytes` at `path` with exactly these permission bits. A crash leaves the old file or the new one, synced to disk.
///
/// # Errors
/// The system's error for the temporary file beside `path`, or for the rename.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = beside(path)?;
    // Left by a crash; the data folder's lock keeps a second writer away.
    remove_if_there(&temporary)?;
    let written = write_new(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Like [`write_atomically`], but touches nothing when the file already has these bytes and this mode. Says
/// whether it wrote.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_if_changed(path: &Path, bytes: &[u8], mode: u32) -> io::Result<bool> {
    let same_mode = || fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o777 == mode);
    if fs::read(path).is_ok_and(|found| found == bytes) && same_mode() {
        return Ok(false);
    }
    write_atomically(path, bytes, mode).map(|()| true)
}

/// Makes `folder` and its parents, closed to all but the owner. One that exists stays as it is.
pub(super) fn make_private_folder(folder: &Path) -> Result<(), PkiError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| PkiError::Write { path: folder.to_owned(), source })
}

pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    write_atomically(path, text.as_bytes(), mode)
        .map_err(|source| PkiError::Write { path: path.to_owned(), source })
}

/// The text of a file; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, PkiError> {
    let fail = |source| PkiError::Read { path: path.to_owned(), source };
    let size = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if size > MAX_FILE {
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB")));
    }
    fs::read_to_string(path).map(Some).map_err(fail)
}

/// Reads a private key's file, unless the whole machine could read it too. Members of the file's group are let
/// pass: volume managers that give a folder to a group open its files to it.
pub(super) fn read_private(path: &Path) -> Result<Option<String>, PkiError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let found = fs::metadata(path).map_err(|source| PkiError::Read { path: path.to_owned(), source })?;
    match found.permissions().mode() & 0o777 {
        mode if mode & 0o007 != 0 => Err(PkiError::Exposed { path: path.to_owned(), mode }),
        _ => Ok(Some(text)),
    }
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    Ok(path.with_file_name(format!(".{}.new", name.to_string_lossy())))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The umask may have taken bits away, never added any; the content comes only after this.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(&path, "old").unwrap();
        fs::write(folder.path().join(".a.key.new"), "left by a crash").unwrap();
        write_atomically(&path, b"new", PRIVATE).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary may stay");
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("by a folder")).unwrap();
        assert!(write_atomically(&path, b"x", PUBLIC).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_written_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert!(write_if_changed(&path, b"x", PRIVATE).unwrap());
        assert!(!write_if_changed(&path, b"x", PRIVATE).unwrap());
        assert!(write_if_changed(&path, b"y", PRIVATE).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(write_if_changed(&path, b"y", PRIVATE).unwrap());
        assert_eq!(mode(&path), 0o600);
    }
}
