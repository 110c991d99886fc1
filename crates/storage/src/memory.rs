//! The embedded store without its log: what is in memory counts as durable. For tests and throw-away servers.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::{
    KeyValue, Range, Revision, Store, StoreError, Txn, TxnOutcome, Watch, expiry, history::HistoryLimits,
    index::Index, published::Published,
};

/// A store that forgets everything when it is dropped.
pub struct Memory {
    writer: Arc<Writer>,
    /// Deletes what ends; there is none before the first value that does.
    expirer: OnceLock<JoinHandle<()>>,
}

/// Whoever makes the next index holds `turn`; readers never take it.
struct Writer {
    published: Arc<Published>,
    turn: Mutex<()>,
}

impl Writer {
    fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Index::clone(&*self.published.load()?);
        let result = change(&mut next);
        self.published.publish(next);
        Ok(result)
    }

    /// Deletes keys when they end, until the store is closed.
    async fn expire(self: Arc<Self>) {
        let mut changed = self.published.subscribe();
        while let Ok(index) = self.published.load() {
            let due = index.next_due();
            if due.is_some_and(|due| due <= expiry::now()) {
                // An error means closed, which ends the loop.
                _ = self.write(|next| {
                    for deletion in next.expired(expiry::now(), expiry::ROUND) {
                        next.decide(&deletion, None);
                    }
                });
                continue;
            }
            let next_change = changed.changed();
            match due {
                Some(due) => _ = tokio::time::timeout(expiry::until(due), next_change).await,
                None => _ = next_change.await,
            }
        }
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        Self::with_history(HistoryLimits::default())
    }

    /// An empty store that keeps this much history.
    pub fn with_history(limits: HistoryLimits) -> Arc<Self> {
        let published = Published::new(Index::new(limits));
        let writer = Arc::new(Writer { published, turn: Mutex::new(()) });
        Arc::new(Self { writer, expirer: OnceLock::new() })
    }

    fn published(&self) -> &Arc<Published> {
        &self.writer.published
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(expirer) = self.expirer.get() {
            expirer.abort();
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        self.published().load()?.get(key, at)
    }

    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        self.published().load()?.range(prefix, at)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        let expires = expiry::deadline(&txn);
        if expires.is_some() {
            self.expirer.get_or_init(|| tokio::spawn(self.writer.clone().expire()));
        }
        self.writer.write(|next| next.decide(&txn, expires).0)
    }

    async fn current_revision(&self) -> Result<Revision, StoreError> {
        Ok(self.published().load()?.revision())
    }

    fn known_revision(&self) -> Option<Revision> {
        self.published().load().ok().map(|index| index.revision())
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        Ok(self.published().load()?.oldest())
    }

    async fn watch(&self, after: Revision) -> Result<Watch, StoreError> {
        self.published().watch(after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.writer.write(|next| next.compact(revision))?
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.published().close();
        Ok(())
    }
}
