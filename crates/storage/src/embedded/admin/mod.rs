//! What is done to a data folder from outside of a server: each operation is a function on the folder. [`backup`] and
//! [`check`] only read, also beside the process that has the folder open; [`restore`] and [`compact`] need it for
//! themselves.

mod backup;
mod check;
mod compact;
mod restore;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use self::{
    backup::{Backup, backup},
    check::{BadObject, Damage, Report, ResourceSize, Unfinished, check},
    compact::{Compacted, compact},
    restore::{Restored, restore},
};
use super::{
    folder::Folder,
    load::{self, Loaded},
};
use crate::{StoreError, history::HistoryLimits};

/// The first line of a backup; what follows is encoded like a part, whose number is the revision.
const BACKUP: &[u8] = b"detectviz-backup 1\n";

/// How often a folder is read that changes while it is read.
const ATTEMPTS: usize = 5;

/// No history is needed of a folder that is only looked at.
const NO_HISTORY: HistoryLimits = HistoryLimits { events: 0, bytes: 0 };

/// Why an operation failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is nothing to read.
    #[error("read {}: there is no store in this folder; name the server's data folder", path.display())]
    NoStore {
        /// Where a store was looked for.
        path: PathBuf,
    },
    /// The file of a new backup is there.
    #[error("write {}: the file exists; choose another name, or overwrite it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file to restore is something else, or of another version.
    #[error("read {}: it does not begin like a backup of this version", path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the folder open.
    #[error("lock {}: a server uses this store; stop it first", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The bump leads past what a revision can be.
    #[error("raise revision {from} by {by}: the result is too large; choose a smaller bump")]
    Bump {
        /// The largest revision that was found.
        from: u64,
        /// What was to be added.
        by: u64,
    },
    /// Without a bump, what clients remember of the replaced store looks like the restored one.
    #[error(
        "raise the revision by 0: clients may know revisions that would be handed out again; choose at least 1"
    )]
    NoBump,
    /// The store, or the operating system, refused.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Locked { path } => Self::InUse { path },
            error => Self::Store(error),
        }
    }
}

/// Told what is being done, as a phrase for a person who waits.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Fails when there is no store to work on.
fn existing(dir: &Path) -> Result<Folder, AdminError> {
    let folder = Folder::unlocked(dir);
    if !dir.is_dir() || folder.format()?.is_none() {
        return Err(AdminError::NoStore { path: dir.into() });
    }
    Ok(folder)
}

/// Reads a folder that another process may be writing in: everything that was acknowledged before the call is in what is
/// read.
fn load(dir: &Path) -> Result<Loaded, AdminError> {
    let folder = existing(dir)?;
    stable(|| load::load(&folder, NO_HISTORY)).map_err(AdminError::from)
}

/// Reads again when the files were replaced or written in between, which looks like damage or like missing files.
fn stable<T>(read: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut result = read();
    for _ in 1..ATTEMPTS {
        match &result {
            Err(StoreError::Corrupt { .. }) => {}
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
        result = read();
    }
    result
}
