//! What the embedded store does when a real disk is full: a small tmpfs, which only root can mount.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use detectviz_storage::{
    Compare, HistoryLimits, Op, Store, StoreError, Txn, TxnOutcome,
    embedded::{Embedded, EmbeddedOptions, admin},
};
use tempfile::TempDir;

const OPTIONS: EmbeddedOptions = EmbeddedOptions {
    history: HistoryLimits { events: 1000, bytes: 4 << 20 },
    checkpoint_bytes: 2 << 20,
    segment_bytes: 1 << 20,
    part_bytes: 256 << 10,
    reserve_bytes: 2 << 20,
};

/// A file system of 16 MiB that is unmounted with the value.
struct Disk(TempDir);

impl Disk {
    /// `None`, with a message, for those who may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(dir.path()).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("skipped: this test mounts a small tmpfs, which takes root");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn store(&self) -> PathBuf {
        self.path().join("store")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "umount {}", self.path().display());
    }
}

/// What has to be in the store.
type Content = BTreeMap<String, String>;

async fn put(store: &Embedded, key: &str, content: &mut Content) -> Result<(), StoreError> {
    let value = key.repeat(2000);
    let compare = if content.contains_key(key) { Compare::Any } else { Compare::Absent };
    let outcome = store.txn(Txn::new(key, compare, Op::Put(value.clone().into()))).await?;
    assert!(matches!(outcome, TxnOutcome::Committed { .. }), "{outcome:?}");
    content.insert(key.into(), value);
    Ok(())
}

/// Puts new keys until there is no room for one.
async fn fill(store: &Embedded, from: usize, content: &mut Content) {
    for number in from.. {
        match put(store, &format!("/{number:06}"), content).await {
            Ok(()) => {}
            Err(StoreError::Full { .. }) => break,
            Err(error) => panic!("put {number}: {error}"),
        }
    }
}

/// Puts one key when that is possible again.
async fn put_when_possible(store: &Embedded, key: &str, content: &mut Content) {
    loop {
        match put(store, key, content).await {
            Ok(()) => break,
            Err(StoreError::Full { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("put {key}: {error}"),
        }
    }
    assert_eq!(store.health(), Ok(()));
}

async fn assert_content(store: &Embedded, content: &Content) {
    let found = store.range("", None).await.unwrap().items;
    let found =
        found.iter().map(|item| (item.key.to_string(), String::from_utf8(item.value.to_vec()).unwrap()));
    assert!(&found.collect::<Content>() == content, "what was acknowledged is there, and nothing else");
}

async fn reopened(store: Arc<Embedded>, disk: &Disk) -> Arc<Embedded> {
    store.close().await.unwrap();
    drop(store);
    let report = admin::check(&disk.store(), &mut |_| {}).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    Embedded::open(&disk.store(), OPTIONS).unwrap()
}

#[tokio::test]
async fn a_full_disk_is_emptied_by_deletions() {
    let Some(disk) = Disk::mount() else { return };
    let mut store = Embedded::open(&disk.store(), OPTIONS).unwrap();
    let mut content = Content::new();
    for round in 0..3 {
        fill(&store, round * 100_000, &mut content).await;
        assert_content(&store, &content).await;
        store.compact(store.current_revision().await.unwrap()).await.unwrap();
        // In the worst case nothing is in a checkpoint yet, and what is left has to fit into the reserve.
        let kept = content.len() / 16;
        let gone: Vec<_> = content.keys().skip(kept).cloned().collect();
        for key in gone {
            let deleted = store.txn(Txn::new(&*key, Compare::Any, Op::Delete)).await.unwrap();
            assert!(matches!(deleted, TxnOutcome::Committed { .. }), "{deleted:?}");
            content.remove(&key);
        }
        put_when_possible(&store, "/again", &mut content).await;
        assert_content(&store, &content).await;
        store = reopened(store, &disk).await;
        assert_content(&store, &content).await;
    }
}

#[tokio::test]
async fn what_others_took_and_gave_back_is_used_without_a_restart() {
    let Some(disk) = Disk::mount() else { return };
    let store = Embedded::open(&disk.store(), OPTIONS).unwrap();
    let mut content = Content::new();
    put(&store, "/first", &mut content).await.unwrap();
    let ballast = disk.path().join("ballast");
    // Ends when nothing fits any more.
    _ = fs::write(&ballast, vec![1; 32 << 20]);
    fill(&store, 0, &mut content).await;
    let health = store.health().unwrap_err();
    assert!(health.contains("full"), "{health}");
    let deleted = store.txn(Txn::new("/000000", Compare::Any, Op::Delete)).await.unwrap();
    assert!(matches!(deleted, TxnOutcome::Committed { .. }) == content.remove("/000000").is_some());
    let refused = put(&store, "/refused", &mut content).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    // Nor can a restart do anything about it, and it changes nothing.
    let store = reopened(store, &disk).await;
    assert_content(&store, &content).await;
    fs::remove_file(&ballast).unwrap();
    put_when_possible(&store, "/again", &mut content).await;
    let store = reopened(store, &disk).await;
    assert_content(&store, &content).await;
}
