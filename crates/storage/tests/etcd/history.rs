//! History is finite: compaction, expiry, and what is too long for one message.

use std::time::Duration;

use detectviz_storage::{
    Compare, EventKind, Store, StoreError, Txn, TxnOutcome,
    etcd::{Etcd as EtcdStore, EtcdOptions},
};
use detectviz_tests::EtcdLine;

use crate::{
    proxy::Proxy,
    support::{BOUND, LINES, create, events_until, open, options, start, value},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_is_behind_a_compaction_ends_with_it() {
    for line in LINES {
        let etcd = start(line).await;
        let proxy = Proxy::to(etcd.port()).await;
        let (far, near) = (EtcdStore::open(options(&[proxy.port()])).await.unwrap(), open(&etcd).await);
        let base = far.current_revision().await.unwrap();
        let mut watch = far.watch(base).await.unwrap();
        proxy.cut().await;
        for number in 0..10 {
            create(&near, &format!("/{number}"), "x").await;
        }
        near.compact(base + 5).await.unwrap();
        proxy.mend();
        let end = tokio::time::timeout(BOUND, watch.next()).await.unwrap().unwrap();
        let Err(StoreError::Compacted { requested, oldest }) = end else { panic!("{end:?}") };
        assert_eq!((requested, oldest), (base, base + 5));
        assert!(watch.next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_compact_together() {
    let etcd = start(EtcdLine::Current).await;
    let interval = Some(Duration::from_millis(100));
    let compacting = || EtcdOptions { compaction_interval: interval, ..options(&[etcd.port()]) };
    let stores = [EtcdStore::open(compacting()).await.unwrap(), EtcdStore::open(compacting()).await.unwrap()];
    let written = create(&stores[0], "/a", "x").await;
    let forgotten = async {
        while stores[1].oldest_revision().await.unwrap() <= written {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(BOUND, forgotten).await.expect("history is compacted");
    assert!(stores[1].get("/a", None).await.unwrap().is_some());
    let gone = stores[0].get("/a", Some(written)).await;
    assert!(matches!(gone, Err(StoreError::Compacted { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_with_a_lifetime_ends_by_an_event_of_its_own() {
    for line in LINES {
        let etcd = start(line).await;
        let store = open(&etcd).await;
        let mut watch = store.watch(store.current_revision().await.unwrap()).await.unwrap();
        let mut last = 0;
        for key in ["/a", "/b", "/kept"] {
            let lifetime = Some(Duration::from_secs(1));
            let txn = Txn { lifetime, ..Txn::new(key, Compare::Absent, value(key)) };
            let TxnOutcome::Committed { revision, .. } = store.txn(txn).await.unwrap() else {
                panic!("{key}")
            };
            last = revision;
        }
        let keep = Txn::new("/kept", Compare::ModRevision(last), value("for ever"));
        assert!(matches!(store.txn(keep).await.unwrap(), TxnOutcome::Committed { .. }));
        let mut deleted = Vec::new();
        while deleted.len() < 2 {
            let batch = tokio::time::timeout(BOUND, watch.next()).await.unwrap().unwrap().unwrap();
            let ends =
                batch.events.into_iter().filter(|event| matches!(event.kind, EventKind::Delete { .. }));
            deleted.extend(ends.map(|event| (event.revision, event.key.to_string())));
        }
        assert_ne!(deleted[0].0, deleted[1].0, "one event a revision");
        deleted.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!([&deleted[0].1, &deleted[1].1], ["/a", "/b"]);
        let left = store.range("/", None).await.unwrap().items;
        assert_eq!(left.iter().map(|item| &*item.key).collect::<Vec<_>>(), ["/kept"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_range_is_read_in_pages_of_one_revision() {
    let etcd = start(EtcdLine::Current).await;
    let store = open(&etcd).await;
    let long = "x".repeat(1 << 20);
    // The first page would be 64 MiB and more, which is longer than a message may be.
    for number in 0..70 {
        create(&store, &format!("/long/{number:04}"), &long).await;
    }
    let mut last = 0;
    for number in 0..3000 {
        last = create(&store, &format!("/short/{number:04}"), "x").await;
    }
    let range = store.range("/", None).await.unwrap();
    assert_eq!((range.revision, range.items.len()), (last, 3070));
    assert!(range.items.is_sorted_by(|a, b| a.key < b.key));
    assert!(range.items[..70].iter().all(|item| item.value.len() == long.len()));
    let before = store.range("/short/", Some(last - 1)).await.unwrap();
    assert_eq!((before.revision, before.items.len()), (last - 1, 2999));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_events_come_in_fragments_and_are_whole() {
    let etcd = start(EtcdLine::Current).await;
    let store = open(&etcd).await;
    let base = store.current_revision().await.unwrap();
    let long = "x".repeat(1 << 20);
    let mut last = create(&store, "/a", &long).await;
    for _ in 0..10 {
        let update = Txn::new("/a", Compare::ModRevision(last), value(&long));
        let TxnOutcome::Committed { revision, .. } = store.txn(update).await.unwrap() else { panic!() };
        last = revision;
    }
    // Behind, so that etcd sends all in one response, which is cut in pieces.
    let events = events_until(&mut store.watch(base).await.unwrap(), last).await;
    crate::support::check_history(&events);
    assert_eq!(events.len(), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_and_not_written() {
    for line in LINES {
        let etcd = start(line).await;
        let store = open(&etcd).await;
        for size in [2 << 20, 20 << 20] {
            let outcome = store.txn(Txn::new("/a", Compare::Absent, value(&"x".repeat(size)))).await;
            assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{outcome:?}");
        }
        assert_eq!(store.get("/a", None).await.unwrap(), None);
        assert!(store.health().is_ok());
    }
}
