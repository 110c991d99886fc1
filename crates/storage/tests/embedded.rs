//! What the embedded store survives, and what it refuses to open.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
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
    segment_bytes: 1000,
    part_bytes: 1000,
    reserve_bytes: 4096,
};

/// Opens a store. A process that another test is just starting may hold the lock for a moment.
fn open(dir: &Path) -> Result<Arc<Embedded>, StoreError> {
    loop {
        match Embedded::open(dir, EmbeddedOptions::default()) {
            Err(StoreError::Locked { .. }) => std::thread::yield_now(),
            opened => return opened,
        }
    }
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
        // Behind the records is allocated room, and a record ends with a brace.
        last = fs::read(&segment).unwrap().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        create(&store, number).await;
    }
    store.close().await.unwrap();
    (segment, last)
}

/// The files whose name begins so, in order.
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
    match Embedded::open(dir.path(), SMALL).map(drop) {
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
    assert_eq!(fs::read_to_string(&format).unwrap(), "detectviz-store 2\n");
    fs::write(&format, "detectviz-store 3\n").unwrap();
    let error = open(dir.path()).map(drop).unwrap_err().to_string();
    assert_eq!(
        error,
        r#"open data folder: found format "detectviz-store 3", supported is "detectviz-store 2""#
    );
    assert_eq!(fs::read_to_string(&format).unwrap(), "detectviz-store 3\n");
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
    assert!(files(dir.path(), "part-").len() > 10, "the keys are in parts");
    let log: u64 = files(dir.path(), "wal-").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(log < 300 * 50, "{log} bytes of log are left");

    let store = Embedded::open(dir.path(), SMALL).unwrap();
    assert_eq!(all(&store).await, before);
    assert_eq!(create(&store, 9999).await, 802);
}

/// A closed store whose keys are in a checkpoint, with the last 100 events in the log.
async fn checkpointed(dir: &Path) -> Range {
    let store = Embedded::open(dir, SMALL).unwrap();
    for number in 0..300 {
        create(&store, number).await;
    }
    let content = all(&store).await;
    store.close().await.unwrap();
    content
}

#[tokio::test]
async fn history_is_kept_across_a_checkpoint_and_a_clean_close() {
    let dir = tempfile::tempdir().unwrap();
    checkpointed(dir.path()).await;
    for _ in 0..2 {
        let store = Embedded::open(dir.path(), SMALL).unwrap();
        assert_eq!(store.oldest_revision().await.unwrap(), 201);
        for revision in [201, 250, 301] {
            let then = store.range("", Some(revision)).await.unwrap();
            assert_eq!(then.items.len() as u64, revision - 1);
        }
        let mut watch = store.watch(201).await.unwrap();
        let batch = watch.next().await.unwrap().unwrap();
        assert_eq!((batch.events.len(), batch.events[0].revision), (100, 202));
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    checkpointed(dir.path()).await;
    for name in [files(dir.path(), "part-").swap_remove(1), dir.path().join("manifest")] {
        let content = fs::read(&name).unwrap();
        let mut damaged = content.clone();
        damaged[content.len() / 2] ^= 1;
        fs::write(&name, damaged).unwrap();
        match open(dir.path()).map(drop) {
            Err(StoreError::Corrupt { file, .. }) => assert_eq!(file, name),
            other => panic!("{}: {other:?}", name.display()),
        }
        fs::write(&name, content).unwrap();
    }
    let part = files(dir.path(), "part-").pop().unwrap();
    fs::remove_file(&part).unwrap();
    let error = open(dir.path()).map(drop).unwrap_err().to_string();
    assert_eq!(error, format!("read {}", part.display()));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from, "") {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_that_was_killed_at_any_step_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let [before, after, between] = ["before", "after", "between"].map(|name| dir.path().join(name));
    checkpointed(&before).await;
    copy(&before, &after);
    let store = Embedded::open(&after, SMALL).unwrap();
    for number in 300..360 {
        create(&store, number).await;
    }
    let content = all(&store).await;
    store.close().await.unwrap();
    let manifests = [&before, &after].map(|dir| fs::read(dir.join("manifest")).unwrap());
    assert_ne!(manifests[0], manifests[1]);

    // Everything that was there at some time, with either manifest.
    copy(&before, &between);
    copy(&after, &between);
    fs::write(between.join("part-00000000000000009999"), "half").unwrap();
    fs::write(between.join("manifest.tmp"), "half").unwrap();
    for (number, manifest) in manifests.iter().enumerate() {
        let next = dir.path().join(number.to_string());
        copy(&between, &next);
        fs::write(next.join("manifest"), manifest).unwrap();
        let store = Embedded::open(&next, SMALL).unwrap();
        assert_eq!(all(&store).await, content);
        assert_eq!(create(&store, 360).await, content.revision + 1);
        assert!(!next.join("manifest.tmp").exists() && !next.join("part-00000000000000009999").exists());
    }
}

#[tokio::test]
async fn lifetimes_outlive_a_restart() {
    // The last event is in the log, everything before in the checkpoint.
    let history = detectviz_storage::HistoryLimits { events: 1, bytes: 1 << 20 };
    let options = EmbeddedOptions { history, checkpoint_bytes: 1, ..SMALL };
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), options).unwrap();
    let put = |key: &str, seconds| {
        let op = Op::Put(Bytes::from_static(b"{}"));
        Txn { lifetime: Some(Duration::from_secs(seconds)), ..Txn::new(key, Compare::Absent, op) }
    };
    for (key, seconds) in [("/lasts", 3600), ("/in-the-checkpoint", 3), ("/in-the-log", 3)] {
        store.txn(put(key, seconds)).await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(files(dir.path(), "part-").len(), 1);

    let store = Embedded::open(dir.path(), options).unwrap();
    let mut watch = store.watch(4).await.unwrap();
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let batch = watch.next().await.unwrap().unwrap();
        ended.extend(batch.events.iter().map(|event| event.key.to_string()));
    }
    ended.sort();
    assert_eq!(ended, ["/in-the-checkpoint", "/in-the-log"]);
    assert_eq!(all(&store).await.items.len(), 1);
}

/// A record as format 1 wrote it.
fn record(revision: u64, create_revision: u64, kind: u8, key: &str, value: &str) -> Vec<u8> {
    let mut body = [revision.to_le_bytes(), create_revision.to_le_bytes()].concat();
    body.extend([0, 0, kind]);
    body.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
    body.extend([key.as_bytes(), value.as_bytes()].concat());
    let crc = crc32fast::hash(&body);
    [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], &crc.to_le_bytes(), &body].concat()
}

#[tokio::test]
async fn a_folder_of_format_1_is_read_and_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let checkpoint =
        [record(2, 2, 1, "/a", "1"), record(4, 3, 1, "/b", "2"), record(5, 2, 3, "", "")].concat();
    let log = [record(6, 6, 1, "/c", "3"), record(7, 2, 2, "/a", ""), record(8, 3, 1, "/b", "4")].concat();
    fs::write(path("format"), "detectviz-store 1\n").unwrap();
    fs::write(path("checkpoint-00000000000000000005"), checkpoint).unwrap();
    fs::write(path("wal-00000000000000000006"), &log).unwrap();
    for _ in 0..2 {
        let store = open(dir.path()).unwrap();
        let found = all(&store).await;
        let items = found.items.iter().map(|item| (&*item.key, &item.value[..], item.mod_revision));
        assert_eq!(items.collect::<Vec<_>>(), [("/b", &b"4"[..], 8), ("/c", b"3", 6)]);
        assert_eq!((found.revision, store.oldest_revision().await.unwrap()), (8, 5));
        assert_eq!(store.range("", Some(5)).await.unwrap().items.len(), 2);
        store.close().await.unwrap();
        assert_eq!(fs::read_to_string(path("format")).unwrap(), "detectviz-store 2\n");
        assert_eq!(files(dir.path(), "checkpoint-"), Vec::<PathBuf>::new());
    }

    // A newer checkpoint that is damaged may be made up for by the log, and nothing else.
    fs::write(path("format"), "detectviz-store 1\n").unwrap();
    fs::write(path("checkpoint-00000000000000000009"), "damaged").unwrap();
    let error = open(dir.path()).map(drop);
    assert!(matches!(error, Err(StoreError::Corrupt { .. })), "{error:?}");
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
