use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{
    Compare,
    embedded::{manifest::Manifest, medium::faulty::Faulty},
    index::FIRST_REVISION,
};

const OPTIONS: EmbeddedOptions = EmbeddedOptions {
    history: crate::HistoryLimits { events: 100, bytes: 1 << 20 },
    checkpoint_bytes: 1 << 20,
    segment_bytes: 1 << 20,
    part_bytes: 1 << 20,
    reserve_bytes: 4096,
};

fn writer(disk: &Faulty) -> (Writer, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Arc::new(Folder::open(dir.path()).unwrap());
    let published = Published::new(Index::new(OPTIONS.history));
    let compactor = Compactor::new(folder.clone(), Manifest::empty(), OPTIONS);
    let log = Log::on(folder.clone(), disk.clone());
    (Writer::new(folder, log, published, compactor, OPTIONS).unwrap(), dir)
}

fn put(key: &str) -> Txn {
    Txn::new(key, Compare::Absent, Op::Put(Bytes::from_static(b"{}")))
}

fn delete(key: &str) -> Txn {
    Txn::new(key, Compare::Any, Op::Delete)
}

/// Gives transactions to the writer as one batch.
fn batch(writer: &mut Writer, txns: &[Txn]) -> Vec<Result<TxnOutcome, StoreError>> {
    let asked = txns.iter().map(|txn| {
        let (answer, answered) = oneshot::channel();
        ((txn.clone(), Some(answer)), answered)
    });
    let (asked, answers): (Vec<_>, Vec<_>) = asked.unzip();
    writer.serve(asked);
    answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
}

#[test]
fn what_waits_becomes_one_batch_that_sees_its_own_writes() {
    let disk = Faulty::with_room(1000);
    let (mut writer, _dir) = writer(&disk);
    let answers = batch(&mut writer, &[put("/a"), put("/b"), put("/a")]);
    assert!(matches!(answers[0], Ok(TxnOutcome::Committed { revision: 2, .. })));
    assert!(matches!(answers[1], Ok(TxnOutcome::Committed { revision: 3, .. })));
    let Ok(TxnOutcome::Conflict { current: Some(found) }) = &answers[2] else { panic!("{:?}", answers[2]) };
    assert_eq!(found.mod_revision, 2);

    let log = disk.change(|disk| disk.content.clone());
    let (first, length) = Record::decode(&log).unwrap();
    let (second, _) = Record::decode(&log[length..]).unwrap();
    assert_eq!((first.batch(), second.batch(), second.position), (2, 2, 1));
}

#[test]
fn a_long_queue_is_several_batches() {
    let txn = || (Txn::new("/a", Compare::Any, Op::Put(vec![0; BATCH_BYTES / 2].into())), None);
    let lengths: Vec<_> = batches((0..5).map(|_| txn()).collect()).iter().map(Vec::len).collect();
    assert_eq!(lengths, [2, 2, 1]);
    assert!(batches(Vec::new()).is_empty());
}

fn assert_read_only(mut writer: Writer, disk: &Faulty) {
    for answer in batch(&mut writer, &[put("/a"), put("/a")]) {
        let Err(StoreError::ReadOnly { reason }) = answer else { panic!("{answer:?}") };
        assert!(reason.ends_with("wal-test: the disk is broken"), "{reason}");
    }
    assert_eq!(writer.published.load().unwrap().revision(), FIRST_REVISION);
    let health = writer.published.health().unwrap_err().to_string();
    assert!(health.contains("read-only") && health.contains("the disk is broken"), "{health}");

    // Whatever the disk does later.
    disk.change(|disk| {
        (disk.room, disk.sync_fails, disk.cut_fails) = (1000, false, false);
        disk.content.clear();
    });
    assert!(matches!(batch(&mut writer, &[put("/a")])[0], Err(StoreError::ReadOnly { .. })));
    assert!(matches!(batch(&mut writer, &[delete("/a")])[0], Err(StoreError::ReadOnly { .. })));
    assert_eq!(disk.change(|disk| disk.content.len()), 0);
}

#[test]
fn after_a_failed_write_nothing_is_visible_and_nothing_is_written() {
    let disk = Faulty::with_room(1000);
    disk.change(|disk| disk.sync_fails = true);
    assert_read_only(writer(&disk).0, &disk);
}

#[test]
fn a_disk_that_is_full_and_cannot_be_cut_back_is_a_failed_one() {
    let disk = Faulty::with_room(10);
    disk.change(|disk| disk.cut_fails = true);
    assert_read_only(writer(&disk).0, &disk);
}

#[test]
fn a_full_disk_takes_deletions_and_recovers() {
    let disk = Faulty::with_room(75);
    let (mut writer, dir) = writer(&disk);
    let reserve = dir.path().join("reserve");
    assert!(batch(&mut writer, &[put("/a"), put("/b")]).iter().all(Result::is_ok));
    assert!(reserve.exists());

    // No room for this batch: its deletion is written all the same, in a new segment.
    let written = disk.change(|disk| disk.content.clone());
    let answers = batch(&mut writer, &[put("/c"), delete("/a")]);
    assert!(matches!(&answers[0], Err(StoreError::Full { reason }) if reason.contains("wal-test")));
    assert!(matches!(&answers[1], Ok(TxnOutcome::Committed { revision: 4, .. })), "{answers:?}");
    assert_eq!(
        disk.change(|disk| disk.content.clone()),
        written,
        "the half of the put that fitted is cut off"
    );
    assert!(!reserve.exists());
    assert!(matches!(writer.published.health(), Err(StoreError::Full { .. })));
    assert!(matches!(batch(&mut writer, &[put("/c")])[0], Err(StoreError::Full { .. })));

    writer.compactor.finish();
    writer.look_after_the_disk();
    assert!(reserve.exists());
    writer.published.health().unwrap();
    assert!(batch(&mut writer, &[put("/c")])[0].is_ok());
    assert_eq!(Manifest::read(&writer.folder).unwrap().base, 3, "the log until then can go");
    let kept = writer.published.load().unwrap();
    assert_eq!(kept.oldest(), FIRST_REVISION, "history takes no disk");
    assert_eq!(kept.events(FIRST_REVISION).count() as u64, kept.revision() - FIRST_REVISION);

    // A later checkpoint goes not back before the log that is there.
    writer.checkpoint(Compactor::begin);
    writer.compactor.finish();
    assert_eq!(Manifest::read(&writer.folder).unwrap().base, 3);
}

#[test]
fn without_any_room_nothing_is_written_and_nothing_breaks() {
    let disk = Faulty::with_room(10);
    let (mut writer, _dir) = writer(&disk);
    let mut index = Index::new(OPTIONS.history);
    index.decide(&put("/a"), None);
    writer.published.publish(index);
    for _ in 0..2 {
        let answers = batch(&mut writer, &[put("/b"), delete("/a")]);
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Full { .. }))), "{answers:?}");
        assert_eq!(disk.change(|disk| disk.content.len()), 0);
    }
    disk.change(|disk| disk.room = 1000);
    let answers = batch(&mut writer, &[put("/b"), delete("/a")]);
    assert!(matches!(answers[..], [Err(StoreError::Full { .. }), Ok(TxnOutcome::Committed { .. })]));
}
