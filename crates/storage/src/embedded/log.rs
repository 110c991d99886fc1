//! The log: numbered segments, of which only the last is written. What was synced is never damaged by a crash; what was
//! being written is cut off at the first bad record when the log is read again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    folder::{Folder, SEGMENT},
    record::{Kind, Record},
};
use crate::{Op, Revision, StoreError, index::Index};

/// The segment that is written to.
pub(super) struct Log {
    file: File,
    path: PathBuf,
    /// Bytes in all segments, which is what the next open has to replay.
    bytes: u64,
}

impl Log {
    /// Replays all segments on top of a checkpoint, and continues the last one.
    pub(super) fn open(folder: &Folder, index: &mut Index) -> Result<Self, StoreError> {
        let mut segments = segments(folder)?;
        let mut replay = Replay { index, previous: None };
        let mut bytes = 0;
        for (number, path) in segments.iter().enumerate() {
            let content = fs::read(path).map_err(StoreError::io("read", path))?;
            bytes += replay.segment(path, &content, number + 1 == segments.len())?;
        }
        let Some(path) = segments.pop() else { return Self::create(folder, index.revision() + 1) };
        let file = OpenOptions::new().append(true).open(&path).map_err(StoreError::io("open", &path))?;
        // What was read may be in the page cache only, and is about to be shown to readers.
        file.sync_all().map_err(StoreError::io("sync", &path))?;
        Ok(Self { file, path, bytes })
    }

    fn create(folder: &Folder, first: Revision) -> Result<Self, StoreError> {
        let path = folder.file(SEGMENT, first);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(StoreError::io("create", &path))?;
        folder.sync()?;
        Ok(Self { file, path, bytes: 0 })
    }

    /// Begins a new segment; the old ones are no longer counted, because a checkpoint is about to replace them.
    pub(super) fn rotate(&mut self, folder: &Folder, first: Revision) -> Result<(), StoreError> {
        *self = Self::create(folder, first)?;
        Ok(())
    }

    /// Bytes to replay.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts from now on as if everything had just been replaced; when a checkpoint is to be tried again later.
    pub(super) fn reset_bytes(&mut self) {
        self.bytes = 0;
    }

    /// Writes a batch and makes it durable. After an error, what is on disk is unknown: never append again.
    pub(super) fn append(&mut self, batch: &[u8]) -> Result<(), StoreError> {
        let appended = append(&mut self.file, batch);
        appended.map_err(StoreError::io("append to", &self.path))?;
        self.bytes += batch.len() as u64;
        Ok(())
    }
}

/// The segments in order. A crash right after one was begun leaves it empty: it goes, since the one before is the last.
fn segments(folder: &Folder) -> Result<Vec<PathBuf>, StoreError> {
    let mut segments = Vec::new();
    for (_, path) in folder.numbered(SEGMENT)? {
        let length = fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
        if length > 0 {
            segments.push(path);
        } else {
            fs::remove_file(&path).map_err(StoreError::io("remove empty", &path))?;
        }
    }
    Ok(segments)
}

fn append(file: &mut File, batch: &[u8]) -> io::Result<()> {
    file.write_all(batch)?;
    file.sync_data()
}

struct Replay<'a> {
    index: &'a mut Index,
    previous: Option<Revision>,
}

impl Replay<'_> {
    /// Applies what the checkpoint does not have yet. Returns how many bytes of the segment are good.
    fn segment(&mut self, path: &Path, content: &[u8], last: bool) -> Result<u64, StoreError> {
        let mut offset = 0;
        while offset < content.len() {
            let rest = &content[offset..];
            let applied = match Record::decode(rest) {
                Ok((record, length)) => self.apply(&record).map(|()| length),
                Err(_) if last && self.is_torn(rest) => {
                    cut(path, offset, content.len())?;
                    break;
                }
                Err(reason) => Err(reason),
            };
            offset += applied.map_err(|reason| corrupt(path, offset, reason))?;
        }
        Ok(offset as u64)
    }

    fn apply(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        let expected =
            self.previous.map_or(record.revision.min(self.index.revision() + 1), |previous| previous + 1);
        if record.revision != expected {
            return Err("record does not follow the one before: revisions are missing");
        }
        let op = match record.kind {
            Kind::Put => Op::Put(Bytes::copy_from_slice(record.value)),
            Kind::Delete => Op::Delete,
            Kind::End => return Err("record does not belong in a log"),
        };
        self.previous = Some(record.revision);
        if record.revision > self.index.revision() {
            self.index.apply(Arc::from(record.key), record.revision, record.create_revision, op);
        }
        Ok(())
    }

    /// Whether the bad record at the start of `rest` can be of a batch that was never acknowledged: then nothing of a
    /// later batch follows it, since that would have been written only after this one was synced.
    fn is_torn(&self, rest: &[u8]) -> bool {
        let bad = self.previous.unwrap_or(self.index.revision()) + 1;
        let mut later = (1..rest.len()).filter_map(|at| Record::decode(&rest[at..]).ok());
        !later.any(|(record, _)| record.batch() > bad)
    }
}

fn corrupt(path: &Path, offset: usize, reason: &str) -> StoreError {
    StoreError::Corrupt { file: path.into(), offset: offset as u64, reason: reason.into() }
}

fn cut(path: &Path, offset: usize, length: usize) -> Result<(), StoreError> {
    tracing::warn!(path = %path.display(), offset, bytes = length - offset, "cutting off an unfinished write");
    let file = OpenOptions::new().write(true).open(path).map_err(StoreError::io("open", path))?;
    let cut = file.set_len(offset as u64).and_then(|()| file.sync_all());
    cut.map_err(StoreError::io("cut off the end of", path))
}

#[cfg(test)]
impl Log {
    /// A log in a file of the test's choice.
    pub(super) fn at(path: &Path) -> Self {
        let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        Self { file, path: path.into(), bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::HistoryLimits;

    /// The bytes of a log whose batches have these lengths, and the offset of each record.
    fn log(batches: &[u16]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        let positions = batches.iter().flat_map(|length| 0..*length);
        for (revision, position) in (2..).zip(positions) {
            offsets.push(bytes.len());
            let (kind, key, value) = (Kind::Put, "/key", &b"{}"[..]);
            Record { revision, create_revision: revision, position, kind, key, value }.encode(&mut bytes);
        }
        (bytes, offsets)
    }

    /// Opens a log, and says up to which revision it was good.
    fn open(bytes: &[u8]) -> Result<Revision, StoreError> {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        fs::write(folder.file(SEGMENT, 2), bytes).unwrap();
        let mut index = Index::new(HistoryLimits::default());
        Log::open(&folder, &mut index).map(|_| index.revision())
    }

    #[test]
    fn a_batch_of_which_only_later_pages_reached_the_disk_is_cut_off() {
        let (mut bytes, offsets) = log(&[1, 3]);
        assert_eq!(open(&bytes).unwrap(), 5);
        bytes[offsets[2]..offsets[3]].fill(0);
        assert_eq!(open(&bytes).unwrap(), 3);
        bytes[offsets[1]..offsets[2]].fill(0);
        assert_eq!(open(&bytes).unwrap(), 2);
    }

    #[test]
    fn damage_before_a_later_batch_is_not_a_torn_write() {
        let (mut bytes, offsets) = log(&[1, 2, 1]);
        for damaged in offsets[1]..offsets[3] {
            bytes[damaged] ^= 1;
            let record = if damaged < offsets[2] { 1 } else { 2 };
            match open(&bytes) {
                Err(StoreError::Corrupt { offset, .. }) => assert_eq!(offset, offsets[record] as u64),
                other => panic!("byte {damaged}: {other:?}"),
            }
            bytes[damaged] ^= 1;
        }
    }

    #[test]
    fn missing_records_are_seen() {
        let (bytes, offsets) = log(&[1, 1, 1]);
        let hole = [&bytes[..offsets[1]], &bytes[offsets[2]..]].concat();
        assert!(
            matches!(open(&hole), Err(StoreError::Corrupt { offset, .. }) if offset == offsets[1] as u64)
        );
        assert!(matches!(open(&bytes[offsets[1]..]), Err(StoreError::Corrupt { offset: 0, .. })));
    }
}
