//! A checkpoint is incremental: a part in whose range no key changed since it was written is kept, the others are written
//! again from an index, which is immutable, so that nobody waits for it. It counts once its manifest is in place, and
//! only then goes what it replaces.
//!
//! Whether a part changed is seen in the new state alone: a key that was written carries a newer revision, and when one
//! is gone without that, the count differs.

use std::{fs, ops::Bound, sync::Arc};

use super::{
    disk::Room,
    folder::{Folder, PART},
    manifest::Manifest,
    part::{self, Part},
};
use crate::{
    Revision, StoreError,
    index::{Entries, Entry},
};

/// All keys at a revision.
pub(super) struct State {
    pub(super) entries: Entries,
    pub(super) revision: Revision,
}

/// What becomes of consecutive parts of the checkpoint before.
struct Step {
    work: Work,
    /// How many of the parts before this and the earlier steps stand for.
    until: usize,
}

enum Work {
    Keep(Part),
    Rewrite(Vec<Arc<Entry>>),
}

/// Replaces a checkpoint by that of a later state. What it replaces is not removed yet. After an error, `manifest` is
/// still what counts in memory; on disk it may be the later one already.
pub(super) fn save(
    folder: &Folder,
    manifest: &mut Manifest,
    state: &State,
    part_bytes: u64,
) -> Result<(), StoreError> {
    let next = build(folder, manifest, state, part_bytes)?;
    replace(folder, manifest, next)
}

/// Writes the parts of a later state.
fn build(
    folder: &Folder,
    manifest: &Manifest,
    state: &State,
    part_bytes: u64,
) -> Result<Manifest, StoreError> {
    let mut next = Manifest { base: state.revision, next: manifest.next, parts: Vec::new() };
    for step in plan(manifest, state, part_bytes, u64::MAX) {
        take(folder, &mut next, state, step.work, part_bytes)
            .inspect_err(|_| discard(folder, manifest.next, next.next))?;
    }
    Ok(next)
}

/// Puts a manifest in the place of the one before.
fn replace(folder: &Folder, manifest: &mut Manifest, next: Manifest) -> Result<(), StoreError> {
    match next.write(folder) {
        Ok(()) => *manifest = next,
        Err(error) => {
            give_up(folder, manifest, next.next);
            return Err(error);
        }
    }
    Ok(())
}

/// After a failed write either manifest may be on disk: the numbers until `to` are not used again, and their parts are
/// removed only when nothing names them.
fn give_up(folder: &Folder, manifest: &mut Manifest, to: u64) {
    let from = std::mem::replace(&mut manifest.next, to);
    let is_named = |found: &Manifest| found.parts.iter().any(|part| part.number >= from);
    if Manifest::read(folder).is_ok_and(|found| !is_named(&found)) {
        discard(folder, from, to);
    }
}

/// Like [`save`], in small steps, each of which counts by itself and removes what it replaced: there has to be room for
/// about one part only, and for what is in no part yet.
pub(super) fn squeeze(
    folder: &Folder,
    manifest: &mut Manifest,
    state: &State,
    part_bytes: u64,
) -> Result<(), StoreError> {
    let before = manifest.clone();
    let mut done = Manifest { base: before.base, next: before.next, parts: Vec::new() };
    for step in plan(&before, state, part_bytes, part_bytes / 4) {
        let first = done.next;
        check_room(folder, &step.work, part_bytes)?;
        take(folder, &mut done, state, step.work, part_bytes)
            .inspect_err(|_| discard(folder, first, done.next))?;
        if done.next > first {
            let mut next = done.clone();
            next.parts.extend_from_slice(&before.parts[step.until..]);
            replace(folder, manifest, next)?;
            manifest.remove_others(folder)?;
        }
    }
    done.base = state.revision;
    replace(folder, manifest, done)
}

/// Fails rather than take the last room from the log, which deletions need.
fn check_room(folder: &Folder, work: &Work, part_bytes: u64) -> Result<(), StoreError> {
    let Work::Rewrite(entries) = work else { return Ok(()) };
    let path = folder.path();
    let room = Room::of(path).map_err(StoreError::io("ask for room in", path))?.free;
    // A tenth and some for what surrounds keys and values.
    let needed = bytes(entries) + bytes(entries) / 10 + part_bytes / 4;
    if !entries.is_empty() && room < needed {
        let reason =
            format!("write {needed} bytes of checkpoint: {room} are free; delete more, or make room");
        return Err(StoreError::Full { reason });
    }
    Ok(())
}

/// Splits the keys into what is kept and what is written again: runs of changed parts, which end at a boundary once they
/// have `run` bytes. A run that would leave a small part takes the one behind it along.
fn plan(before: &Manifest, state: &State, part_bytes: u64, run: u64) -> Vec<Step> {
    let (mut steps, mut pending) = (Vec::new(), Vec::new());
    let flush = |steps: &mut Vec<Step>, pending: &mut Vec<Arc<Entry>>, until| {
        let work = Work::Rewrite(std::mem::take(pending));
        steps.push(Step { work, until });
    };
    if before.parts.is_empty() {
        pending.extend(state.entries.values().cloned());
    }
    for (at, part) in before.parts.iter().enumerate() {
        let entries = entries_of(before, at, state);
        let is_small = !pending.is_empty() && bytes(&pending) < part_bytes / 4;
        if !is_small && !is_changed(part, &entries) {
            flush(&mut steps, &mut pending, at);
            steps.push(Step { work: Work::Keep(part.clone()), until: at + 1 });
            continue;
        }
        pending.extend(entries);
        if bytes(&pending) >= run {
            flush(&mut steps, &mut pending, at + 1);
        }
    }
    flush(&mut steps, &mut pending, before.parts.len());
    steps
}

/// The keys that are now in the range of a part.
fn entries_of(before: &Manifest, at: usize, state: &State) -> Vec<Arc<Entry>> {
    let begin = |at: usize| before.parts.get(at).map(|part| &*part.first);
    let from = begin(at).filter(|_| at > 0).map_or(Bound::Unbounded, Bound::Included);
    let to = begin(at + 1).map_or(Bound::Unbounded, Bound::Excluded);
    state.entries.range::<_, str>((from, to)).map(|(_, entry)| entry.clone()).collect()
}

fn is_changed(part: &Part, entries: &[Arc<Entry>]) -> bool {
    let is_newer = |entry: &Arc<Entry>| entry.key_value.mod_revision > part.revision;
    entries.len() as u64 != part.count || entries.iter().any(is_newer)
}

fn bytes(entries: &[Arc<Entry>]) -> u64 {
    entries.iter().map(|entry| entry.key_value.key.len() + entry.key_value.value.len()).sum::<usize>() as u64
}

/// Does a step, and adds its parts to the manifest that is being made.
fn take(
    folder: &Folder,
    next: &mut Manifest,
    state: &State,
    work: Work,
    part_bytes: u64,
) -> Result<(), StoreError> {
    match work {
        Work::Keep(part) => next.parts.push(Part { revision: state.revision, ..part }),
        Work::Rewrite(entries) => {
            for entries in evenly(&entries, part_bytes) {
                next.parts.push(part::write(folder, next.next, state.revision, entries)?);
                next.next += 1;
            }
        }
    }
    Ok(())
}

/// Cuts a run into parts of about `part_bytes`, without a small one at the end.
fn evenly(entries: &[Arc<Entry>], part_bytes: u64) -> Vec<&[Arc<Entry>]> {
    let total = bytes(entries);
    let parts = ((total + part_bytes / 2) / part_bytes).max(1);
    let (mut cuts, mut filled, mut start) = (Vec::new(), 0, 0);
    for at in 0..entries.len() {
        filled += bytes(&entries[at..=at]);
        let is_last = at + 1 == entries.len();
        if is_last || filled * parts >= total * (cuts.len() as u64 + 1) {
            cuts.push(&entries[start..=at]);
            start = at + 1;
        }
    }
    cuts
}

/// Removes parts that no manifest will name, also one that is half written; what is left is removed when the folder is
/// opened.
fn discard(folder: &Folder, from: u64, to: u64) {
    for number in from..=to {
        _ = fs::remove_file(folder.file(PART, number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compare, HistoryLimits, Op, Txn, index::Index};

    const PART_BYTES: u64 = 1000;

    struct Store {
        dir: tempfile::TempDir,
        index: Index,
        manifest: Manifest,
    }

    impl Store {
        fn new() -> Self {
            let (dir, index) = (tempfile::tempdir().unwrap(), Index::new(HistoryLimits::default()));
            Self { dir, index, manifest: Manifest::empty() }
        }

        fn write(&mut self, keys: impl IntoIterator<Item = u32>, op: &Op) {
            for key in keys {
                let key = format!("/{key:05}");
                let exists = self.index.entries().contains_key(&*key);
                let compare = if exists { Compare::Any } else { Compare::Absent };
                assert!(self.index.decide(&Txn::new(key, compare, op.clone()), None).1.is_some());
            }
        }

        fn put(&mut self, keys: impl IntoIterator<Item = u32>) {
            self.write(keys, &Op::Put(vec![b'x'; 94].into()));
        }

        /// Saves, reads back, and gives the numbers of the parts.
        fn save(&mut self) -> Vec<u64> {
            let folder = Folder::unlocked(self.dir.path());
            let state = State { entries: self.index.entries().clone(), revision: self.index.revision() };
            save(&folder, &mut self.manifest, &state, PART_BYTES).unwrap();
            self.manifest.remove_others(&folder).unwrap();
            assert_eq!(Manifest::read(&folder).unwrap(), self.manifest);
            assert_eq!(self.manifest.read_parts(&folder).unwrap(), state.entries);
            assert_eq!(folder.numbered(PART).unwrap().len(), self.manifest.parts.len());
            self.manifest.parts.iter().map(|part| part.number).collect()
        }
    }

    #[test]
    fn only_parts_that_changed_are_written_again() {
        let mut store = Store::new();
        assert_eq!(store.save(), Vec::<u64>::new());
        store.put(0..100);
        assert_eq!(store.save(), (1..=10).collect::<Vec<_>>());
        assert_eq!(store.save(), (1..=10).collect::<Vec<_>>());
        store.put([15]);
        assert_eq!(store.save(), [1, 11, 3, 4, 5, 6, 7, 8, 9, 10]);
        store.write([99], &Op::Delete);
        assert_eq!(store.save(), [1, 11, 3, 4, 5, 6, 7, 8, 9, 12]);
        // What is deleted and created again is as many, and newer.
        store.write([30], &Op::Delete);
        store.put([30]);
        assert_eq!(store.save(), [1, 11, 3, 13, 5, 6, 7, 8, 9, 12]);
    }

    #[test]
    fn parts_split_and_merge() {
        let mut store = Store::new();
        store.put(0..100);
        store.save();
        store.put(200..220);
        assert_eq!(store.save(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13]);
        store.write(10..19, &Op::Delete);
        assert_eq!(store.save(), [1, 14, 4, 5, 6, 7, 8, 9, 11, 12, 13], "two became one");
        store.write(20..100, &Op::Delete);
        store.write(0..10, &Op::Delete);
        store.write([19], &Op::Delete);
        store.write(200..220, &Op::Delete);
        assert_eq!(store.save(), Vec::<u64>::new());
    }

    #[test]
    fn parts_of_a_manifest_that_may_be_on_disk_are_left_alone() {
        let mut store = Store::new();
        store.put(0..100);
        store.save();
        let folder = Folder::unlocked(store.dir.path());
        store.put([15]);
        let state = State { entries: store.index.entries().clone(), revision: store.index.revision() };
        // Renamed, and then the folder could not be synced.
        let next = build(&folder, &store.manifest, &state, PART_BYTES).unwrap();
        next.write(&folder).unwrap();
        give_up(&folder, &mut store.manifest, next.next);

        // The next checkpoint fails before that, and leaves nothing.
        store.put([15, 35]);
        let later = State { entries: store.index.entries().clone(), revision: store.index.revision() };
        fs::create_dir(folder.named("manifest.tmp")).unwrap();
        for make in [save, squeeze] {
            make(&folder, &mut store.manifest, &later, PART_BYTES).unwrap_err();
            let found = Manifest::read(&folder).unwrap();
            assert_eq!(found, next);
            assert_eq!(found.read_parts(&folder).unwrap(), state.entries);
            assert_eq!(folder.numbered(PART).unwrap().len(), 11);
        }
        fs::remove_dir(folder.named("manifest.tmp")).unwrap();
        assert_eq!(store.save().len(), 10);
    }

    #[test]
    fn a_squeeze_ends_where_a_checkpoint_does() {
        let mut store = Store::new();
        store.put(0..100);
        store.save();
        store.put((0..100).step_by(7));
        store.write((0..100).step_by(9), &Op::Delete);
        let folder = Folder::unlocked(store.dir.path());
        let state = State { entries: store.index.entries().clone(), revision: store.index.revision() };
        squeeze(&folder, &mut store.manifest, &state, PART_BYTES).unwrap();
        assert_eq!(Manifest::read(&folder).unwrap(), store.manifest);
        assert_eq!(store.manifest.base, state.revision);
        assert_eq!(store.manifest.read_parts(&folder).unwrap(), state.entries);
    }
}
