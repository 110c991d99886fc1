//! What the embedded store survives, and what it refuses to open.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use detectviz_storage::{
    Compare, Op, Range, Store, StoreError, Txn, TxnOutcome,
    cache::{Cache, CacheOptions, WatchKind},
    embedded::{Embedded, EmbeddedOptions},
};

const SMALL: EmbeddedOptions = EmbeddedOptions {
    history: detectviz_storage::HistoryLimits { events: 100, bytes: 1 << 20 },
    checkpoint_bytes: 2000,
};

fn open(dir: &Path) -> Result<Arc<Embedded>, StoreError> {
    Embedded::open(dir, EmbeddedOptions::default())
}

async fn create(store: &Embedded, number: u64) -> u64 {
    let op = Op::Put(Bytes::from(format!("{{\"number\":{number}}}")));
    match store.txn(Txn::new(format!("/n/{number}"), Compare::Absent, op)).await.unwrap() {
        TxnOutcome::Committed { revision, .. } => revision,
        TxnOutcome::Conflict { current } => panic!("{current:?}"),
    }
}

async fn all(store: &Embedded) -> Range {
    store.range("", None).await.unwrap()
}

/// A closed store with some records; its only segment, with the offset at which the last record begins.
async fn written(dir: &Path, records: u64) -> (PathBuf, usize) {
    let store = open(dir).unwrap();
    let segment = files(dir, "wal-").remove(0);
    let mut last = 0;
    for number in 0..records {
        last = fs::metadata(&segment).unwrap().len();
        create(&store, number).await;
    }
    store.close().await.unwrap();
    (segment, usize::try_from(last).unwrap())
}

fn files(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let named = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(prefix));
    let mut files: Vec<_> = named.map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_write_torn_at_any_byte_is_cut_off_and_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, last) = written(dir.path(), 3).await;
    let whole = fs::read(&segment).unwrap();
    for length in last..whole.len() {
        fs::write(&segment, &whole[..length]).unwrap();
        let store = open(dir.path()).unwrap();
        assert_eq!((all(&store).await.items.len(), all(&store).await.revision), (2, 3), "length {length}");
        assert_eq!(create(&store, 2).await, 4);
        store.close().await.unwrap();
        assert_eq!(fs::read(&segment).unwrap(), whole);
    }
}

#[tokio::test]
async fn a_flipped_byte_before_the_last_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (segment, last) = written(dir.path(), 3).await;
    let whole = fs::read(&segment).unwrap();
    for damaged in 0..last {
        let mut content = whole.clone();
        content[damaged] ^= 0x10;
        fs::write(&segment, content).unwrap();
        match open(dir.path()).map(drop) {
            Err(StoreError::Corrupt { file, offset, .. }) => {
                assert_eq!(file, segment);
                assert!(offset <= damaged as u64, "{offset} for byte {damaged}");
            }
            other => panic!("byte {damaged}: {other:?}"),
        }
    }
    fs::write(&segment, whole).unwrap();
    assert_eq!(all(&open(dir.path()).unwrap()).await.items.len(), 3);
}

#[tokio::test]
async fn a_folder_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    match open(dir.path()).map(drop) {
        Err(StoreError::Locked { path }) => assert_eq!(path, dir.path().join("lock")),
        other => panic!("{other:?}"),
    }
    first.close().await.unwrap();
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn another_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 1).await;
    let format = dir.path().join("format");
    assert_eq!(fs::read_to_string(&format).unwrap(), "detectviz-store 1\n");
    fs::write(&format, "detectviz-store 2\n").unwrap();
    let error = open(dir.path()).map(drop).unwrap_err().to_string();
    assert_eq!(
        error,
        r#"open data folder: found format "detectviz-store 2", supported is "detectviz-store 1""#
    );
    assert_eq!(fs::read_to_string(&format).unwrap(), "detectviz-store 2\n");
    fs::remove_file(&format).unwrap();
    assert!(matches!(open(dir.path()).map(drop), Err(StoreError::Format { .. })));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("data")).map(drop).unwrap_err().to_string();
    assert_eq!(error, format!("create data folder {}", file.join("data").display()));
}

#[tokio::test]
async fn dropping_without_close_loses_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("made/if/need/be");
    let store = open(&dir).unwrap();
    for number in 0..20 {
        create(&store, number).await;
    }
    let before = all(&store).await;
    drop(store);
    let store = open(&dir).unwrap();
    assert_eq!(all(&store).await, before);
    assert_eq!(create(&store, 20).await, 22);
    assert!(store.watch(1).await.is_ok(), "history is still in the log");
}

#[tokio::test]
async fn a_watch_resumes_across_a_restart() {
    const PREFIX: &str = "/registry/core/configmaps/root/";
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let object = |name: &str| Op::Put(Bytes::from(format!(r#"{{"metadata":{{"name":"{name}"}}}}"#)));
    let writes = [
        ("a", Compare::Absent, object("a")),
        ("b", Compare::Absent, object("b")),
        ("a", Compare::Any, Op::Delete),
        ("a", Compare::Absent, object("again")),
    ];
    for (name, compare, op) in writes {
        store.txn(Txn::new(format!("{PREFIX}n/{name}"), compare, op)).await.unwrap();
    }
    store.close().await.unwrap();

    let store = open(dir.path()).unwrap();
    let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
    assert_eq!(cache.applied_revision(), 5);
    let names = |revision| -> Vec<String> {
        let listing = cache.list_at(PREFIX, PREFIX, revision).unwrap();
        listing.iter().map(|object| format!("{}@{}", object.meta.name, object.create_revision)).collect()
    };
    assert_eq!(
        (names(5), names(3)),
        (vec!["again@5".into(), "b@3".into()], vec!["a@2".into(), "b@3".into()])
    );
    let mut watcher = cache.watch(PREFIX, PREFIX, 2).await.unwrap();
    for expected in [(WatchKind::Added, 3), (WatchKind::Deleted, 4), (WatchKind::Added, 5)] {
        let event = watcher.next().await.unwrap().unwrap();
        assert_eq!((event.kind, event.revision), expected);
    }
    assert_eq!(store.health(), Ok(()));
    store.close().await.unwrap();
    assert_eq!(store.health(), Err("use store: closed".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_replace_the_log_while_writers_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), SMALL).unwrap();
    let writers = (0..8_u64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for step in 0..100 {
                create(&store, writer * 1000 + step).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let before = all(&store).await;
    assert_eq!((before.items.len(), before.revision), (800, 801));
    store.close().await.unwrap();
    assert_eq!(files(dir.path(), "checkpoint-").len(), 1);
    let log: u64 = files(dir.path(), "wal-").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(log < 800 * 40, "{log} bytes of log are left");

    let store = Embedded::open(dir.path(), SMALL).unwrap();
    assert_eq!(all(&store).await, before);
    assert_eq!(create(&store, 9999).await, 802);
}

/// A store whose content is in a checkpoint, without any log.
async fn checkpointed(dir: &Path) -> PathBuf {
    let store = Embedded::open(dir, SMALL).unwrap();
    for number in 0..40 {
        create(&store, number).await;
    }
    store.close().await.unwrap();
    files(dir, "checkpoint-").pop().unwrap()
}

#[tokio::test]
async fn a_damaged_checkpoint_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = checkpointed(dir.path()).await;
    let mut content = fs::read(&checkpoint).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&checkpoint, content).unwrap();
    assert!(
        matches!(open(dir.path()).map(drop), Err(StoreError::Corrupt { file, .. }) if file == checkpoint)
    );
}

#[tokio::test]
async fn a_damaged_checkpoint_is_replaced_by_the_log_that_led_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _) = written(dir.path(), 5).await;
    fs::write(dir.path().join("checkpoint-00000000000000000004"), "damaged").unwrap();
    assert_eq!(all(&open(dir.path()).unwrap()).await.revision, 6);
    fs::write(dir.path().join("checkpoint-00000000000000000007"), "damaged").unwrap();
    assert!(matches!(open(dir.path()).map(drop), Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn an_unfinished_checkpoint_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2).await;
    fs::write(dir.path().join("checkpoint-00000000000000000003.tmp"), "half").unwrap();
    fs::write(dir.path().join("wal-00000000000000000004"), "").unwrap();
    assert_eq!(all(&open(dir.path()).unwrap()).await.items.len(), 2);
    assert_eq!(files(dir.path(), "checkpoint-"), Vec::<PathBuf>::new());
}

/// Not a test by itself: what the next one runs in a process of its own.
#[tokio::test]
#[ignore = "writes until it is killed"]
async fn write_until_killed() {
    let dir = std::env::var_os("STORE_DIR").unwrap();
    let store = Embedded::open(Path::new(&dir), SMALL).unwrap();
    for number in store.current_revision().await.unwrap() - 1.. {
        create(&store, number).await;
        println!("acknowledged {number}");
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "write_until_killed"])
            .env("STORE_DIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let numbers = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        let acknowledged = numbers.take(50 + round).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Embedded::open(dir.path(), SMALL).unwrap();
        let range = all(&store).await;
        assert_eq!(range.items.len() as u64, range.revision - 1);
        assert!(range.revision - 2 >= acknowledged, "{} after {acknowledged}", range.revision);
        store.close().await.unwrap();
    }
}
