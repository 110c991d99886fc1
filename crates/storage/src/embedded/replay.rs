//! Reading the log again. What was synced is never damaged by a crash; what was being written is cut off at the first
//! bad record; a tail of zeros is room that was allocated and never written.

use std::{fs, path::PathBuf};

use super::{manifest::Manifest, part::corrupt, record::Record};
use crate::{Revision, StoreError, index::Index};

/// A segment that was read.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Up to here it holds records.
    pub(super) good: u64,
    /// Whether records of an unfinished write follow.
    pub(super) torn: bool,
    /// Where its last batch begins, the only one that may not have been synced.
    pub(super) batch: u64,
    /// What that batch has.
    pub(super) tail: Vec<u8>,
}

/// Applies segments, in order, to the state of a checkpoint.
pub(super) struct Replay<'a> {
    pub(super) index: &'a mut Index,
    manifest: &'a Manifest,
    /// The revision of the checkpoint's newest part.
    checkpoint: Revision,
    previous: Option<Revision>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(index: &'a mut Index, manifest: &'a Manifest) -> Self {
        Self { index, manifest, checkpoint: manifest.revision(), previous: None }
    }

    /// Applies what the checkpoint does not have yet of the segment that begins with revision `first`. An unfinished write
    /// is allowed in the last one.
    pub(super) fn segment(
        &mut self,
        first: Revision,
        path: PathBuf,
        last: bool,
    ) -> Result<Segment, StoreError> {
        // Also when it is empty, so that no record says so.
        if first > self.reached() + 1 {
            return Err(corrupt(&path, 0, "segment does not follow: revisions are missing"));
        }
        let content = fs::read(&path).map_err(StoreError::io("read", &path))?;
        let (mut offset, mut batch) = (0, 0);
        while offset < content.len() {
            let rest = &content[offset..];
            let applied = match Record::decode(rest) {
                Ok((record, length)) => {
                    batch = if record.position == 0 { offset } else { batch };
                    self.apply(&record).map(|()| length)
                }
                Err(_) if last && self.is_torn(first, rest) => break,
                Err(reason) => Err(reason),
            };
            offset += applied.map_err(|reason| corrupt(&path, offset, reason))?;
        }
        let torn = content[offset..].iter().any(|byte| *byte != 0);
        let tail = if last { content[batch..offset].to_vec() } else { Vec::new() };
        Ok(Segment { path, good: offset as u64, torn, batch: batch as u64, tail })
    }

    fn apply(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        let first = record.revision.min(self.manifest.base + 1);
        if record.revision != self.previous.map_or(first, |previous| previous + 1) {
            return Err("record does not follow the one before: revisions are missing");
        }
        self.previous = Some(record.revision);
        let part = || self.manifest.part_of(record.key).map_or(self.manifest.base, |part| part.revision);
        if record.revision > self.checkpoint {
            self.index.apply(record.write().ok_or("record does not belong in a log")?);
        } else if record.revision > part() {
            self.index.patch(record.write().ok_or("record does not belong in a log")?);
        }
        Ok(())
    }

    /// Whether the bad record at the start of `rest` can be of a batch that was never acknowledged: then nothing of a
    /// later batch follows it, since that would have been written only after this one was synced, and it is not in the
    /// checkpoint either.
    fn is_torn(&self, first: Revision, rest: &[u8]) -> bool {
        let bad = self.previous.map_or(first, |previous| previous + 1);
        if bad <= self.checkpoint {
            return false;
        }
        let mut later = (1..rest.len()).filter_map(|at| Record::decode(&rest[at..]).ok());
        !later.any(|(record, _)| record.batch() > bad)
    }

    /// Whether the log led to the newest part, as it has to when others are older.
    pub(super) fn is_complete(&self) -> bool {
        self.reached() >= self.checkpoint
    }

    /// The revision that base and log led to until now.
    fn reached(&self) -> Revision {
        self.previous.unwrap_or(self.manifest.base).max(self.manifest.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HistoryLimits,
        embedded::{
            folder::{Folder, SEGMENT},
            load,
            log::Log,
            record::Kind,
        },
    };

    /// The bytes of a log whose batches have these lengths, and the offset of each record.
    fn log(batches: &[u16]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        let positions = batches.iter().flat_map(|length| 0..*length);
        for (revision, position) in (2..).zip(positions) {
            offsets.push(bytes.len());
            let (create_revision, kind, deadline, key, value) = (revision, Kind::Put, 0, "/key", &b"{}"[..]);
            Record { revision, create_revision, position, kind, deadline, key, value }.encode(&mut bytes);
        }
        (bytes, offsets)
    }

    /// Reads a log, and says up to which revision and byte it was good.
    fn read(bytes: &[u8]) -> Result<(Revision, u64, bool), StoreError> {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write_format().unwrap();
        fs::write(folder.file(SEGMENT, 2), bytes).unwrap();
        let loaded = load::load(&folder, HistoryLimits::default())?;
        let last = &loaded.segments[0];
        Ok((loaded.index.revision(), last.good, last.torn))
    }

    #[test]
    fn a_batch_of_which_only_later_pages_reached_the_disk_is_cut_off() {
        let (mut bytes, offsets) = log(&[1, 3]);
        assert_eq!(read(&bytes).unwrap(), (5, bytes.len() as u64, false));
        bytes[offsets[2]..offsets[3]].fill(0);
        assert_eq!(read(&bytes).unwrap(), (3, offsets[2] as u64, true));
        bytes[offsets[1]..offsets[2]].fill(0);
        assert_eq!(read(&bytes).unwrap(), (2, offsets[1] as u64, true));
    }

    #[test]
    fn room_that_was_never_written_is_the_end() {
        let (mut bytes, _) = log(&[1, 3]);
        let end = bytes.len();
        bytes.resize(end + 100_000, 0);
        assert_eq!(read(&bytes).unwrap(), (5, end as u64, false));
        bytes[end + 4096..end + 5000].fill(7);
        assert_eq!(read(&bytes).unwrap(), (5, end as u64, true));
    }

    #[test]
    fn damage_before_a_later_batch_is_not_a_torn_write() {
        let (mut bytes, offsets) = log(&[1, 2, 1]);
        for damaged in offsets[1]..offsets[3] {
            bytes[damaged] ^= 1;
            let record = if damaged < offsets[2] { 1 } else { 2 };
            match read(&bytes) {
                Err(StoreError::Corrupt { offset, .. }) => assert_eq!(offset, offsets[record] as u64),
                other => panic!("byte {damaged}: {other:?}"),
            }
            bytes[damaged] ^= 1;
        }
    }

    #[test]
    fn nothing_of_what_the_checkpoint_has_is_a_torn_write() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write_format().unwrap();
        let (mut bytes, offsets) = log(&[1, 1, 2]);
        Manifest { base: 4, ..Manifest::empty() }.write(&folder).unwrap();
        for damaged in 0..bytes.len() {
            bytes[damaged] ^= 1;
            fs::write(folder.file(SEGMENT, 2), &bytes).unwrap();
            let loaded = load::load(&folder, HistoryLimits::default());
            assert_eq!(loaded.is_ok(), damaged >= offsets[3], "byte {damaged}");
            bytes[damaged] ^= 1;
        }
    }

    #[test]
    fn missing_segments_are_seen_when_the_last_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write_format().unwrap();
        fs::write(folder.file(SEGMENT, 2), log(&[1, 1, 1]).0).unwrap();
        fs::write(folder.file(SEGMENT, 5), [0; 100]).unwrap();
        assert_eq!(load::load(&folder, HistoryLimits::default()).unwrap().index.revision(), 4);
        fs::remove_file(folder.file(SEGMENT, 2)).unwrap();
        let loaded = load::load(&folder, HistoryLimits::default()).map(drop);
        assert!(matches!(loaded, Err(StoreError::Corrupt { .. })), "{loaded:?}");
    }

    #[test]
    fn the_last_batch_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write_format().unwrap();
        let (path, (bytes, offsets)) = (folder.file(SEGMENT, 2), log(&[1, 2]));
        fs::write(&path, &bytes).unwrap();
        let segments = load::load(&folder, HistoryLimits::default()).unwrap().segments;
        // What was read was in memory only.
        fs::write(&path, &bytes[..offsets[1]]).unwrap();
        Log::open(folder.into(), segments, 4, 1 << 20).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn missing_records_are_seen() {
        let (bytes, offsets) = log(&[1, 1, 1]);
        let hole = [&bytes[..offsets[1]], &bytes[offsets[2]..]].concat();
        let hole = read(&hole);
        assert!(matches!(hole, Err(StoreError::Corrupt { offset, .. }) if offset == offsets[1] as u64));
        assert!(matches!(read(&bytes[offsets[1]..]), Err(StoreError::Corrupt { offset: 0, .. })));
    }
}
