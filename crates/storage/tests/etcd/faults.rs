//! etcd dies, hangs or is cut off, and comes back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use detectviz_storage::{
    Compare, EventKind, KeyValue, Revision, Store, StoreError, Txn, TxnOutcome, etcd::Etcd as EtcdStore,
};
use detectviz_tests::{Etcd, EtcdLine};
use tokio::task::JoinHandle;

use crate::{
    proxy::Proxy,
    support::{LINES, answers, check_history, create, events_until, open, options, start, value},
};

const WRITERS: usize = 8;

/// Writers that go on whatever happens, and what was acknowledged to them.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<BTreeMap<Revision, (String, String)>>>,
}

impl Load {
    fn start(store: &Arc<EtcdStore>) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let writer = |number| tokio::spawn(write(store.clone(), number, stop.clone(), acknowledged.clone()));
        let writers = (0..WRITERS).map(writer).collect();
        Self { stop, acknowledged, writers }
    }

    /// Waits until so many more writes are acknowledged.
    async fn acknowledges(&self, more: usize) {
        let enough = self.acknowledged.load(Ordering::Relaxed) + more;
        let wait = async {
            while self.acknowledged.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(crate::support::BOUND, wait).await.expect("writes are acknowledged");
    }

    /// What was acknowledged, by revision.
    async fn end(self) -> BTreeMap<Revision, (String, String)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for writer in self.writers {
            for (revision, write) in writer.await.unwrap() {
                assert_eq!(all.insert(revision, write), None, "a revision was acknowledged twice");
            }
        }
        all
    }
}

/// Updates one key; what failed is looked at again, as a client does.
async fn write(
    store: Arc<EtcdStore>,
    number: usize,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> BTreeMap<Revision, (String, String)> {
    let key = format!("/{number}");
    let (mut acknowledged, mut step) = (BTreeMap::new(), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let Ok(current) = store.get(&key, None).await else { continue };
        let compare = current
            .map_or(Compare::Absent, |KeyValue { mod_revision, .. }| Compare::ModRevision(mod_revision));
        step += 1;
        let text = format!("{number} {step}");
        match store.txn(Txn::new(key.as_str(), compare, value(&text))).await {
            Ok(TxnOutcome::Committed { revision, .. }) => {
                acknowledged.insert(revision, (key.clone(), text));
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(TxnOutcome::Conflict { current }) => panic!("nobody else writes {key}: {current:?}"),
            Err(StoreError::Unavailable { .. } | StoreError::Uncertain { .. }) => {}
            Err(error) => panic!("write {key}: {error}"),
        }
    }
    acknowledged
}

/// Runs a load with a watch while `fault` happens to etcd; then each acknowledged write is in the watch and in the store, and
/// the watch is the history.
async fn survives(line: EtcdLine, fault: impl AsyncFnOnce(&mut Etcd, &Proxy, &Load)) {
    let mut etcd = start(line).await;
    let proxy = Proxy::to(etcd.port()).await;
    let store = EtcdStore::open(options(&[proxy.port()])).await.unwrap();
    history_is_whole(&store, line, async |load| fault(&mut etcd, &proxy, load).await).await;
}

async fn history_is_whole(store: &Arc<EtcdStore>, line: EtcdLine, fault: impl AsyncFnOnce(&Load)) {
    let base = store.current_revision().await.unwrap();
    let mut watch = store.watch(base).await.unwrap();
    let load = Load::start(store);
    load.acknowledges(100).await;
    fault(&load).await;
    load.acknowledges(100).await;
    let acknowledged = load.end().await;

    let until = answers(store).await;
    let events = events_until(&mut watch, until).await;
    check_history(&events);
    let seen: BTreeMap<_, _> = events
        .iter()
        .map(|event| {
            let EventKind::Put { value, .. } = &event.kind else { panic!("{event:?}") };
            (event.revision, (event.key.to_string(), String::from_utf8(value.to_vec()).unwrap()))
        })
        .collect();
    for (revision, write) in &acknowledged {
        assert_eq!(seen.get(revision), Some(write), "acknowledged at {revision}");
    }
    // No one else wrote, so that each revision is an event: nothing is missing.
    let expected: Vec<_> = (base + 1..=until).filter(|revision| !is_nudge(&seen, *revision, line)).collect();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), expected);
    for item in store.range("/", None).await.unwrap().items {
        let last = seen.values().rev().find(|(key, _)| **key == *item.key).unwrap();
        assert_eq!(last.1.as_bytes(), item.value);
    }
}

/// Whether a revision may be that of the key that is written to see how far a watch is, which older lines need.
fn is_nudge(seen: &BTreeMap<Revision, (String, String)>, revision: Revision, line: EtcdLine) -> bool {
    line == EtcdLine::Installed && !seen.contains_key(&revision)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_restarted_under_load() {
    for line in LINES {
        survives(line, async |etcd, _, load| {
            for _ in 0..3 {
                etcd.kill();
                tokio::task::block_in_place(|| etcd.restart());
                load.acknowledges(50).await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_under_load() {
    for line in LINES {
        survives(line, async |_, proxy, load| {
            for _ in 0..5 {
                proxy.cut().await;
                tokio::task::yield_now().await;
                proxy.mend();
                load.acknowledges(50).await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_was_cut_off_goes_on_where_it_was() {
    let etcd = start(EtcdLine::Current).await;
    let proxy = Proxy::to(etcd.port()).await;
    let (far, near) = (EtcdStore::open(options(&[proxy.port()])).await.unwrap(), open(&etcd).await);
    let mut watch = far.watch(far.current_revision().await.unwrap()).await.unwrap();
    let mut last = create(&near, "/0", "before").await;
    assert_eq!(events_until(&mut watch, last).await.len(), 1);
    proxy.cut().await;
    for number in 1..100 {
        last = create(&near, &format!("/{number}"), "while it is cut off").await;
    }
    proxy.mend();
    let events = events_until(&mut watch, last).await;
    check_history(&events);
    assert_eq!(events.len(), 99);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_etcd_leaves_writes_uncertain_and_reads_unavailable() {
    let etcd = start(EtcdLine::Current).await;
    let impatient = detectviz_storage::etcd::EtcdOptions {
        request_timeout: Duration::from_millis(300),
        ..options(&[etcd.port()])
    };
    let store = EtcdStore::open(impatient).await.unwrap();
    let first = create(&store, "/a", "1").await;
    let mut watch = store.watch(first).await.unwrap();
    etcd.pause();
    let update = Txn::new("/a", Compare::ModRevision(first), value("2"));
    let written = store.txn(update.clone()).await;
    assert!(matches!(written, Err(StoreError::Uncertain { .. })), "{written:?}");
    let read = store.get("/a", None).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    let asked = store.current_revision().await;
    assert!(matches!(asked, Err(StoreError::Unavailable { .. })), "{asked:?}");
    assert!(store.health().is_err());
    etcd.resume();
    let well = async {
        while store.health().is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(crate::support::BOUND, well).await.expect("it is well again though nobody asks");
    let now = answers(&store).await;
    // Whether the write happened is open; that it happened once at most is not.
    let events = events_until(&mut watch, now.max(create(&store, "/b", "3").await)).await;
    assert!(events.len() <= 2, "{events:?}");
    check_history_after(&events, "1");
}

fn check_history_after(events: &[Arc<detectviz_storage::Event>], first: &str) {
    for event in events.iter().filter(|event| &*event.key == "/a") {
        let EventKind::Put { value, previous } = &event.kind else { panic!("{event:?}") };
        assert_eq!((&value[..], previous.as_deref()), (&b"2"[..], Some(first.as_bytes())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_is_not_there_is_a_plain_refusal() {
    let mut etcd = start(EtcdLine::Current).await;
    let impatient = detectviz_storage::etcd::EtcdOptions {
        request_timeout: Duration::from_millis(300),
        ..options(&[etcd.port()])
    };
    let store = EtcdStore::open(impatient.clone()).await.unwrap();
    etcd.kill();
    // Nothing was sent, so that nothing is open: the connection was seen to break before.
    let until_seen = async {
        while store.health().is_ok() {
            drop(store.get("/a", None).await)
        }
    };
    tokio::time::timeout(crate::support::BOUND, until_seen).await.unwrap();
    let written = store.txn(Txn::new("/a", Compare::Absent, value("1"))).await;
    assert!(matches!(written, Err(StoreError::Unavailable { .. })), "{written:?}");
    let opened = EtcdStore::open(impatient).await.err();
    assert!(matches!(opened, Some(StoreError::Unavailable { .. })), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_member_is_asked_when_one_is_away() {
    let etcd = start(EtcdLine::Current).await;
    let (first, second) = (Proxy::to(etcd.port()).await, Proxy::to(etcd.port()).await);
    let store = EtcdStore::open(options(&[first.port(), second.port()])).await.unwrap();
    let mut watch = store.watch(store.current_revision().await.unwrap()).await.unwrap();
    let mut last = 0;
    for (number, away) in [&first, &second, &first].into_iter().enumerate() {
        away.cut().await;
        answers(&store).await;
        last = create(&store, &format!("/{number}"), "x").await;
        away.mend();
    }
    assert_eq!(events_until(&mut watch, last).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_loses_one_member_after_another_under_load() {
    for line in LINES {
        let mut members = tokio::task::block_in_place(|| Etcd::cluster(line));
        let ports = members.each_ref().map(Etcd::port);
        let store = EtcdStore::open(options(&ports)).await.unwrap();
        history_is_whole(&store, line, async |load| {
            for member in &mut members {
                member.kill();
                load.acknowledges(50).await;
                tokio::task::block_in_place(|| member.restart());
                member.pause();
                load.acknowledges(50).await;
                member.resume();
            }
        })
        .await;
    }
}
