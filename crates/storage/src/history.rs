//! The window of events: consecutive revisions, so that an event is found by its number. Kept in shared chunks, so that
//! the next index takes it over for nearly nothing.

use std::sync::Arc;

use bytes::Bytes;
use imbl::Vector;

use crate::{Event, EventKind, Revision, index::Entry};

/// How much history stays in memory; it ends at whichever bound is reached first.
#[derive(Clone, Copy, Debug)]
pub struct HistoryLimits {
    /// Events, over the whole keyspace.
    pub events: usize,
    /// Bytes of keys and values (new and previous) in them.
    pub bytes: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { events: 10_000, bytes: 64 << 20 }
    }
}

/// An event, and what it takes to undo it.
#[derive(Clone)]
pub(crate) struct Logged {
    pub(crate) event: Arc<Event>,
    pub(crate) previous: Option<Arc<Entry>>,
}

impl Logged {
    fn bytes(&self) -> usize {
        let values = match &self.event.kind {
            EventKind::Put { value, previous } => value.len() + previous.as_ref().map_or(0, Bytes::len),
            EventKind::Delete { previous } => previous.len(),
        };
        self.event.key.len() + values
    }
}

/// The events after a revision, up to the newest.
#[derive(Clone)]
pub(crate) struct History {
    /// The event at position `i` has the revision `oldest + 1 + i`.
    events: Vector<Logged>,
    bytes: usize,
    limits: HistoryLimits,
    oldest: Revision,
}

impl History {
    /// Nothing is known of what led to `revision`.
    pub(crate) fn new(revision: Revision, limits: HistoryLimits) -> Self {
        Self { events: Vector::new(), bytes: 0, limits, oldest: revision }
    }

    /// All events after this revision are here.
    pub(crate) fn oldest(&self) -> Revision {
        self.oldest
    }

    /// Takes in the next event, and forgets what exceeds the limits.
    pub(crate) fn push(&mut self, logged: Logged) {
        self.bytes += logged.bytes();
        self.events.push_back(logged);
        while self.events.len() > self.limits.events || self.bytes > self.limits.bytes {
            self.forget_first();
        }
    }

    /// Forgets the events up to a revision that exists.
    pub(crate) fn forget(&mut self, revision: Revision) {
        while self.oldest < revision {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        self.oldest += 1;
        if let Some(first) = self.events.pop_front() {
            self.bytes -= first.bytes();
        }
    }

    /// The events after a revision that is not forgotten, in order.
    pub(crate) fn after(&self, revision: Revision) -> impl DoubleEndedIterator<Item = &Logged> {
        let skipped = usize::try_from(revision - self.oldest).unwrap_or(usize::MAX);
        (skipped..self.events.len()).filter_map(|position| self.events.get(position))
    }
}
