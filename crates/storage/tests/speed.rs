//! Not checks but figures: `cargo test --release -p detectviz-storage --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use detectviz_storage::{
    Compare, Op, Store, Txn,
    cache::{Cache, CacheOptions},
    embedded::{Embedded, EmbeddedOptions},
};

const OBJECTS: u64 = 100_000;

fn object(number: u64) -> Txn {
    let name = format!("object-{number:06}");
    let filler = "x".repeat(840);
    let json = format!(
        r#"{{"apiVersion":"v1","data":{{"value":"{filler}"}},"kind":"ConfigMap","metadata":{{"creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"speed"}},"name":"{name}","namespace":"default","uid":"00000000-0000-4000-8000-{number:012}"}}}}"#
    );
    Txn::new(format!("/registry/core/configmaps/root/default/{name}"), Compare::Absent, Op::Put(json.into()))
}

/// Writes as many objects as there are numbers left, from as many tasks as there are clients.
async fn write(store: &Arc<Embedded>, clients: usize, next: &Arc<AtomicU64>, end: u64) {
    let clients = (0..clients).map(|_| {
        let (store, next) = (store.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    break;
                }
                store.txn(object(number)).await.unwrap();
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

fn open(dir: &Path) -> Arc<Embedded> {
    Embedded::open(dir, EmbeddedOptions::default()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn opening() {
    let dir = folder();
    let store = open(dir.path());
    write(&store, 256, &Arc::default(), OBJECTS).await;
    store.close().await.unwrap();
    drop(store);
    for _ in 0..3 {
        let started = Instant::now();
        let store = open(dir.path());
        let opened = started.elapsed();
        let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
        let ready = started.elapsed();
        assert_eq!(cache.stats().objects as u64, OBJECTS);
        println!("{OBJECTS} objects of 1 KiB: open {opened:?}, cache {:?}, ready {ready:?}", ready - opened);
        cache.stop().await;
        drop(cache);
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn writing() {
    for clients in [1, 16, 64, 256] {
        let dir = folder();
        let store = open(dir.path());
        let (next, end) = (Arc::default(), if clients == 1 { 10_000 } else { 60_000 });
        let started = Instant::now();
        write(&store, clients, &next, end).await;
        let rate = end as f64 / started.elapsed().as_secs_f64();
        println!("{clients} clients: {rate:.0} puts/s of 1 KiB");
        store.close().await.unwrap();
    }
}

/// What the writer itself costs: the same without a disk that is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn updating_a_full_history() {
    let store = detectviz_storage::memory::Memory::new();
    let started = Instant::now();
    for number in 0..200_000 {
        let op = Op::Put(Bytes::from_static(&[b'x'; 1000]));
        let compare = if number < 1000 { Compare::Absent } else { Compare::Any };
        store.txn(Txn::new(format!("/n/{}", number % 1000), compare, op)).await.unwrap();
    }
    let each: Duration = started.elapsed() / 200_000;
    println!("memory: {each:?} a put");
}
