//! Between which revisions an operation has to fit: behind all that was known when it was called, and before all that was
//! called when it had been answered.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::History;
use crate::history::model::Kind;
use crate::history::operation::{Answer, Operation};
use crate::history::watcher::Seen;

pub(super) struct Windows<'a> {
    /// The newest revision that anybody had seen, by time.
    known: BTreeMap<Duration, u64>,
    /// The oldest revision of a write that was called then or later, by time.
    later: BTreeMap<Duration, u64>,
    base: u64,
    newest: u64,
    deletions: BTreeMap<&'a str, u64>,
}

impl<'a> Windows<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let deletions = history.events.iter().filter(|event| event.kind == Kind::Deleted);
        let deletions = deletions.map(|event| (event.version.uid.as_str(), event.version.revision)).collect();
        let newest = history.events.last().map_or(history.base.revision, |event| event.version.revision);
        let (known, later) = Default::default();
        let mut windows = Self { known, later, base: history.base.revision, newest, deletions };
        windows.learn(history);
        windows
    }

    fn learn(&mut self, history: &History) {
        let mut known: Vec<(Duration, u64)> =
            history.operations.iter().filter_map(|operation| self.seen(operation)).collect();
        let told =
            history.streams.iter().flat_map(|stream| &stream.segments).flat_map(|segment| &segment.seen);
        known.extend(told.filter_map(|seen| match seen {
            Seen::Event(event, at) => Some((*at, event.version.revision)),
            _ => None,
        }));
        known.sort_unstable();
        let mut newest = self.base;
        for (at, revision) in known {
            newest = newest.max(revision);
            self.known.insert(at, newest);
        }
        let placed = |operation: &Operation| Some((operation.called, self.place(operation)?));
        let mut later: Vec<(Duration, u64)> = history.operations.iter().filter_map(placed).collect();
        later.sort_unstable();
        let mut oldest = u64::MAX;
        for (at, revision) in later.into_iter().rev() {
            oldest = oldest.min(revision);
            self.later.insert(at, oldest);
        }
    }

    /// Which revision an operation made known, and when.
    fn seen(&self, operation: &Operation) -> Option<(Duration, u64)> {
        let revision = match &operation.answer {
            Answer::Found(version) => version.revision,
            Answer::Listed(state, _) => state.revision,
            _ => self.place(operation)?,
        };
        Some((operation.answered, revision))
    }

    /// The revision of an acknowledged write.
    pub(super) fn place(&self, operation: &Operation) -> Option<u64> {
        match &operation.answer {
            Answer::Written(version) => Some(version.revision),
            Answer::Deleted(uid) => self.deletions.get(uid.as_str()).copied(),
            _ => None,
        }
    }

    /// The newest revision that was known before the operation was called.
    pub(super) fn low(&self, operation: &Operation) -> u64 {
        self.known.range(..operation.called).next_back().map_or(self.base, |(_, revision)| *revision)
    }

    /// The newest revision that there can have been when the operation was answered.
    pub(super) fn high(&self, operation: &Operation) -> u64 {
        let later = self.later.range(operation.answered..).find(|(at, _)| **at > operation.answered);
        later.map_or(self.newest, |(_, revision)| revision - 1)
    }
}
