//! Think of the index as one immutable value per batch: a write makes the next [`Index`] from the current one (clones are
//! O(1)), and [`Published`] swaps it in when it is durable. Old revisions are not stored: they are the newest state with
//! the later events undone.

use std::{
    ops::Bound,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use imbl::OrdMap;
use tokio::sync::watch;

use crate::{
    Batch, Compare, Event, EventKind, KeyValue, Op, Range, Revision, StoreError, Txn, TxnOutcome, Watch,
    WatchSource,
};

/// The revision of a store that was never written.
pub(crate) const FIRST_REVISION: Revision = 1;

/// The longest batch that a watch hands out.
const WATCH_BATCH: usize = 1024;

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
struct Logged {
    event: Arc<Event>,
    previous_revision: Revision,
}

impl Logged {
    fn previous(&self) -> Option<KeyValue> {
        let value = match &self.event.kind {
            EventKind::Put { previous, .. } => previous.clone()?,
            EventKind::Delete { previous } => previous.clone(),
        };
        let Event { key, create_revision, .. } = &*self.event;
        let (key, create_revision) = (key.clone(), *create_revision);
        Some(KeyValue { key, value, create_revision, mod_revision: self.previous_revision })
    }

    fn bytes(&self) -> usize {
        let values = match &self.event.kind {
            EventKind::Put { value, previous } => value.len() + previous.as_ref().map_or(0, Bytes::len),
            EventKind::Delete { previous } => previous.len(),
        };
        self.event.key.len() + values
    }
}

type Entries = OrdMap<Arc<str>, Arc<KeyValue>>;

/// The whole keyspace at one revision, with the window of events that led there.
#[derive(Clone)]
pub(crate) struct Index {
    entries: Entries,
    history: OrdMap<Revision, Logged>,
    history_bytes: usize,
    limits: HistoryLimits,
    revision: Revision,
    /// All events after this revision are in `history`.
    oldest: Revision,
}

impl Index {
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self::restored(Entries::new(), FIRST_REVISION, limits)
    }

    /// The state of a checkpoint, from which no history is known.
    pub(crate) fn restored(entries: Entries, revision: Revision, limits: HistoryLimits) -> Self {
        Self { entries, history: OrdMap::new(), history_bytes: 0, limits, revision, oldest: revision }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The oldest revision that can be read, and watched after.
    pub(crate) fn oldest(&self) -> Revision {
        self.oldest
    }

    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Decides a transaction, and makes its event the newest one when it is committed.
    pub(crate) fn decide(&mut self, txn: Txn) -> (TxnOutcome, Option<Arc<Event>>) {
        let current = self.entries.get(&txn.key).map(|entry| KeyValue::clone(entry));
        let holds = match (&current, txn.compare) {
            (None, Compare::Absent) => !matches!(txn.op, Op::Delete),
            (Some(current), Compare::ModRevision(expected)) => current.mod_revision == expected,
            (Some(_), Compare::Any) => true,
            _ => false,
        };
        if !holds {
            return (TxnOutcome::Conflict { current }, None);
        }
        let revision = self.revision + 1;
        let create_revision = current.as_ref().map_or(revision, |current| current.create_revision);
        let event = self.apply(txn.key, revision, create_revision, txn.op);
        (TxnOutcome::Committed { revision, previous: current }, Some(event))
    }

    /// Applies a committed write: the next revision in order.
    pub(crate) fn apply(
        &mut self,
        key: Arc<str>,
        revision: Revision,
        create: Revision,
        op: Op,
    ) -> Arc<Event> {
        let previous = match &op {
            Op::Put(value) => {
                let (key, value) = (key.clone(), value.clone());
                let entry = KeyValue { key, value, create_revision: create, mod_revision: revision };
                self.entries.insert(entry.key.clone(), Arc::new(entry))
            }
            Op::Delete => self.entries.remove(&key),
        };
        let previous_revision = previous.as_ref().map_or(0, |previous| previous.mod_revision);
        let previous = previous.map(|previous| previous.value.clone());
        let kind = match op {
            Op::Put(value) => EventKind::Put { value, previous },
            Op::Delete => EventKind::Delete { previous: previous.unwrap_or_default() },
        };
        let event = Arc::new(Event { key, revision, create_revision: create, kind });
        self.revision = revision;
        self.remember(Logged { event: event.clone(), previous_revision });
        event
    }

    fn remember(&mut self, logged: Logged) {
        self.history_bytes += logged.bytes();
        self.history.insert(logged.event.revision, logged);
        while self.history.len() > self.limits.events || self.history_bytes > self.limits.bytes {
            let Some(&(first, _)) = self.history.get_min() else { break };
            self.forget(first);
        }
    }

    fn forget(&mut self, revision: Revision) {
        if let Some(logged) = self.history.remove(&revision) {
            self.history_bytes -= logged.bytes();
        }
        self.oldest = revision;
    }

    /// Forgets the events up to a revision; one that is already forgotten changes nothing.
    pub(crate) fn compact(&mut self, revision: Revision) -> Result<(), StoreError> {
        if revision > self.revision {
            return Err(StoreError::FutureRevision { requested: revision, current: self.revision });
        }
        for forgotten in self.oldest + 1..=revision {
            self.forget(forgotten);
        }
        Ok(())
    }

    fn check(&self, requested: Revision) -> Result<(), StoreError> {
        if requested > self.revision {
            return Err(StoreError::FutureRevision { requested, current: self.revision });
        }
        if requested < self.oldest {
            return Err(StoreError::Compacted { requested, oldest: self.oldest });
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        let at = at.unwrap_or(self.revision);
        self.check(at)?;
        // What the first later event on the key replaced is what it held then.
        match self.history.range(at + 1..).find(|(_, logged)| &*logged.event.key == key) {
            Some((_, logged)) => Ok(logged.previous()),
            None => Ok(self.entries.get(key).map(|entry| KeyValue::clone(entry))),
        }
    }

    pub(crate) fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        let revision = at.unwrap_or(self.revision);
        self.check(revision)?;
        let entries = self.entries_at(prefix, revision);
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let found = entries.range::<_, str>(from).take_while(|(key, _)| key.starts_with(prefix));
        Ok(Range { items: found.map(|(_, entry)| KeyValue::clone(entry)).collect(), revision })
    }

    /// The entries, of which those under `prefix` are as they were at `revision`.
    fn entries_at(&self, prefix: &str, revision: Revision) -> Entries {
        let mut entries = self.entries.clone();
        for (_, logged) in self.history.range(revision + 1..).rev() {
            match logged.previous() {
                _ if !logged.event.key.starts_with(prefix) => {}
                Some(previous) => drop(entries.insert(previous.key.clone(), Arc::new(previous))),
                None => drop(entries.remove(&logged.event.key)),
            }
        }
        entries
    }
}

/// The durable index, for readers and watchers. Reading takes no lock.
pub(crate) struct Published {
    index: ArcSwap<Index>,
    changed: watch::Sender<()>,
    closed: AtomicBool,
    /// Why nothing is written any more.
    failed: OnceLock<String>,
}

impl Published {
    pub(crate) fn new(index: Index) -> Arc<Self> {
        let (index, changed) = (ArcSwap::from_pointee(index), watch::Sender::new(()));
        Arc::new(Self { index, changed, closed: AtomicBool::new(false), failed: OnceLock::new() })
    }

    pub(crate) fn load(&self) -> Result<Arc<Index>, StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(self.index.load_full()) }
    }

    pub(crate) fn publish(&self, index: Index) {
        self.index.store(Arc::new(index));
        self.changed.send_replace(());
    }

    /// Whether writes can be accepted.
    pub(crate) fn health(&self) -> Result<(), StoreError> {
        self.load()?;
        match self.failed.get() {
            Some(reason) => Err(StoreError::ReadOnly { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses all writes from now on; the first reason stays.
    pub(crate) fn fail(&self, reason: String) {
        self.failed.get_or_init(|| reason);
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.send_replace(());
    }

    pub(crate) fn watch(self: &Arc<Self>, after: Revision) -> Result<Watch, StoreError> {
        self.load()?.check(after)?;
        let changed = self.changed.subscribe();
        Ok(Watch::new(Follower { published: self.clone(), changed, position: after, ended: false }))
    }
}

/// A watch by position: it holds no events, so that a slow one costs nothing and falls off the window by itself.
struct Follower {
    published: Arc<Published>,
    changed: watch::Receiver<()>,
    position: Revision,
    ended: bool,
}

impl Follower {
    fn take(&mut self) -> Result<Batch, StoreError> {
        let index = self.published.load()?;
        index.check(self.position)?;
        let later = index.history.range(self.position + 1..).take(WATCH_BATCH);
        let events: Vec<_> = later.map(|(_, logged)| logged.event.clone()).collect();
        self.position = events.last().map_or(self.position, |event| event.revision);
        Ok(Batch { events, revision: self.position })
    }
}

#[async_trait]
impl WatchSource for Follower {
    async fn next(&mut self) -> Option<Result<Batch, StoreError>> {
        while !self.ended {
            match self.take() {
                Ok(batch) if !batch.events.is_empty() => return Some(Ok(batch)),
                Ok(_) => self.ended = self.changed.changed().await.is_err(),
                Err(error) => {
                    self.ended = true;
                    return (!matches!(error, StoreError::Closed)).then_some(Err(error));
                }
            }
        }
        None
    }
}
