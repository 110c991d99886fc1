//! Several stores on one etcd, and others beside them.

use std::sync::Arc;

use detectviz_storage::{
    Store, StoreError,
    cache::{Cache, CacheOptions},
    etcd::{Etcd as EtcdStore, EtcdOptions},
};
use detectviz_tests::{Etcd, EtcdLine};

use crate::support::{BOUND, LINES, create, events_until, open, options, start};

/// A store of somebody else on the same etcd.
async fn stranger(etcd: &Etcd) -> Arc<EtcdStore> {
    EtcdStore::open(EtcdOptions { prefix: "/stranger".to_owned(), ..options(&[etcd.port()]) }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_what_others_wrote_though_no_event_tells() {
    for line in LINES {
        let etcd = start(line).await;
        let (store, stranger) = (open(&etcd).await, stranger(&etcd).await);
        let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
        for number in 0..20 {
            let written = create(&stranger, &format!("/{number}"), "x").await;
            tokio::time::timeout(BOUND, cache.fresh()).await.expect("the cache catches up").unwrap();
            assert!(cache.applied_revision() >= written);
        }
        assert!(store.range("", None).await.unwrap().items.is_empty(), "a stranger's keys are not ours");
        cache.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_share_what_it_takes_to_be_fresh() {
    for line in LINES {
        let etcd = start(line).await;
        let (store, stranger) = (open(&etcd).await, stranger(&etcd).await);
        let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
        let written = create(&stranger, "/a", "x").await;
        let readers = (0..200).map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move {
                cache.fresh().await.unwrap();
                assert!(cache.applied_revision() >= written);
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            tokio::time::timeout(BOUND, reader).await.unwrap().unwrap();
        }
        let now = store.current_revision().await.unwrap();
        assert!(now - written <= 5, "{} writes for 200 readers", now - written);
        cache.stop().await;
    }
}

/// The heart of linearizability: whoever was told of a write by anybody finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_current_revision_is_never_older_than_the_question() {
    let etcd = start(EtcdLine::Current).await;
    let (writer, reader) = (open(&etcd).await, open(&etcd).await);
    let tasks = (0..16).map(|number| {
        let (writer, reader) = (writer.clone(), reader.clone());
        tokio::spawn(async move {
            for step in 0..25 {
                let written = create(&writer, &format!("/{number}/{step}"), "x").await;
                assert!(reader.current_revision().await.unwrap() >= written);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_is_resumed_on_another_store() {
    let etcd = start(EtcdLine::Current).await;
    let (a, b) = (open(&etcd).await, open(&etcd).await);
    let mut watch = a.watch(a.current_revision().await.unwrap()).await.unwrap();
    let first = create(&b, "/1", "x").await;
    assert_eq!(events_until(&mut watch, first).await.len(), 1);
    drop(watch);
    let second = create(&a, "/2", "x").await;
    let events = events_until(&mut b.watch(first).await.unwrap(), second).await;
    assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), [second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_one_decides_and_everybody_learns_it() {
    let etcd = start(EtcdLine::Current).await;
    let stores = [open(&etcd).await, open(&etcd).await];
    assert_eq!(stores[0].agree("pki", "one").await.unwrap(), "one");
    assert_eq!(stores[1].agree("pki", "two").await.unwrap(), "one");
    assert_eq!(stores[0].agree("pki", "one").await.unwrap(), "one");
    assert!(stores[0].range("", None).await.unwrap().items.is_empty(), "it is no key of the store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_all_that_is_under_way() {
    let etcd = start(EtcdLine::Current).await;
    let store = open(&etcd).await;
    etcd.pause();
    // The question is under way when the store is closed.
    let both = async { tokio::join!(store.current_revision(), store.close()) };
    let (asked, closed) = tokio::time::timeout(BOUND, both).await.expect("it does not wait for etcd");
    closed.unwrap();
    assert!(matches!(asked, Err(StoreError::Closed)), "{asked:?}");
    etcd.resume();
}
