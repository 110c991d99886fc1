//! Loading reads a folder and changes nothing in it, so that it also works beside the process that has it open.

use std::path::Path;

use super::{
    folder::{Folder, Format, SEGMENT},
    format1,
    manifest::{MANIFEST, Manifest},
    part::corrupt,
    record::{Kind, Record},
    replay::{Replay, Segment},
};
use crate::{
    Revision, StoreError,
    history::HistoryLimits,
    index::{Entries, Index},
};

/// The name of the file that remembers an explicit compaction: an end record with its revision.
const COMPACTED: &str = "compacted";

/// What is in a folder.
pub(super) struct Loaded {
    pub(super) index: Index,
    pub(super) manifest: Manifest,
    /// The segments that are needed, in order.
    pub(super) segments: Vec<Segment>,
}

/// Reads the state at the checkpoint, and replays the log behind it.
pub(super) fn load(folder: &Folder, limits: HistoryLimits) -> Result<Loaded, StoreError> {
    let (entries, manifest, required) = match folder.format()? {
        Some(Format::One) => format1::load(folder)?.without_parts(),
        Some(Format::Two) | None => {
            let manifest = Manifest::read(folder)?;
            (manifest.read_parts(folder)?, manifest, None)
        }
    };
    let loaded = replay(folder, entries, manifest, limits)?;
    match required {
        Some((revision, error)) if loaded.index.revision() < revision => Err(error),
        _ => Ok(loaded),
    }
}

fn replay(
    folder: &Folder,
    entries: Entries,
    manifest: Manifest,
    limits: HistoryLimits,
) -> Result<Loaded, StoreError> {
    let mut index = Index::restored(entries, manifest.revision(), limits);
    let mut replay = Replay::new(&mut index, &manifest);
    let found = folder.numbered(SEGMENT)?;
    let needed = manifest.needed(&found);
    let mut segments = Vec::new();
    for (number, (first, path)) in needed.iter().enumerate() {
        segments.push(replay.segment(*first, path.clone(), number + 1 == needed.len())?);
    }
    if !replay.is_complete() {
        return Err(corrupt(&folder.named(MANIFEST), 0, "the log ends before the newest part"));
    }
    let compacted = compacted(folder)?.min(index.revision());
    index.compact(compacted)?;
    Ok(Loaded { index, manifest, segments })
}

/// Remembers an explicit compaction.
pub(super) fn remember_compaction(folder: &Folder, revision: Revision) -> Result<(), StoreError> {
    let mut content = Vec::new();
    Record::end(revision, 0).encode(&mut content);
    folder.write_whole(&folder.named(COMPACTED), &content)
}

/// The remembered compaction; 0 when there was none.
fn compacted(folder: &Folder) -> Result<Revision, StoreError> {
    let path = folder.named(COMPACTED);
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    read_compacted(&path, &content)
}

fn read_compacted(path: &Path, content: &[u8]) -> Result<Revision, StoreError> {
    let (record, length) = Record::decode(content).map_err(|reason| corrupt(path, 0, reason))?;
    if record.kind != Kind::End || length != content.len() {
        return Err(corrupt(path, 0, "file does not hold one end record"));
    }
    Ok(record.revision)
}
