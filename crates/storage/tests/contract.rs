//! The contract, run on every store of this crate; the embedded one also while it is closed and opened again.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use detectviz_storage::{
    KeyValue, Range, Revision, Store, StoreError, Txn, TxnOutcome, Watch, contract_tests,
    embedded::{Embedded, EmbeddedOptions},
    memory::Memory,
};
use tempfile::TempDir;
use tokio::sync::RwLock;

contract_tests!(memory, async { (super::Memory::new(), ()) });
contract_tests!(embedded, super::embedded_store());
contract_tests!(reopened, super::reopened_store());

async fn embedded_store() -> (Arc<dyn Store>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open(dir.path()), dir)
}

async fn reopened_store() -> (Arc<dyn Store>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let inner = RwLock::new(open(dir.path()));
    (Arc::new(Reopened { inner, dir: dir.path().into(), closed: AtomicBool::new(false) }), dir)
}

fn open(dir: &Path) -> Arc<Embedded> {
    Embedded::open(dir, EmbeddedOptions::default()).unwrap()
}

/// Closes and opens the store before each range and watch.
struct Reopened {
    inner: RwLock<Arc<Embedded>>,
    dir: Box<Path>,
    closed: AtomicBool,
}

impl Reopened {
    async fn reopen(&self) -> Arc<Embedded> {
        let mut inner = self.inner.write().await;
        if !self.closed.load(Ordering::Relaxed) {
            inner.close().await.unwrap();
            *inner = open(&self.dir);
        }
        inner.clone()
    }

    async fn inner(&self) -> Arc<Embedded> {
        self.inner.read().await.clone()
    }
}

#[async_trait]
impl Store for Reopened {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        self.inner().await.get(key, at).await
    }

    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        self.reopen().await.range(prefix, at).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.inner().await.txn(txn).await
    }

    async fn current_revision(&self) -> Result<Revision, StoreError> {
        self.inner().await.current_revision().await
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.inner().await.oldest_revision().await
    }

    async fn watch(&self, after: Revision) -> Result<Watch, StoreError> {
        self.reopen().await.watch(after).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.reopen().await.compact(revision).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::Relaxed);
        self.inner().await.close().await
    }
}
