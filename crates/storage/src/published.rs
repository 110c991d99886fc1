//! What readers and watchers see: the newest durable index, and whether writes are accepted.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use tokio::sync::watch;

use crate::{Batch, Revision, StoreError, Watch, WatchSource, index::Index};

/// The longest batch that a watch hands out.
const WATCH_BATCH: usize = 1024;

/// The durable index, for readers and watchers. Reading takes no lock.
pub(crate) struct Published {
    index: ArcSwap<Index>,
    changed: watch::Sender<()>,
    closed: AtomicBool,
    /// Why nothing is written any more.
    failed: OnceLock<String>,
    /// Why nothing is written but deletions, for now.
    full: ArcSwapOption<String>,
}

impl Published {
    pub(crate) fn new(index: Index) -> Arc<Self> {
        let (index, changed) = (ArcSwap::from_pointee(index), watch::Sender::new(()));
        let (closed, failed, full) = (AtomicBool::new(false), OnceLock::new(), ArcSwapOption::empty());
        Arc::new(Self { index, changed, closed, failed, full })
    }

    pub(crate) fn load(&self) -> Result<Arc<Index>, StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(self.index.load_full()) }
    }

    pub(crate) fn publish(&self, index: Index) {
        self.index.store(Arc::new(index));
        self.changed.send_replace(());
    }

    /// Whether all writes are accepted; after [`StoreError::Full`] deletions still are.
    pub(crate) fn health(&self) -> Result<(), StoreError> {
        self.load()?;
        if let Some(reason) = self.failed.get() {
            return Err(StoreError::ReadOnly { reason: reason.clone() });
        }
        match &*self.full.load() {
            Some(reason) => Err(StoreError::Full { reason: String::clone(reason) }),
            None => Ok(()),
        }
    }

    /// Refuses all writes but deletions, for the reason, until there is none.
    pub(crate) fn set_full(&self, reason: Option<String>) {
        self.full.store(reason.map(Arc::new));
    }

    /// Refuses all writes from now on; the first reason stays.
    pub(crate) fn fail(&self, reason: String) {
        self.failed.get_or_init(|| reason);
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.send_replace(());
    }

    /// Tells of each publication, and of the end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
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
        let events: Vec<_> = index.events(self.position).take(WATCH_BATCH).cloned().collect();
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
