//! The manifest is the checkpoint: a small file that names the parts, replaced as a whole. A part record has the part's
//! number as its `create_revision`, its first key, and as its value `u64 keys | u64 bytes`. The end record has the base
//! as its `revision` and the next part's number as its `create_revision`.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    folder::{Folder, PART, SEGMENT},
    part::{self, Part, corrupt},
    record::{Kind, Record, take_u64},
};
use crate::{
    Revision, StoreError,
    index::{Entries, FIRST_REVISION},
};

pub(super) const MANIFEST: &str = "manifest";

/// What is durable without the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The log is needed after this revision. No part is older.
    pub(super) base: Revision,
    /// The number of the next part.
    pub(super) next: u64,
    /// By first key.
    pub(super) parts: Vec<Part>,
}

impl Manifest {
    /// That of a folder without any.
    pub(super) fn empty() -> Self {
        Self { base: FIRST_REVISION, next: 1, parts: Vec::new() }
    }

    /// The newest revision of a part: what the parts and the log up to there lead to.
    pub(super) fn revision(&self) -> Revision {
        self.parts.iter().map(|part| part.revision).max().unwrap_or(0).max(self.base)
    }

    /// The length of all parts.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The part that a key is in, or would be.
    pub(super) fn part_of(&self, key: &str) -> Option<&Part> {
        let after = self.parts.partition_point(|part| &*part.first <= key);
        self.parts.get(after.saturating_sub(1))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for Part { number, first, revision, count, bytes } in &self.parts {
            let value = [count.to_le_bytes(), bytes.to_le_bytes()].concat();
            let (revision, create_revision, position, deadline) = (*revision, *number, 0, 0);
            let (kind, key, value) = (Kind::Part, &**first, &value[..]);
            Record { revision, create_revision, position, kind, deadline, key, value }.encode(&mut out);
        }
        Record::end(self.base, self.next).encode(&mut out);
        out
    }

    fn decode(path: &Path, content: &[u8]) -> Result<Self, StoreError> {
        let (mut parts, mut offset) = (Vec::new(), 0);
        loop {
            let bad = |reason| corrupt(path, offset, reason);
            let (record, length) = Record::decode(&content[offset..]).map_err(bad)?;
            if record.kind == Kind::End && offset + length == content.len() {
                return Ok(Self { base: record.revision, next: record.create_revision, parts });
            }
            parts.push(part_of(&record).ok_or_else(|| bad("record does not belong in a manifest"))?);
            offset += length;
        }
    }

    /// Reads the manifest, if there is one.
    pub(super) fn read(folder: &Folder) -> Result<Self, StoreError> {
        let path = folder.named(MANIFEST);
        match fs::read(&path) {
            Ok(content) => Self::decode(&path, &content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::empty()),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Makes this what counts, after all of its parts are written.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), StoreError> {
        folder.sync()?;
        folder.write_whole(&folder.named(MANIFEST), &self.encode())
    }

    /// Reads all parts, several at a time.
    pub(super) fn read_parts(&self, folder: &Folder) -> Result<Entries, StoreError> {
        let next = AtomicUsize::new(0);
        let slots: Vec<_> = self.parts.iter().map(|part| (part, Mutex::new(Ok(Vec::new())))).collect();
        let work = || {
            while let Some((part, slot)) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = part::read(folder, part);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(slots.len());
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // This thread works too, so that none is needed.
                _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        let mut entries = Entries::new();
        for (_, slot) in slots {
            let part = slot.into_inner().unwrap_or_else(PoisonError::into_inner)?;
            entries.extend(part.into_iter().map(|entry| (entry.key_value.key.clone(), entry)));
        }
        Ok(entries)
    }

    /// Removes parts that are not named, and segments that are not needed: in order, so that a crash leaves no hole.
    pub(super) fn remove_others(&self, folder: &Folder) -> Result<(), StoreError> {
        let named: BTreeSet<_> = self.parts.iter().map(|part| part.number).collect();
        let parts = folder.numbered(PART)?.into_iter().filter(|(number, _)| !named.contains(number));
        let segments = folder.numbered(SEGMENT)?;
        let superfluous = segments.len() - self.needed(&segments).len();
        for (_, path) in parts.chain(segments.into_iter().take(superfluous)) {
            fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
        }
        folder.sync()
    }

    /// The segments that hold anything after the base: not those whose successor begins with it or before.
    pub(super) fn needed<'a>(&self, segments: &'a [(Revision, PathBuf)]) -> &'a [(Revision, PathBuf)] {
        let begun = segments.partition_point(|(first, _)| *first <= self.base + 1);
        &segments[begun.saturating_sub(1)..]
    }
}

fn part_of(record: &Record<'_>) -> Option<Part> {
    let (count, rest) = take_u64(record.value)?;
    let (bytes, rest) = take_u64(rest)?;
    let (number, first, revision) = (record.create_revision, record.key.into(), record.revision);
    (record.kind == Kind::Part && rest.is_empty()).then_some(Part { number, first, revision, count, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_frozen() {
        let part = Part { number: 7, first: "/k".into(), revision: 0x0102, count: 3, bytes: 9 };
        let manifest = Manifest { base: 5, next: 8, parts: vec![part] };
        let expected: &[u8] = &[
            41, 0, 0, 0, // length
            0x65, 0xb5, 0xe4, 0xa4, // checksum
            2, 1, 0, 0, 0, 0, 0, 0, // revision of the part
            7, 0, 0, 0, 0, 0, 0, 0, // number
            0, 0, // position
            5, // part
            2, 0, 0, 0, b'/', b'k', // first key
            3, 0, 0, 0, 0, 0, 0, 0, // keys
            9, 0, 0, 0, 0, 0, 0, 0, // bytes
            23, 0, 0, 0, // length
            0x54, 0xd9, 0xa6, 0x61, // checksum
            5, 0, 0, 0, 0, 0, 0, 0, // base
            8, 0, 0, 0, 0, 0, 0, 0, // next number
            0, 0, // position
            3, // end
            0, 0, 0, 0, // no key
        ];
        assert_eq!(manifest.encode(), expected);
        assert_eq!(Manifest::decode(Path::new("manifest"), expected).unwrap(), manifest);
        for length in 0..expected.len() {
            assert!(Manifest::decode(Path::new("manifest"), &expected[..length]).is_err(), "length {length}");
        }
    }
}
