//! What can go wrong in a store: each variant is one thing that the caller decides on.

use std::{io, path::PathBuf};

use crate::Revision;

/// An error of a [`Store`](crate::Store).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The asked revision is older than the kept history.
    #[error("read revision {requested}: compacted, the oldest kept is {oldest}")]
    Compacted {
        /// What was asked for.
        requested: Revision,
        /// The oldest revision that can be read, and watched after.
        oldest: Revision,
    },
    /// The asked revision does not exist yet.
    #[error("read revision {requested}: the current one is {current}")]
    FutureRevision {
        /// What was asked for.
        requested: Revision,
        /// The newest revision.
        current: Revision,
    },
    /// A write to disk failed earlier (or just now), so that no write is accepted until the store is opened again.
    #[error("write to store: read-only since a disk error: {reason}")]
    ReadOnly {
        /// The failure that made it so.
        reason: String,
    },
    /// The disk is full: nothing is written but deletions, until there is room again.
    #[error("write to store: the disk is full: {reason}")]
    Full {
        /// What did not fit.
        reason: String,
    },
    /// The store cannot be asked at the moment; the caller may try again.
    #[error("reach store: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The write was sent, and nobody can tell whether it happened: reading shows it once the store can be asked again.
    #[error("write to store, with unknown outcome: {reason}")]
    Uncertain {
        /// What came in between.
        reason: String,
    },
    /// The data on disk is damaged in a way that a crash does not explain.
    #[error("read {} at byte {offset}: {reason}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Another process has the data folder open.
    #[error("lock {}: another process has this data folder open", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The store was written by another version.
    #[error("open store: found format {found:?}, supported is {supported:?}")]
    Format {
        /// The content of the `format` file.
        found: String,
        /// What this version reads and writes.
        supported: &'static str,
    },
    /// A key and value together are larger than one record may be.
    #[error("write {key}: {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// The key that was to be written.
        key: String,
        /// Its size with the value.
        bytes: usize,
        /// The allowed size.
        max: usize,
    },
    /// The operating system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// The attempted action, a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The store was closed.
    #[error("use store: closed")]
    Closed,
}

impl StoreError {
    /// For `map_err`: names the action and the file of an operating system error.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
