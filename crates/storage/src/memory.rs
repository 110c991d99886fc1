//! The embedded store without its log: what is in memory counts as durable. For tests and throw-away servers.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{
    KeyValue, Range, Revision, Store, StoreError, Txn, TxnOutcome, Watch,
    index::{HistoryLimits, Index, Published},
};

/// A store that forgets everything when it is dropped.
pub struct Memory {
    published: Arc<Published>,
    /// Held by whoever makes the next index; readers never take it.
    writer: Mutex<()>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        Self::with_history(HistoryLimits::default())
    }

    /// An empty store that keeps this much history.
    pub fn with_history(limits: HistoryLimits) -> Arc<Self> {
        Arc::new(Self { published: Published::new(Index::new(limits)), writer: Mutex::new(()) })
    }

    fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T, StoreError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Index::clone(&*self.published.load()?);
        let result = change(&mut next);
        self.published.publish(next);
        Ok(result)
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        self.published.load()?.get(key, at)
    }

    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        self.published.load()?.range(prefix, at)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.write(|next| next.decide(txn).0)
    }

    async fn current_revision(&self) -> Result<Revision, StoreError> {
        Ok(self.published.load()?.revision())
    }

    fn known_revision(&self) -> Option<Revision> {
        self.published.load().ok().map(|index| index.revision())
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        Ok(self.published.load()?.oldest())
    }

    async fn watch(&self, after: Revision) -> Result<Watch, StoreError> {
        self.published.watch(after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.write(|next| next.compact(revision))?
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.published.close();
        Ok(())
    }
}
