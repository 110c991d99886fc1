//! Who is woken by what: a change costs those whom it concerns, and nobody else.

use std::{
    sync::atomic::AtomicUsize,
    task::{Context, Poll, Wake, Waker},
};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::*;
use crate::{Batch, Event, EventKind, KeyValue, Range, Watch, WatchSource};

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A watcher with its own count of wake-ups.
struct Sleeper {
    watcher: Watcher,
    woken: Arc<Woken>,
}

impl Sleeper {
    fn new(watcher: Watcher) -> Self {
        let mut sleeper = Self { watcher, woken: Arc::default() };
        assert_eq!(sleeper.look(), None);
        sleeper
    }

    /// The next event's revision, if there is one now.
    fn look(&mut self) -> Option<Revision> {
        let waker = Waker::from(self.woken.clone());
        match self.watcher.poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(event) => Some(event.unwrap().unwrap().revision),
            Poll::Pending => None,
        }
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_change_wakes_those_whom_it_concerns_and_the_others_miss_nothing() {
    let store = Memory::new();
    let options = CacheOptions { window_events: 10, ..CacheOptions::default() };
    let cache = Cache::start(store.clone(), options).await.unwrap();
    let key = keys::object_key(PREFIX, Some("n"), "a");
    let within = [PREFIX.to_owned(), keys::namespace_prefix(PREFIX, "n"), key];
    let [mut all, mut namespace, mut one] =
        within.map(|within| Sleeper::new(cache.list_and_watch(PREFIX, &within).1));
    // Far more than the window keeps, and none of it for the two.
    for number in 0..50 {
        let revision = put(&store, PREFIX, &format!("elsewhere/{number}"), "1").await;
        cache.fresh().await.unwrap();
        assert_eq!(all.look(), Some(revision));
        assert_eq!(all.look(), None);
    }
    let other = put(&store, PREFIX, "n/ab", "1").await;
    cache.fresh().await.unwrap();
    assert_eq!([all.woken(), namespace.woken(), one.woken()], [51, 1, 0]);
    assert_eq!((namespace.look(), namespace.look(), one.look()), (Some(other), None, None));
    assert_eq!(one.watcher.progress(), other);

    let mine = put(&store, PREFIX, "n/a", "1").await;
    cache.fresh().await.unwrap();
    assert_eq!(one.woken(), 1);
    assert!(one.watcher.progress() < mine, "it is not told yet");
    assert_eq!((one.look(), namespace.look(), one.look()), (Some(mine), Some(mine), None));
    assert_eq!(one.watcher.progress(), mine);
}

#[tokio::test]
async fn the_end_of_the_cache_wakes_all() {
    let store = Memory::new();
    let cache = start(&store).await;
    let mut sleeper = Sleeper::new(cache.list_and_watch(PREFIX, PREFIX).1);
    cache.stop().await;
    assert_eq!(sleeper.woken(), 1);
    assert!(sleeper.watcher.next().await.is_none());
}

#[tokio::test]
async fn draining_wakes_all_and_ends_none() {
    let store = Memory::new();
    let cache = start(&store).await;
    let mut sleeper = Sleeper::new(cache.list_and_watch(PREFIX, PREFIX).1);
    assert_eq!((sleeper.look(), sleeper.watcher.is_draining()), (None, false));
    cache.drain();
    assert_eq!((sleeper.woken(), sleeper.watcher.is_draining()), (1, true));
    let revision = put(&store, PREFIX, "n/a", "1").await;
    cache.fresh().await.unwrap();
    assert_eq!(sleeper.look(), Some(revision));
}

#[tokio::test]
async fn what_was_not_delivered_at_the_end_is_not_counted_as_seen() {
    let store = Memory::new();
    let cache = start(&store).await;
    let mut watcher = cache.list_and_watch(PREFIX, PREFIX).1;
    let revision = put(&store, PREFIX, "n/a", "1").await;
    cache.fresh().await.unwrap();
    cache.stop().await;
    assert!(watcher.next().await.is_none());
    assert!(watcher.progress() < revision);
}

/// A store that others write to as well: the test says how far its event stream is, and how new it is.
struct Foreign {
    store: Arc<Memory>,
    batches: std::sync::Mutex<Option<mpsc::Receiver<Batch>>>,
    revision: AtomicU64,
}

struct Batches(mpsc::Receiver<Batch>);

#[async_trait]
impl WatchSource for Batches {
    async fn next(&mut self) -> Option<Result<Batch, StoreError>> {
        self.0.recv().await.map(Ok)
    }
}

#[async_trait]
impl Store for Foreign {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        self.store.get(key, at).await
    }

    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        self.store.range(prefix, at).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.store.txn(txn).await
    }

    async fn current_revision(&self) -> Result<Revision, StoreError> {
        Ok(self.revision.load(Ordering::Relaxed))
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.store.oldest_revision().await
    }

    async fn watch(&self, _after: Revision) -> Result<Watch, StoreError> {
        Ok(Watch::new(Batches(self.batches.lock().unwrap().take().unwrap())))
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.store.compact(revision).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

#[tokio::test]
async fn progress_alone_reaches_readers_and_bookmarks_and_wakes_no_watcher() {
    let (send, batches) = mpsc::channel(1);
    let batches = std::sync::Mutex::new(Some(batches));
    let store = Arc::new(Foreign { store: Memory::new(), batches, revision: AtomicU64::new(1) });
    let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
    let sleeper = Sleeper::new(cache.list_and_watch(PREFIX, PREFIX).1);
    store.revision.store(40, Ordering::Relaxed);
    let readers = (0..100).map(|_| cache.fresh());
    let fed = async { send.send(Batch { events: Vec::new(), revision: 40 }).await.unwrap() };
    let (read, ()) = tokio::join!(futures(readers), fed);
    assert!(read.iter().all(Result::is_ok));
    assert_eq!((sleeper.watcher.progress(), sleeper.woken()), (40, 0));
    assert_eq!((cache.list(PREFIX, PREFIX).revision, cache.reads().consistent), (40, 100));
    // A stream that is resumed may tell less; nobody sees the past.
    send.send(Batch { events: Vec::new(), revision: 30 }).await.unwrap();
    send.send(Batch { events: Vec::new(), revision: 41 }).await.unwrap();
    cache.applied(41).await.unwrap();
    assert_eq!(cache.applied_revision(), 41);
}

#[tokio::test]
async fn several_changes_at_once_end_the_watches_that_they_concern() {
    let (send, batches) = mpsc::channel(1);
    let batches = std::sync::Mutex::new(Some(batches));
    let memory = Memory::new();
    for name in ["n/a", "n/b", "n/c", "n/d"] {
        put(&memory, PREFIX, name, "1").await;
    }
    let store = Arc::new(Foreign { store: memory, batches, revision: AtomicU64::new(1) });
    store.store.compact(5).await.unwrap();
    let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
    let watch = |within: String| Sleeper::new(cache.list_and_watch(PREFIX, &within).1);
    let [mut all, mut one, mut other] =
        [watch(PREFIX.to_owned()), watch(format!("{PREFIX}n/a")), watch(format!("{PREFIX}n/d"))];
    assert_eq!((all.look(), one.look(), other.look()), (None, None, None));
    let deleted = |name: &str| {
        let kind = EventKind::Delete { previous: Bytes::new() };
        Arc::new(Event { key: format!("{PREFIX}{name}").into(), revision: 6, create_revision: 2, kind })
    };
    let events = ["n/a", "n/b", "n/c"].map(deleted).into();
    send.send(Batch { events, revision: 6 }).await.unwrap();
    cache.applied(6).await.unwrap();
    assert_eq!([all.woken(), one.woken(), other.woken()], [1, 1, 0]);
    for watcher in [&mut all.watcher, &mut one.watcher] {
        let end = watcher.next().await;
        assert!(matches!(end, Some(Err(CacheError::Expired { requested: 5, oldest: 6 }))), "{end:?}");
    }
    assert_eq!((other.look(), other.watcher.progress()), (None, 6));
    assert_eq!(names(&cache.list_at(PREFIX, PREFIX, 6).unwrap()), ["n/d"]);
    assert!(cache.list_at(PREFIX, PREFIX, 5).is_err());
    assert_eq!(cache.stats().window_events, 0);
}

#[tokio::test]
async fn a_difference_has_room_for_what_was_deleted_at_once() {
    let store = Memory::new();
    for name in ["n/a", "n/b", "n/c"] {
        put(&store, PREFIX, name, "1").await;
    }
    let cache = start(&store).await;
    let gone = |revision| resync::difference(&cache.shared, Range { items: Vec::new(), revision });
    let revisions: Vec<_> = gone(5).unwrap().iter().map(|event| event.revision).collect();
    assert_eq!(revisions, [5, 5, 5]);
    assert!(gone(4).is_err(), "this is another history");
}

/// All results, the futures being polled together.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        for (one, done) in &mut all {
            if done.is_none()
                && let Poll::Ready(result) = one.as_mut().poll(cx)
            {
                *done = Some(result);
            }
        }
        if all.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_never_goes_back_in_time() {
    let store = Memory::new();
    let cache = start(&store).await;
    let reader = {
        let cache = cache.clone();
        tokio::spawn(async move {
            let mut last = 0;
            while last < 300 {
                let listing = cache.list(PREFIX, PREFIX);
                let newest = listing.iter().map(|object| object.revision).max().unwrap_or_default();
                assert!(listing.revision >= last && listing.revision >= newest);
                last = listing.revision;
                tokio::task::yield_now().await;
            }
        })
    };
    for number in 0..300 {
        put(&store, PREFIX, &format!("n/{number}"), "1").await;
    }
    reader.await.unwrap();
}
