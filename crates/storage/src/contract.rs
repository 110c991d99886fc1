//! The contract of a store, to be read in a minute: one increasing revision over the whole keyspace, at most one event
//! per revision, and a write that is answered only when it is durable.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::StoreError;

/// A point in the history of the whole keyspace. An empty store is at 1; each committed write adds
/// exactly 1 (as etcd), and so does every write of others to an etcd that is shared with them.
pub type Revision = u64;

/// One key at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The whole key; opaque to the store.
    pub key: Arc<str>,
    /// The stored bytes, unchanged.
    pub value: Bytes,
    /// The revision of the write that created the key (since its last deletion).
    pub create_revision: Revision,
    /// The revision of the write that produced `value`.
    pub mod_revision: Revision,
}

/// What has to hold for a [`Txn`] to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent,
    /// The key exists and was last written at this revision.
    ModRevision(Revision),
    /// The key exists, whatever its revision.
    Any,
}

/// What a [`Txn`] does when its comparison holds.
#[derive(Clone, Debug)]
pub enum Op {
    /// Write the value.
    Put(Bytes),
    /// Remove the key. Removing an absent key is a conflict, whatever was compared.
    Delete,
}

/// One compare-and-write of one key.
#[derive(Clone, Debug)]
pub struct Txn {
    /// The key that is compared and written.
    pub key: Arc<str>,
    /// The condition.
    pub compare: Compare,
    /// The write.
    pub op: Op,
    /// How long a written value lasts: some time after that, at most seconds late, the store deletes the key by an
    /// ordinary event. A later write without a lifetime makes the key last. No meaning for a deletion.
    pub lifetime: Option<Duration>,
}

impl Txn {
    /// A write that lasts.
    pub fn new(key: impl Into<Arc<str>>, compare: Compare, op: Op) -> Self {
        Self { key: key.into(), compare, op, lifetime: None }
    }
}

/// How a [`Txn`] ended, when the store could decide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOutcome {
    /// Written and durable.
    Committed {
        /// The revision of this write.
        revision: Revision,
        /// What the key held before.
        previous: Option<KeyValue>,
    },
    /// The comparison did not hold; nothing was written.
    Conflict {
        /// What the key holds.
        current: Option<KeyValue>,
    },
}

/// What one revision changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key that changed.
    pub key: Arc<str>,
    /// The revision of the change; no other event has it.
    pub revision: Revision,
    /// When the key was created; of a deletion, when the deleted one was.
    pub create_revision: Revision,
    /// The change.
    pub kind: EventKind,
}

/// The change of an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The key was created or updated.
    Put {
        /// The new value.
        value: Bytes,
        /// The value before; absent when the key was created.
        previous: Option<Bytes>,
    },
    /// The key was removed.
    Delete {
        /// The last value.
        previous: Bytes,
    },
}

/// A stretch of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The events, in order; empty when nothing but the revision is new.
    pub events: Vec<Arc<Event>>,
    /// All events up to here are delivered with this batch. Above the last event's revision where others write to the
    /// same store, never below the batch before.
    pub revision: Revision,
}

/// The keys under a prefix at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The found keys, in key order (by bytes).
    pub items: Vec<KeyValue>,
    /// The revision that `items` is the state of: the asked one, else the current one.
    pub revision: Revision,
}

/// A revisioned key-value store. Every method may be called at any time by any task.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads one key, now or at a revision of the kept history.
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError>;

    /// Reads all keys that start with `prefix`, now or at a revision of the kept history.
    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError>;

    /// Reads the first `limit` of the keys above `after` that start with `prefix`, at a revision of the kept history. A
    /// store that is not in memory should read no more than these.
    async fn page(&self, prefix: &str, after: &str, limit: usize, at: Revision) -> Result<Range, StoreError> {
        let mut range = self.range(prefix, Some(at)).await?;
        let start = range.items.partition_point(|item| *item.key <= *after);
        range.items = range.items.into_iter().skip(start).take(limit).collect();
        Ok(range)
    }

    /// Compares and writes one key. Returns only after the write is durable; an error leaves open whether it happened,
    /// except for [`StoreError::Full`] and [`StoreError::TooLarge`]: then it did not.
    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError>;

    /// The revision of the last durable write.
    async fn current_revision(&self) -> Result<Revision, StoreError>;

    /// The same, where the store knows it without asking anybody; reads that want the newest then cost no question.
    fn known_revision(&self) -> Option<Revision> {
        None
    }

    /// The oldest revision that can be read, and watched after; the history before it is forgotten.
    async fn oldest_revision(&self) -> Result<Revision, StoreError>;

    /// Every event with a revision above `after`, over the whole keyspace, in order and without a gap.
    async fn watch(&self, after: Revision) -> Result<Watch, StoreError>;

    /// Forgets the history before `revision`: older reads and watches fail with [`StoreError::Compacted`] from now on.
    async fn compact(&self, revision: Revision) -> Result<(), StoreError>;

    /// Whether writes are accepted, as far as the store knows without trying; for readiness checks.
    ///
    /// # Errors
    /// The reason why writes fail until the store is opened again, such as an earlier disk error.
    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    /// Makes everything durable and releases what the store holds. Watches end; later calls fail with
    /// [`StoreError::Closed`]. Closing twice is fine.
    async fn close(&self) -> Result<(), StoreError>;
}

/// A stream of events. One that lags behind the kept history ends with [`StoreError::Compacted`]; it never slows a writer.
pub struct Watch(Box<dyn WatchSource>);

impl Watch {
    /// Wraps a store's own event source.
    pub fn new(source: impl WatchSource + 'static) -> Self {
        Self(Box::new(source))
    }

    /// Waits for the next batch, of bounded length. `None` after the store closed or after an error.
    pub async fn next(&mut self) -> Option<Result<Batch, StoreError>> {
        self.0.next().await
    }
}

/// What a store implements to feed a [`Watch`].
#[async_trait]
pub trait WatchSource: Send {
    /// See [`Watch::next`]; has to be cancel-safe.
    async fn next(&mut self) -> Option<Result<Batch, StoreError>>;
}
