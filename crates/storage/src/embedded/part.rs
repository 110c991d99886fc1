//! A part is a sorted stretch of the keys of one state, in a file that never changes: a put record per key, and an end
//! record (`revision` is the part's number, `create_revision` the count of keys) that proves it complete.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use super::{
    folder::{self, Folder, PART},
    record::{Kind, Record},
};
use crate::{Revision, StoreError, index::Entry};

/// What a manifest says of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u64,
    /// The first key; the part ends where the next one begins.
    pub(super) first: Arc<str>,
    /// The revision that it is the state of. A later checkpoint raises it when nothing in the part changed.
    pub(super) revision: Revision,
    /// Keys in it.
    pub(super) count: u64,
    /// The length of the file.
    pub(super) bytes: u64,
}

/// Writes a part durably, but for its name. There is at least one entry.
pub(super) fn write(
    folder: &Folder,
    number: u64,
    revision: Revision,
    entries: &[Arc<Entry>],
) -> Result<Part, StoreError> {
    let path = folder.file(PART, number);
    let written = folder::create(&path).and_then(|file| write_entries(file, number, entries));
    let bytes = written.map_err(StoreError::io("write", path))?;
    let first = entries.first().map_or_else(|| "".into(), |entry| entry.key_value.key.clone());
    Ok(Part { number, first, revision, count: entries.len() as u64, bytes })
}

fn write_entries(file: File, number: u64, entries: &[Arc<Entry>]) -> io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let bytes = encode(&mut out, number, entries.iter().map(|entry| &**entry))?;
    out.into_inner()?.sync_all()?;
    Ok(bytes)
}

/// Writes a record per entry, in key order, and the end record. Gives the length in bytes.
pub(super) fn encode<'a>(
    out: &mut impl Write,
    number: u64,
    entries: impl Iterator<Item = &'a Entry>,
) -> io::Result<u64> {
    let (mut buffer, mut bytes, mut count) = (Vec::new(), 0, 0);
    for entry in entries {
        Record::of_entry(entry).encode(&mut buffer);
        out.write_all(&buffer)?;
        bytes += buffer.len() as u64;
        count += 1;
        buffer.clear();
    }
    Record::end(number, count).encode(&mut buffer);
    out.write_all(&buffer)?;
    Ok(bytes + buffer.len() as u64)
}

/// Reads a part, and checks that it is the one that the manifest means.
pub(super) fn read(folder: &Folder, part: &Part) -> Result<Vec<Arc<Entry>>, StoreError> {
    let path = folder.file(PART, part.number);
    let content = fs::read(&path).map_err(StoreError::io("read", &path))?;
    let (number, entries) = decode(&path, &content, 0)?;
    let first = entries.first().map(|entry| &entry.key_value.key);
    let found = (number, entries.len() as u64, content.len() as u64, first);
    if found != (part.number, part.count, part.bytes, Some(&part.first)) {
        return Err(corrupt(&path, 0, "part is not the one that the manifest names"));
    }
    Ok(entries)
}

/// Reads records up to the end record, which has to be the last. Gives the number in it, and the entries.
pub(super) fn decode(
    path: &Path,
    content: &[u8],
    start: usize,
) -> Result<(u64, Vec<Arc<Entry>>), StoreError> {
    let (mut entries, mut offset) = (Vec::<Arc<Entry>>::new(), start);
    loop {
        let bad = |reason| corrupt(path, offset, reason);
        let (record, length) = Record::decode(&content[offset..]).map_err(bad)?;
        if record.kind == Kind::End {
            if record.create_revision != entries.len() as u64 || offset + length != content.len() {
                return Err(bad("file is incomplete"));
            }
            return Ok((record.revision, entries));
        }
        if entries.last().is_some_and(|last| &*last.key_value.key >= record.key) {
            return Err(bad("keys are not in order"));
        }
        entries.push(record.entry().ok_or_else(|| bad("record does not belong here"))?);
        offset += length;
    }
}

pub(super) fn corrupt(path: &Path, offset: usize, reason: &str) -> StoreError {
    StoreError::Corrupt { file: path.into(), offset: offset as u64, reason: reason.into() }
}
