//! Think of the cache as the store's event stream, folded into one immutable snapshot per resource: readers load a
//! snapshot and are done; only the feed replaces it. No reader takes a lock that the feed holds.

mod encodings;
mod feed;
mod listing;
mod object;
mod registry;
mod resource;
mod resync;
mod stats;
mod waiters;
mod watcher;
mod windows;

#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use std::time::{Duration, Instant};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{encodings::Encodings, registry::Registry, stats::Reads};
pub use self::{
    encodings::Form,
    listing::Listing,
    object::{Meta, Object, ObjectError},
    resource::{WatchEvent, WatchKind},
    stats::{CacheStats, ReadStats, ResourceStats, WAIT_BOUNDS},
    watcher::Watcher,
};
use crate::{Revision, Store, StoreError, keys};

/// How long a reader waits for what the store has and the feed has not brought.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much history each resource keeps for resuming watches; a window ends at whichever bound is reached first, but
/// the newest 100 events are kept whatever their bytes.
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// Events per resource.
    pub window_events: usize,
    /// Bytes of serialized objects in the events of a resource, each counted once.
    pub window_bytes: usize,
    /// The same over all resources: above it, the largest windows are cut first.
    pub total_window_bytes: usize,
    /// Bytes of events that are kept encoded for several watchers, over all resources.
    pub encoding_bytes: usize,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            window_events: 4096,
            window_bytes: 8 << 20,
            total_window_bytes: 64 << 20,
            encoding_bytes: 16 << 20,
        }
    }
}

/// An error of the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The watch would have to start, or has fallen, before the kept window: list again.
    #[error("watch after revision {requested}: expired, the oldest kept is {oldest}")]
    Expired {
        /// What was asked for, or how far a slow watcher had come.
        requested: Revision,
        /// The oldest revision to watch after, or to list at.
        oldest: Revision,
    },
    /// The asked revision does not exist yet, even in the store.
    #[error("read revision {requested}: the current one is {current}")]
    Future {
        /// What was asked for.
        requested: Revision,
        /// The newest revision.
        current: Revision,
    },
    /// The feed from the store is broken, so that the cache may be behind.
    #[error("read cache: its feed is broken: {0}")]
    Unhealthy(String),
    /// The cache was stopped.
    #[error("read cache: stopped")]
    Stopped,
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far the feed is, and why it is stuck if it is.
#[derive(Clone, Debug, Default)]
struct Progress {
    revision: Revision,
    broken: Option<String>,
}

/// What the feed, the readers and the watchers share.
struct Shared {
    store: Arc<dyn Store>,
    options: CacheOptions,
    registry: Registry,
    /// Every event up to here is in the snapshots. Raised only after they are published.
    applied: AtomicU64,
    progress: watch::Sender<Progress>,
    stopping: CancellationToken,
    /// What watchers see of `stopping`.
    stopped: AtomicBool,
    /// Whether watches are to end while all else goes on.
    draining: AtomicBool,
    watchers: AtomicUsize,
    encodings: Encodings,
    /// Bytes of all windows; only the feed writes it.
    window_bytes: AtomicUsize,
    /// Above these bytes windows are cut; only the feed writes it.
    window_limit: AtomicUsize,
    reads: Reads,
}

impl Shared {
    fn applied(&self) -> Revision {
        self.applied.load(Ordering::Acquire)
    }

    fn stop(&self) {
        self.stopping.cancel();
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        for resource in self.registry.all().values() {
            resource.waiters.all().into_iter().for_each(std::task::Waker::wake);
        }
    }
}

/// The watch cache of one store.
pub struct Cache {
    shared: Arc<Shared>,
    feed: Mutex<Option<JoinHandle<()>>>,
}

impl Cache {
    /// Loads all objects as they were at the oldest kept revision and applies what happened since, so that watches
    /// resume across a restart; then follows the store's event stream until [`stop`](Self::stop) or drop.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(store: Arc<dyn Store>, options: CacheOptions) -> Result<Arc<Self>, StoreError> {
        let range = store.range(keys::ROOT, Some(store.oldest_revision().await?)).await?;
        let (revision, current) = (range.revision, store.current_revision().await?);
        let mut watch = store.watch(revision).await?;
        let shared = Arc::new(Shared {
            store,
            options,
            registry: Registry::load(&range),
            applied: AtomicU64::new(revision),
            progress: watch::Sender::new(Progress { revision, broken: None }),
            stopping: CancellationToken::new(),
            stopped: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            watchers: AtomicUsize::new(0),
            encodings: Encodings::new(options.encoding_bytes),
            window_bytes: AtomicUsize::new(0),
            window_limit: AtomicUsize::new(options.total_window_bytes),
            reads: Reads::default(),
        });
        feed::catch_up(&shared, &mut watch, current).await?;
        let feed = tokio::spawn(feed::run(shared.clone(), watch));
        Ok(Arc::new(Self { shared, feed: Mutex::new(Some(feed)) }))
    }

    /// Asks those who hold watchers to end them; see [`Watcher::is_draining`]. Everything goes on until then.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.wake();
    }

    /// Ends the feed and all watchers, and waits until the feed has ended. Snapshots can still be read.
    pub async fn stop(&self) {
        self.shared.stop();
        let feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(feed) = feed
            && let Err(error) = feed.await
        {
            tracing::error!(%error, "cache feed panicked");
        }
    }

    /// The object under a whole key.
    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        let resource = self.shared.registry.find(keys::prefix_of(key)?)?;
        resource.state().objects.get(key).cloned()
    }

    /// A snapshot, taken in O(1), of the objects whose key starts with `within_prefix`: the resource's prefix, or that
    /// and `NAMESPACE/`.
    pub fn list(&self, resource_prefix: &str, within_prefix: &str) -> Listing {
        // Loaded before the snapshot, which therefore has at least all events up to it.
        let applied = self.shared.applied();
        match self.shared.registry.find(resource_prefix) {
            Some(resource) => {
                resource.counts.lists.fetch_add(1, Ordering::Relaxed);
                Listing::new(&resource.state(), within_prefix, applied)
            }
            None => Listing::empty(within_prefix, applied),
        }
    }

    /// The list as it was at a revision inside the window; for the next page of a list, and for exact reads. Costs one
    /// step for each later event.
    ///
    /// # Errors
    /// [`CacheError::Expired`] when the window no longer has the revision, [`CacheError::Future`] when it is not applied
    /// yet.
    pub fn list_at(
        &self,
        resource_prefix: &str,
        within_prefix: &str,
        revision: Revision,
    ) -> Result<Listing, CacheError> {
        let current = self.shared.applied();
        if revision > current {
            return Err(CacheError::Future { requested: revision, current });
        }
        let resource = self.shared.registry.find_or_create(resource_prefix);
        let state = resource.state();
        self.shared.registry.check(revision)?;
        state.check(revision)?;
        resource.counts.lists.fetch_add(1, Ordering::Relaxed);
        Ok(Listing::at(&state, within_prefix, revision))
    }

    /// The last revision that reads see.
    pub fn applied_revision(&self) -> Revision {
        self.shared.applied()
    }

    /// Waits until reads see everything that the store holds now. Free when they already do and the store knows its
    /// revision; otherwise however many ask at once cost what the store's own question costs.
    ///
    /// # Errors
    /// When the store cannot be asked, or the feed is broken or stopped.
    pub async fn fresh(&self) -> Result<(), CacheError> {
        let fresh = match self.shared.store.known_revision() {
            Some(current) => self.applied(current).await,
            None => match self.shared.store.current_revision().await {
                Ok(current) => self.applied(current).await,
                Err(fault) => Err(fault.into()),
            },
        };
        self.shared.reads.consistent(fresh.is_ok());
        fresh
    }

    /// Waits until reads see `revision`, which the caller has from the store. Free when they already do.
    ///
    /// # Errors
    /// When the feed is broken or stopped, or 10 seconds behind.
    pub async fn applied(&self, revision: Revision) -> Result<(), CacheError> {
        if self.shared.applied() >= revision {
            return Ok(());
        }
        let since = Instant::now();
        let reached = self.reached(revision).await;
        self.shared.reads.waited(since.elapsed());
        reached
    }

    async fn reached(&self, revision: Revision) -> Result<(), CacheError> {
        let mut progress = self.shared.progress.subscribe();
        let reached = progress.wait_for(|now| now.revision >= revision || now.broken.is_some());
        tokio::select! {
            biased;
            () = self.shared.stopping.cancelled() => Err(CacheError::Stopped),
            now = timeout(PATIENCE, reached) => match now {
                Err(_) => Err(CacheError::Unhealthy("it is behind the store".to_owned())),
                Ok(Ok(now)) if now.revision >= revision => Ok(()),
                Ok(Ok(now)) => Err(CacheError::Unhealthy(now.broken.clone().unwrap_or_default())),
                Ok(Err(_)) => Err(CacheError::Stopped),
            },
        }
    }

    /// Watches every event after a revision. One that the store has and the cache not yet is waited for. `within` is a
    /// prefix as in [`Self::list`], or a whole key: then other keys cost the watcher nothing.
    ///
    /// # Errors
    /// [`CacheError::Expired`] when the window no longer reaches back to `after`, [`CacheError::Future`] when the store
    /// does not have it either.
    pub async fn watch(
        &self,
        resource_prefix: &str,
        within: &str,
        after: Revision,
    ) -> Result<Watcher, CacheError> {
        if after > self.shared.applied() {
            self.fresh().await?;
        }
        let current = self.shared.applied();
        if after > current {
            return Err(CacheError::Future { requested: after, current });
        }
        let resource = self.shared.registry.find_or_create(resource_prefix);
        self.shared.registry.check(after)?;
        resource.state().check(after)?;
        Ok(Watcher::after(self.shared.clone(), resource, within, after))
    }

    /// A snapshot, and a watcher that starts exactly at its revision.
    pub fn list_and_watch(&self, resource_prefix: &str, within: &str) -> (Listing, Watcher) {
        let resource = self.shared.registry.find_or_create(resource_prefix);
        let mut watcher = Watcher::from_now(self.shared.clone(), resource.clone(), within);
        // Taken when the watcher is told of changes already: what comes before is in the snapshot.
        let applied = self.shared.applied();
        let listing = Listing::new(&resource.state(), within, applied);
        watcher.start_at(listing.revision);
        (listing, watcher)
    }

    /// Whether the feed follows the store; the error says why not.
    ///
    /// # Errors
    /// The reason, when the feed is broken.
    pub fn health(&self) -> Result<(), String> {
        match &self.shared.progress.borrow().broken {
            Some(reason) => Err(reason.clone()),
            None => Ok(()),
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.shared.stop();
    }
}
