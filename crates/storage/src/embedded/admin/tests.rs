use std::collections::BTreeMap;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::*;
use crate::{
    Compare, HistoryLimits, Op, Range, Store, Txn, TxnOutcome,
    embedded::{Embedded, EmbeddedOptions},
};

const PREFIX: &str = "/registry/core/configmaps/root/default/";

/// Small enough that files come and go all the time.
const SMALL: EmbeddedOptions = EmbeddedOptions {
    history: HistoryLimits { events: 20, bytes: 1 << 20 },
    checkpoint_bytes: 2000,
    segment_bytes: 1000,
    part_bytes: 1000,
    reserve_bytes: 0,
};

const BUMP: u64 = 1_000_000_000;

fn object(name: &str) -> Op {
    Op::Put(format!(r#"{{"metadata":{{"name":"{name}"}}}}"#).into())
}

async fn put(store: &Embedded, name: &str, compare: Compare) -> u64 {
    match store.txn(Txn::new(format!("{PREFIX}{name}"), compare, object(name))).await.unwrap() {
        TxnOutcome::Committed { revision, .. } => revision,
        TxnOutcome::Conflict { current } => panic!("{current:?}"),
    }
}

/// Makes a closed store with so many objects, and gives its content.
async fn store(dir: &Path, objects: u64) -> Range {
    let store = Embedded::open(dir, SMALL).unwrap();
    for number in 0..objects {
        put(&store, &number.to_string(), Compare::Absent).await;
    }
    let content = store.range("", None).await.unwrap();
    store.close().await.unwrap();
    content
}

fn silent(_: &str) {}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_writers_has_all_that_was_acknowledged_before() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("store"), dir.path().join("backup"));
    let store = Embedded::open(&data, SMALL).unwrap();
    let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = tokio::spawn({
        let (store, acknowledged, stop) = (store.clone(), acknowledged.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                let number = acknowledged.load(Ordering::Relaxed);
                put(&store, &format!("{number:06}"), Compare::Absent).await;
                acknowledged.store(number + 1, Ordering::Release);
            }
        }
    });
    let (mut backups, mut before) = (0, 0);
    while before < 1000 {
        before = acknowledged.load(Ordering::Acquire);
        let made = backup(&data, &file, true, &mut silent).unwrap();
        assert!(made.keys >= before, "{} keys, {before} were acknowledged", made.keys);
        assert_eq!(made.revision, made.keys + 1, "each is there once");
        assert_eq!(made.bytes, std::fs::metadata(&file).unwrap().len());
        backups += 1;
    }
    assert!(backups > 1);
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(check(&data, &mut silent).unwrap().is_good());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_restored_store_has_a_revision_that_nobody_saw() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("store"), dir.path().join("backup"));
    let then = store(&data, 50).await;
    backup(&data, &file, false, &mut silent).unwrap();
    let again = backup(&data, &file, false, &mut silent).unwrap_err();
    assert!(matches!(again, AdminError::Exists { .. }), "{again}");

    let opened = Embedded::open(&data, SMALL).unwrap();
    assert_eq!(put(&opened, "later", Compare::Absent).await, 52);
    assert!(matches!(restore(&file, &data, BUMP, &mut silent), Err(AdminError::InUse { .. })));
    opened.close().await.unwrap();
    drop(opened);

    let restored = restore(&file, &data, BUMP, &mut silent).unwrap();
    assert_eq!((restored.backup_revision, restored.replaced_revision), (51, Some(52)));
    assert_eq!((restored.revision, restored.keys), (52 + BUMP, 50));
    let opened = Embedded::open(&data, SMALL).unwrap();
    let now = opened.range("", None).await.unwrap();
    assert_eq!((now.items, now.revision), (then.items, 52 + BUMP));
    let watch = opened.watch(51).await.err();
    assert!(matches!(watch, Some(StoreError::Compacted { oldest, .. }) if oldest == 52 + BUMP), "{watch:?}");
    assert_eq!(put(&opened, "later", Compare::Absent).await, 53 + BUMP);
    opened.close().await.unwrap();

    let replaced = Embedded::open(&restored.replaced.unwrap(), SMALL).unwrap();
    assert_eq!(replaced.current_revision().await.unwrap(), 52);
    assert!(matches!(restore(&file, &data, 0, &mut silent), Err(AdminError::NoBump)));
    assert!(matches!(restore(&file, &data, u64::MAX, &mut silent), Err(AdminError::Bump { .. })));
}

#[tokio::test]
async fn a_restore_that_was_killed_in_its_last_step_loses_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("store"), dir.path().join("backup"));
    let content = store(&data, 50).await;
    backup(&data, &file, false, &mut silent).unwrap();
    let replaced = restore(&file, &data, BUMP, &mut silent).unwrap().replaced.unwrap();
    // Killed between the exchange and the last rename.
    std::fs::rename(&replaced, dir.path().join("store.restoring")).unwrap();
    let again = restore(&file, &data, BUMP, &mut silent).unwrap();
    assert_eq!(again.revision, 51 + 2 * BUMP);
    let kept = Embedded::open(&dir.path().join("store.replaced-51"), SMALL).unwrap();
    assert_eq!(kept.range("", None).await.unwrap(), content);

    // An unfinished one is nothing to keep.
    let unfinished = dir.path().join("store.restoring");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::write(unfinished.join("part-00000000000000000001"), "half").unwrap();
    let folders = || std::fs::read_dir(dir.path()).unwrap().count();
    let before = folders();
    restore(&file, &data, BUMP, &mut silent).unwrap();
    assert_eq!((folders(), unfinished.exists()), (before, false), "one became the replaced one");
}

#[tokio::test]
async fn what_is_no_good_backup_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("store"), dir.path().join("backup"));
    let content = store(&data, 50).await;
    backup(&data, &file, false, &mut silent).unwrap();
    let whole = std::fs::read(&file).unwrap();
    for at in [0, BACKUP.len() + 3, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&file, damaged).unwrap();
        restore(&file, &data, BUMP, &mut silent).unwrap_err();
        std::fs::write(&file, &whole[..at]).unwrap();
        restore(&file, &data, BUMP, &mut silent).unwrap_err();
    }
    assert_eq!(Embedded::open(&data, SMALL).unwrap().range("", None).await.unwrap(), content);
    let nothing = dir.path().join("nothing");
    assert!(matches!(backup(&nothing, &file, true, &mut silent), Err(AdminError::NoStore { .. })));
    assert!(!nothing.exists(), "looking makes nothing");
}

#[tokio::test]
async fn a_damaged_store_still_says_how_far_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("store"), dir.path().join("backup"));
    store(&data, 50).await;
    backup(&data, &file, false, &mut silent).unwrap();
    let manifest = data.join("manifest");
    std::fs::write(manifest, "damaged").unwrap();
    assert_eq!(restore(&file, &data, BUMP, &mut silent).unwrap().replaced_revision, Some(51));
}

#[tokio::test]
async fn a_check_counts_and_names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), 50).await;
    let report = check(dir.path(), &mut silent).unwrap();
    assert!(report.is_good() && report.files > 2 && report.unfinished.is_none(), "{report:?}");
    assert_eq!((report.revision, report.resources.len()), (Some(51), 1));
    let [ResourceSize { resource, objects, .. }] = &report.resources[..] else { panic!("{report:?}") };
    assert_eq!((&**resource, *objects), ("core/configmaps", 50));

    let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let kind =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
    let mut last = BTreeMap::new();
    for file in files.filter(|path| ["wal", "part", "manifest"].contains(&&*kind(path))) {
        let before = last.get(&kind(&file)).is_none_or(|last: &PathBuf| file < *last);
        if before {
            last.insert(kind(&file), file);
        }
    }
    let damaged: Vec<_> = last.into_values().collect();
    assert_eq!(damaged.len(), 3);
    for file in &damaged {
        let mut content = std::fs::read(file).unwrap();
        content[10] ^= 1;
        std::fs::write(file, content).unwrap();
        let report = check(dir.path(), &mut silent).unwrap();
        let found = report.damage.iter().find(|damage| damage.file == *file);
        assert_eq!(found.map(|damage| damage.offset), Some(0), "{}: {report:?}", file.display());
    }
}

#[tokio::test]
async fn a_value_that_is_no_object_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), SMALL).unwrap();
    let key = format!("{PREFIX}bad");
    store.txn(Txn::new(&*key, Compare::Absent, Op::Put("{}".into()))).await.unwrap();
    // Beside the process that has it open.
    let report = check(dir.path(), &mut silent).unwrap();
    assert!(!report.is_good());
    assert_eq!((report.damage.len(), &*report.bad_objects[0].key), (0, &*key));
}

#[tokio::test]
async fn a_compacted_store_has_the_same_content_and_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let content = store(dir.path(), 50).await;
    let compacted = compact(dir.path(), &mut silent).unwrap();
    assert_eq!(compacted.revision, 51);
    assert!(!dir.path().join("reserve").exists(), "its room was for the checkpoint");
    assert!(compacted.bytes < compacted.bytes_before, "{compacted:?}");
    assert!(check(dir.path(), &mut silent).unwrap().is_good());
    let store = Embedded::open(dir.path(), SMALL).unwrap();
    assert_eq!(store.range("", None).await.unwrap(), content);
    assert_eq!(store.oldest_revision().await.unwrap(), 51);
    assert_eq!(put(&store, "later", Compare::Absent).await, 52);
    assert!(matches!(compact(dir.path(), &mut silent), Err(AdminError::InUse { .. })));
}
