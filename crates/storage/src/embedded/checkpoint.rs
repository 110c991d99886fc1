//! A checkpoint is the whole index in one file: a put record per key, and an end record that proves it complete. It
//! exists only when it is durable, and only then are the segments removed that it replaces.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use imbl::OrdMap;

use super::{
    folder::{CHECKPOINT, Folder, SEGMENT},
    record::{Kind, Record},
};
use crate::{
    KeyValue, Revision, StoreError,
    index::{FIRST_REVISION, HistoryLimits, Index},
};

/// Writes the checkpoint of an index, then removes the older files that it makes superfluous. The caller has begun a
/// new segment, or writes no more.
pub(super) fn save(folder: &Folder, index: &Index) -> Result<(), StoreError> {
    let revision = index.revision();
    folder.write_whole(&folder.file(CHECKPOINT, revision), |file| write(file, index))?;
    let older_checkpoints = folder.numbered(CHECKPOINT)?.into_iter().filter(|(number, _)| *number < revision);
    let older_segments = folder.numbered(SEGMENT)?.into_iter().filter(|(first, _)| *first <= revision);
    // In order, so that a crash leaves no hole between segments.
    for (_, path) in older_checkpoints.chain(older_segments) {
        fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
    }
    folder.sync()
}

fn write(file: &mut File, index: &Index) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut buffer = Vec::new();
    for entry in index.entries().values() {
        let KeyValue { key, value, create_revision, mod_revision: revision } = &**entry;
        let (revision, create_revision) = (*revision, *create_revision);
        Record { revision, create_revision, position: 0, kind: Kind::Put, key, value }.encode(&mut buffer);
        out.write_all(&buffer)?;
        buffer.clear();
    }
    let (revision, create_revision) = (index.revision(), index.entries().len() as u64);
    Record { revision, create_revision, position: 0, kind: Kind::End, key: "", value: b"" }
        .encode(&mut buffer);
    out.write_all(&buffer)?;
    out.flush()
}

/// Where a start begins: replaying the log has to lead at least to `required`, or `unusable` is why it cannot.
pub(super) struct Loaded {
    pub(super) index: Index,
    required: Revision,
    unusable: Option<StoreError>,
}

impl Loaded {
    /// Fails when the log did not make up for an unusable checkpoint.
    pub(super) fn complete(self) -> Result<Index, StoreError> {
        match self.unusable {
            Some(error) if self.index.revision() < self.required => Err(error),
            _ => Ok(self.index),
        }
    }
}

/// The newest checkpoint that is good, or an empty index.
pub(super) fn load(folder: &Folder, limits: HistoryLimits) -> Result<Loaded, StoreError> {
    let (mut required, mut unusable) = (FIRST_REVISION, None);
    for (revision, path) in folder.numbered(CHECKPOINT)?.into_iter().rev() {
        required = required.max(revision);
        match read(&path, limits) {
            Ok(index) => return Ok(Loaded { index, required, unusable }),
            Err(error) => {
                tracing::error!(%error, "checkpoint is unusable");
                unusable.get_or_insert(error);
            }
        }
    }
    Ok(Loaded { index: Index::new(limits), required, unusable })
}

fn read(path: &Path, limits: HistoryLimits) -> Result<Index, StoreError> {
    let content = fs::read(path).map_err(StoreError::io("read", path))?;
    let corrupt = |offset: usize, reason: &str| {
        let (file, offset, reason) = (path.into(), offset as u64, reason.into());
        StoreError::Corrupt { file, offset, reason }
    };
    let mut entries = OrdMap::new();
    let mut offset = 0;
    loop {
        let (record, length) =
            Record::decode(&content[offset..]).map_err(|reason| corrupt(offset, reason))?;
        if record.kind == Kind::End {
            if record.create_revision != entries.len() as u64 || offset + length != content.len() {
                return Err(corrupt(offset, "checkpoint is incomplete"));
            }
            return Ok(Index::restored(entries, record.revision, limits));
        }
        let entry = entry(&record);
        entries.insert(entry.key.clone(), Arc::new(entry));
        offset += length;
    }
}

fn entry(record: &Record<'_>) -> KeyValue {
    KeyValue {
        key: record.key.into(),
        value: Bytes::copy_from_slice(record.value),
        create_revision: record.create_revision,
        mod_revision: record.revision,
    }
}
