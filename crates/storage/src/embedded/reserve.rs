//! Room that is taken while there is some, and given back when the disk is full, so that deletions and compaction can go
//! on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{folder::Folder, medium::Medium};
use crate::StoreError;

const RESERVE: &str = "reserve";

/// Takes the room, if it is not taken. An error means that it is not.
pub(super) fn take(folder: &Folder, bytes: u64) -> Result<(), StoreError> {
    let path = folder.named(RESERVE);
    if fs::metadata(&path).is_ok_and(|found| found.len() == bytes) {
        return Ok(());
    }
    let taken = allocate(&path, bytes);
    if taken.is_err() {
        // What could be had of it is needed elsewhere.
        _ = fs::remove_file(&path);
    }
    taken.map_err(StoreError::io("take room for", path))
}

fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    if bytes == 0 {
        return Ok(());
    }
    match file.allocate(bytes) {
        Err(error) if error.kind() == ErrorKind::Unsupported => fill(&mut file, bytes),
        allocated => allocated,
    }?;
    file.sync_all()
}

/// For file systems that cannot allocate.
fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    let zeros = io::Read::take(io::repeat(0), bytes);
    io::copy(&mut io::BufReader::with_capacity(1 << 20, zeros), file)?;
    file.flush()
}

/// Gives the room back.
pub(super) fn give_back(folder: &Folder) {
    let path = folder.named(RESERVE);
    let removed = match fs::remove_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        removed => removed.map_err(StoreError::io("remove", &path)),
    };
    if let Err(error) = removed.and_then(|()| folder.sync()) {
        tracing::warn!(path = %path.display(), %error, "cannot give back reserved room");
    }
}
