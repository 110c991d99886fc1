//! The cache over a memory store: what readers and watchers see, whatever the order of things.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

mod budgets;
mod wakeups;

use super::*;
use crate::{Compare, HistoryLimits, Op, Txn, TxnOutcome, memory::Memory};

const PREFIX: &str = "/registry/core/configmaps/root/";
const OTHER: &str = "/registry/core/secrets/root/";

async fn put(store: &Memory, prefix: &str, name: &str, text: &str) -> Revision {
    let value = format!(r#"{{"data":"{text}","metadata":{{"name":"{name}"}}}}"#);
    let compare = if store.get(&format!("{prefix}{name}"), None).await.unwrap().is_some() {
        Compare::Any
    } else {
        Compare::Absent
    };
    write(store, prefix, name, compare, Op::Put(Bytes::from(value))).await
}

async fn delete(store: &Memory, prefix: &str, name: &str) -> Revision {
    write(store, prefix, name, Compare::Any, Op::Delete).await
}

async fn write(store: &Memory, prefix: &str, name: &str, compare: Compare, op: Op) -> Revision {
    match store.txn(Txn::new(format!("{prefix}{name}"), compare, op)).await.unwrap() {
        TxnOutcome::Committed { revision, .. } => revision,
        TxnOutcome::Conflict { current } => panic!("{name}: {current:?}"),
    }
}

async fn start(store: &Arc<Memory>) -> Arc<Cache> {
    Cache::start(store.clone(), CacheOptions::default()).await.unwrap()
}

fn json(object: &Object) -> String {
    String::from_utf8(object.json().into()).unwrap()
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.iter().map(|object| &*object.meta.name).collect()
}

/// The next event as (kind, revision, name).
async fn next(watcher: &mut Watcher) -> (WatchKind, Revision, String) {
    let event = watcher.next().await.unwrap().unwrap();
    (event.kind, event.revision, event.object.meta.name.to_string())
}

#[tokio::test]
async fn changes_become_events_with_both_states() {
    let store = Memory::new();
    let cache = start(&store).await;
    let mut watcher = cache.watch(PREFIX, PREFIX, 1).await.unwrap();
    put(&store, PREFIX, "n/a", "1").await;
    put(&store, PREFIX, "n/a", "2").await;
    delete(&store, PREFIX, "n/a").await;

    let added = watcher.next().await.unwrap().unwrap();
    assert_eq!((added.kind, added.revision, added.previous.is_none()), (WatchKind::Added, 2, true));
    assert_eq!(json(&added.object), r#"{"data":"1","metadata":{"resourceVersion":"2","name":"n/a"}}"#);
    let modified = watcher.next().await.unwrap().unwrap();
    assert_eq!((modified.kind, modified.revision), (WatchKind::Modified, 3));
    assert_eq!((modified.object.revision, modified.object.create_revision), (3, 2));
    assert!(Arc::ptr_eq(modified.previous.as_ref().unwrap(), &added.object));
    let deleted = watcher.next().await.unwrap().unwrap();
    assert_eq!((deleted.kind, deleted.revision), (WatchKind::Deleted, 4));
    assert_eq!(json(&deleted.object), r#"{"data":"2","metadata":{"resourceVersion":"4","name":"n/a"}}"#);
    cache.stop().await;
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn reads_see_what_was_written_once_they_waited_for_it() {
    let store = Memory::new();
    put(&store, PREFIX, "n/a", "1").await;
    put(&store, PREFIX, "nn/c", "1").await;
    let cache = start(&store).await;
    let revision = put(&store, PREFIX, "n/b", "1").await;
    put(&store, OTHER, "n/x", "1").await;
    cache.applied(revision).await.unwrap();
    assert_eq!(cache.get(&format!("{PREFIX}n/b")).unwrap().revision, 4);
    cache.fresh().await.unwrap();
    assert_eq!(cache.applied_revision(), 5);
    let listing = cache.list(PREFIX, &keys::namespace_prefix(PREFIX, "n"));
    assert_eq!((names(&listing), listing.revision), (vec!["n/a", "n/b"], 5));
    assert_eq!(names(&cache.list(PREFIX, PREFIX)), ["n/a", "n/b", "nn/c"]);
    let rest: Vec<_> = listing.iter_after(&format!("{PREFIX}n/a")).map(|object| &*object.meta.name).collect();
    assert_eq!(rest, ["n/b"]);
    assert_eq!(listing.iter_after("/").count(), 2);
    assert_eq!(names(&cache.list("/registry/core/none/root/", "/registry/core/none/root/")), [""; 0]);
    let stats = cache.stats();
    assert_eq!((stats.resources, stats.objects, stats.window_events), (2, 4, 4));
    let bytes =
        [PREFIX, OTHER].map(|prefix| cache.list(prefix, prefix).iter().map(|object| object.size()).sum());
    assert_eq!(stats.bytes, bytes.iter().sum::<usize>());
}

#[tokio::test]
async fn a_watch_resumes_after_any_revision_of_the_window_and_not_before() {
    let store = Memory::new();
    let options = CacheOptions { window_events: 3, ..CacheOptions::default() };
    let cache = Cache::start(store.clone(), options).await.unwrap();
    for name in ["n/a", "n/b", "n/c", "n/d", "n/e"] {
        put(&store, PREFIX, name, "1").await;
    }
    cache.fresh().await.unwrap();
    let mut watcher = cache.watch(PREFIX, PREFIX, 4).await.unwrap();
    assert_eq!(next(&mut watcher).await, (WatchKind::Added, 5, "n/d".into()));
    assert_eq!(next(&mut watcher).await, (WatchKind::Added, 6, "n/e".into()));
    assert!(cache.watch(PREFIX, PREFIX, 3).await.is_ok());
    let expired = cache.watch(PREFIX, PREFIX, 2).await.err();
    assert!(matches!(expired, Some(CacheError::Expired { requested: 2, oldest: 3 })), "{expired:?}");
    let future = cache.watch(PREFIX, PREFIX, 7).await.err();
    assert!(matches!(future, Some(CacheError::Future { requested: 7, current: 6 })), "{future:?}");
    assert_eq!(names(&cache.list_at(PREFIX, PREFIX, 4).unwrap()), ["n/a", "n/b", "n/c"]);
    assert!(matches!(cache.list_at(PREFIX, PREFIX, 2).err(), Some(CacheError::Expired { .. })));
    assert!(matches!(cache.list_at(PREFIX, PREFIX, 7).err(), Some(CacheError::Future { .. })));
}

#[tokio::test]
async fn a_watch_waits_for_a_revision_that_only_the_store_has() {
    let store = Memory::new();
    let cache = start(&store).await;
    let revision = put(&store, PREFIX, "n/a", "1").await;
    assert_eq!(cache.applied_revision(), 1, "the feed had no chance to run");
    let watcher = cache.watch(PREFIX, PREFIX, revision).await.unwrap();
    assert_eq!(watcher.progress(), revision);
}

#[tokio::test]
async fn a_slow_watcher_is_dropped_and_a_fast_one_is_not() {
    let store = Memory::new();
    let options = CacheOptions { window_events: 3, ..CacheOptions::default() };
    let cache = Cache::start(store.clone(), options).await.unwrap();
    let (_, mut slow) = cache.list_and_watch(PREFIX, PREFIX);
    let (_, mut fast) = cache.list_and_watch(PREFIX, PREFIX);
    assert_eq!(cache.stats().watchers, 2);
    for number in 0..5 {
        let revision = put(&store, PREFIX, &format!("n/{number}"), "1").await;
        assert_eq!(next(&mut fast).await.1, revision);
    }
    let error = slow.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CacheError::Expired { requested: 1, oldest: 3 }), "{error:?}");
    assert!(slow.next().await.is_none());
    drop((slow, fast));
    assert_eq!(cache.stats().watchers, 0);
}

#[tokio::test]
async fn the_window_is_bounded_by_bytes_but_never_short_of_events() {
    let store = Memory::new();
    let options = CacheOptions { window_bytes: 200, ..CacheOptions::default() };
    let cache = Cache::start(store.clone(), options).await.unwrap();
    let (_, mut watcher) = cache.list_and_watch(PREFIX, PREFIX);
    for _ in 0..100 {
        put(&store, PREFIX, "n/a", "1").await;
    }
    cache.fresh().await.unwrap();
    assert_eq!(next(&mut watcher).await, (WatchKind::Added, 2, "n/a".into()));
    for _ in 0..50 {
        put(&store, PREFIX, "n/a", "1").await;
    }
    cache.fresh().await.unwrap();
    assert_eq!(cache.stats().window_events, 100);
    assert!(matches!(watcher.next().await, Some(Err(CacheError::Expired { oldest: 51, .. }))));
}

#[tokio::test]
async fn bytes_that_events_share_are_counted_once() {
    let store = Memory::new();
    let options = CacheOptions { window_events: 7, ..CacheOptions::default() };
    let cache = Cache::start(store.clone(), options).await.unwrap();
    for step in 0..100 {
        let name = format!("n/{}", step * 7 % 5);
        match step % 3 {
            0 if store.get(&format!("{PREFIX}{name}"), None).await.unwrap().is_some() => {
                delete(&store, PREFIX, &name).await
            }
            _ => put(&store, PREFIX, &name, &"x".repeat(step)).await,
        };
        cache.fresh().await.unwrap();
        let state = cache.shared.registry.find(PREFIX).unwrap().state();
        let objects =
            state.events.values().flat_map(|event| [Some(&event.object), event.previous.as_ref()]).flatten();
        let sizes: BTreeMap<_, _> = objects.map(|object| (Arc::as_ptr(object), object.size())).collect();
        assert_eq!(state.event_bytes, sizes.values().sum::<usize>(), "step {step}");
    }
}

#[tokio::test]
async fn progress_follows_other_resources_but_not_past_what_is_pending() {
    let store = Memory::new();
    let cache = start(&store).await;
    let (listing, mut watcher) = cache.list_and_watch(PREFIX, &keys::namespace_prefix(PREFIX, "n"));
    assert_eq!((listing.revision, watcher.progress()), (1, 1));
    put(&store, OTHER, "n/x", "1").await;
    put(&store, PREFIX, "elsewhere/a", "1").await;
    cache.fresh().await.unwrap();
    assert_eq!(watcher.progress(), 3);
    put(&store, PREFIX, "n/a", "1").await;
    put(&store, OTHER, "n/x", "2").await;
    cache.fresh().await.unwrap();
    assert!(watcher.progress() < 4);
    assert_eq!(next(&mut watcher).await, (WatchKind::Added, 4, "n/a".into()));
    assert_eq!(watcher.progress(), 5);
}

#[tokio::test]
async fn a_value_that_is_no_object_counts_as_absent() {
    let store = Memory::new();
    put(&store, PREFIX, "n/a", "1").await;
    let cache = start(&store).await;
    let (_, mut watcher) = cache.list_and_watch(PREFIX, PREFIX);
    write(&store, PREFIX, "n/a", Compare::Any, Op::Put(Bytes::from_static(b"no JSON"))).await;
    assert_eq!(next(&mut watcher).await, (WatchKind::Deleted, 3, "n/a".into()));
    put(&store, PREFIX, "n/a", "2").await;
    assert_eq!(next(&mut watcher).await, (WatchKind::Added, 4, "n/a".into()));
    assert!(cache.health().is_ok());
}

/// Follows a watcher up to a revision on top of a listing.
async fn replay(listing: &Listing, watcher: &mut Watcher, until: Revision) -> BTreeMap<Arc<str>, Bytes> {
    let items = listing.iter().map(|object| (object.key.clone(), object.json()));
    let mut state: BTreeMap<_, _> = items.collect();
    let mut revision = listing.revision;
    while watcher.progress() < until {
        let event = watcher.next().await.unwrap().unwrap();
        assert!(event.revision > revision, "in order, and after the listing");
        revision = event.revision;
        let previous = match event.kind {
            WatchKind::Deleted => state.remove(&event.object.key),
            _ => state.insert(event.object.key.clone(), event.object.json()),
        };
        assert_eq!(previous, event.previous.as_ref().map(|object| object.json()));
    }
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_with_its_watch_replays_to_the_final_state() {
    let store = Memory::new();
    let cache = start(&store).await;
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for step in 0..300 {
                let key = format!("{PREFIX}n/{}", (writer * 5 + step) % 11);
                let value = Bytes::from(format!(r#"{{"metadata":{{"name":"{writer}-{step}"}}}}"#));
                let (compare, op) = match step % 3 {
                    0 => (Compare::Absent, Op::Put(value)),
                    1 => (Compare::Any, Op::Put(value)),
                    _ => (Compare::Any, Op::Delete),
                };
                store.txn(Txn::new(key, compare, op)).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut watches = Vec::new();
    while !writers.iter().all(|writer| writer.is_finished()) {
        watches.push(cache.list_and_watch(PREFIX, PREFIX));
        tokio::task::yield_now().await;
    }
    cache.fresh().await.unwrap();
    let last = cache.list(PREFIX, PREFIX);
    let expected: BTreeMap<_, _> = last.iter().map(|object| (object.key.clone(), object.json())).collect();
    let stored = store.range(PREFIX, None).await.unwrap();
    assert!(expected.keys().eq(stored.items.iter().map(|item| &item.key)));
    for (listing, mut watcher) in watches.into_iter().take(200) {
        assert_eq!(replay(&listing, &mut watcher, last.revision).await, expected);
    }
}

#[tokio::test]
async fn lost_history_is_made_up_for() {
    let store = Memory::with_history(HistoryLimits { events: 2, bytes: 1 << 20 });
    for name in ["n/gone", "n/kept", "n/changed", "n/replaced"] {
        put(&store, PREFIX, name, "1").await;
    }
    put(&store, OTHER, "n/gone", "1").await;
    let cache = start(&store).await;
    let (listing, mut watcher) = cache.list_and_watch(PREFIX, PREFIX);
    // Nothing yields to the feed in between, so that it wakes when all but the last events are lost.
    put(&store, PREFIX, "n/changed", "2").await;
    delete(&store, PREFIX, "n/replaced").await;
    delete(&store, OTHER, "n/gone").await;
    delete(&store, PREFIX, "n/gone").await;
    put(&store, PREFIX, "n/replaced", "2").await;
    let last = put(&store, PREFIX, "n/new", "1").await;
    cache.fresh().await.unwrap();

    let state = replay(&listing, &mut watcher, last).await;
    let now = cache.list(PREFIX, PREFIX);
    assert_eq!(names(&now), ["n/changed", "n/kept", "n/new", "n/replaced"]);
    assert!(state.into_values().eq(now.iter().map(|object| object.json())));
    assert_eq!(cache.list(OTHER, OTHER).iter().count(), 0);
    let inside = cache.watch(PREFIX, PREFIX, last - 2).await.err();
    assert!(matches!(inside, Some(CacheError::Expired { .. })), "{inside:?}");
    assert!(cache.watch(PREFIX, PREFIX, last).await.is_ok());
    put(&store, PREFIX, "n/later", "1").await;
    assert_eq!(next(&mut watcher).await, (WatchKind::Added, last + 1, "n/later".into()));
}

#[tokio::test]
async fn a_broken_feed_is_reported() {
    let store = Memory::new();
    let cache = start(&store).await;
    assert_eq!(cache.health(), Ok(()));
    store.close().await.unwrap();
    let error = cache.applied(2).await.unwrap_err();
    assert_eq!(error.to_string(), "read cache: its feed is broken: event stream: ended");
    assert!(cache.health().is_err());
    assert!(matches!(cache.fresh().await, Err(CacheError::Store(StoreError::Closed))));
    cache.stop().await;
    assert!(matches!(cache.applied(2).await, Err(CacheError::Stopped)));
}
