//! A backup is the state of one revision in one file.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
};

use serde::Serialize;

use super::{AdminError, BACKUP, Progress, load};
use crate::{
    Revision,
    embedded::{folder, part},
};

/// What is in a new backup.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The revision that it is the state of.
    pub revision: Revision,
    /// Keys in it.
    pub keys: u64,
    /// The length of the file.
    pub bytes: u64,
}

/// Writes everything that is in the store of `dir`, without its history, to a file that only the owner may read. A server
/// may be writing in the folder: all that it acknowledged before the call is in the backup.
///
/// # Errors
/// When the folder cannot be read, is damaged or holds no store; when the file exists and is not to be overwritten; when
/// it cannot be written.
pub fn backup(
    dir: &Path,
    file: &Path,
    overwrite: bool,
    progress: Progress<'_>,
) -> Result<Backup, AdminError> {
    if !overwrite && file.exists() {
        return Err(AdminError::Exists { path: file.into() });
    }
    progress("reading the store");
    let index = load(dir)?.index;
    progress(&format!("writing {} keys", index.entries().len()));
    let mut bytes = BACKUP.len() as u64;
    folder::write_whole(file, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(BACKUP)?;
        bytes += part::encode(&mut out, index.revision(), index.entries().values().map(|entry| &**entry))?;
        out.flush()
    })?;
    Ok(Backup { revision: index.revision(), keys: index.entries().len() as u64, bytes })
}
