//! What every store has to do, as functions on a fresh store, whose revision may be any: a failed expectation panics.
//! [`contract_tests!`](crate::contract_tests) makes a test of each.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{Compare, EventKind, KeyValue, Op, Revision, Store, StoreError, Txn, TxnOutcome, Watch};

/// Makes a module `$name` with one test per case; `$open` is an expression for a future of a fresh `Arc<dyn Store>` and
/// of something to keep alive beside it.
#[macro_export]
macro_rules! contract_tests {
    ($name:ident, $open:expr) => {
        $crate::contract_tests!($name, $open; create_update_delete, conflicts_change_nothing, ranges_are_in_key_order,
            old_revisions_can_be_read, future_revisions_are_refused, compaction_forgets_history,
            watch_is_ordered_and_complete, watch_resumes_anywhere, one_racing_writer_wins, a_lifetime_ends_a_key,
            close_ends_everything);
    };
    ($name:ident, $open:expr; $($case:ident),*) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _keep) = ($open).await;
                $crate::contract_suite::$case(store).await;
            })*
        }
    };
}

type Shared = Arc<dyn Store>;

async fn write(store: &Shared, key: &str, compare: Compare, op: Op) -> TxnOutcome {
    store.txn(Txn::new(key, compare, op)).await.expect("decide transaction")
}

fn value(text: &str) -> Op {
    Op::Put(Bytes::copy_from_slice(text.as_bytes()))
}

async fn committed(store: &Shared, key: &str, compare: Compare, op: Op) -> Revision {
    match write(store, key, compare, op).await {
        TxnOutcome::Committed { revision, .. } => revision,
        TxnOutcome::Conflict { current } => panic!("write {key}: conflict with {current:?}"),
    }
}

async fn get(store: &Shared, key: &str) -> Option<KeyValue> {
    store.get(key, None).await.expect("get key")
}

async fn revision_of(store: &Shared) -> Revision {
    store.current_revision().await.expect("get revision")
}

/// A key is created, updated and deleted, and each write adds one revision.
pub async fn create_update_delete(store: Shared) {
    let base = revision_of(&store).await;
    assert_eq!(get(&store, "/a").await, None);
    let created = write(&store, "/a", Compare::Absent, value("1")).await;
    assert_eq!(created, TxnOutcome::Committed { revision: base + 1, previous: None });
    let (create_revision, mod_revision) = (base + 1, base + 1);
    let first = KeyValue { key: "/a".into(), value: "1".into(), create_revision, mod_revision };
    assert_eq!(get(&store, "/a").await, Some(first.clone()));

    let updated = write(&store, "/a", Compare::ModRevision(base + 1), value("2")).await;
    assert_eq!(updated, TxnOutcome::Committed { revision: base + 2, previous: Some(first.clone()) });
    let second = KeyValue { value: "2".into(), mod_revision: base + 2, ..first };
    assert_eq!(get(&store, "/a").await, Some(second.clone()));

    let deleted = write(&store, "/a", Compare::Any, Op::Delete).await;
    assert_eq!(deleted, TxnOutcome::Committed { revision: base + 3, previous: Some(second) });
    assert_eq!(get(&store, "/a").await, None);
    assert_eq!(committed(&store, "/a", Compare::Absent, value("3")).await, base + 4);
    assert_eq!(get(&store, "/a").await.map(|found| found.create_revision), Some(base + 4));
    assert_eq!(revision_of(&store).await, base + 4);
}

/// A comparison that does not hold says what is there, and takes no revision.
pub async fn conflicts_change_nothing(store: Shared) {
    let there = committed(&store, "/there", Compare::Absent, value("1")).await;
    let current = get(&store, "/there").await;
    for (compare, op) in [
        (Compare::Absent, value("2")),
        (Compare::Absent, Op::Delete),
        (Compare::ModRevision(0), value("2")),
        (Compare::ModRevision(there - 1), value("2")),
        (Compare::ModRevision(there + 1), Op::Delete),
    ] {
        let outcome = write(&store, "/there", compare, op).await;
        assert_eq!(outcome, TxnOutcome::Conflict { current: current.clone() }, "{compare:?}");
    }
    for (compare, op) in [
        (Compare::Any, value("2")),
        (Compare::ModRevision(0), value("2")),
        (Compare::ModRevision(there), value("2")),
        (Compare::Any, Op::Delete),
        (Compare::Absent, Op::Delete),
    ] {
        let outcome = write(&store, "/absent", compare, op).await;
        assert_eq!(outcome, TxnOutcome::Conflict { current: None }, "{compare:?}");
    }
    assert_eq!(revision_of(&store).await, there);
}

async fn keys(store: &Shared, prefix: &str) -> Vec<String> {
    let range = store.range(prefix, None).await.expect("get range");
    range.items.iter().map(|item| item.key.to_string()).collect()
}

/// A range is the keys with the prefix and no other, ordered by bytes.
pub async fn ranges_are_in_key_order(store: Shared) {
    let base = revision_of(&store).await;
    for key in
        ["/a/b/2", "/a/bc/1", "/a/b", "/a/b/10", "/a/b/1", "/a/b-c/1", "/a/b/é", "/a/b/z", "/a/b/Z", "/b"]
    {
        committed(&store, key, Compare::Absent, value(key)).await;
    }
    assert_eq!(keys(&store, "/a/b/").await, ["/a/b/1", "/a/b/10", "/a/b/2", "/a/b/Z", "/a/b/z", "/a/b/é"]);
    assert_eq!(keys(&store, "/a/b/1").await, ["/a/b/1", "/a/b/10"]);
    assert_eq!(keys(&store, "/c").await, Vec::<String>::new());
    assert_eq!(keys(&store, "").await.len(), 10);
    assert_eq!(store.range("/c", None).await.expect("get range").revision, base + 10);
}

/// All keys after a write.
type State = BTreeMap<String, KeyValue>;

/// Some writes on few keys, so that each is created, updated and deleted; the revision before, and the state after it and
/// after each write.
async fn history(store: &Shared) -> (Revision, Vec<State>) {
    let (base, mut states, mut state) = (revision_of(store).await, vec![State::new()], State::new());
    for step in 0..40_u64 {
        let key = format!("/{}/{}", step % 2, step * 7 % 5);
        let exists = state.contains_key(&key);
        let op = if exists && step % 3 == 0 { Op::Delete } else { value(&step.to_string()) };
        committed(store, &key, if exists { Compare::Any } else { Compare::Absent }, op).await;
        match get(store, &key).await {
            Some(now) => state.insert(key, now),
            None => state.remove(&key),
        };
        states.push(state.clone());
    }
    (base, states)
}

/// Reads at a revision see the state after it.
pub async fn old_revisions_can_be_read(store: Shared) {
    let (base, states) = history(&store).await;
    for (revision, state) in (base..).zip(&states) {
        let range = store.range("/1/", Some(revision)).await.expect("get range at revision");
        let expected: Vec<_> = state.values().filter(|item| item.key.starts_with("/1/")).cloned().collect();
        for (after, limit) in [("", 2), ("/0", 9), ("/1/1", 1), ("/1/2", 9), ("/2", 9)] {
            let page = store.page("/1/", after, limit, revision).await.expect("get page at revision");
            let expected: Vec<_> =
                expected.iter().filter(|item| *item.key > *after).take(limit).cloned().collect();
            assert_eq!((page.items, page.revision), (expected, revision), "{limit} after {after:?}");
        }
        assert_eq!((range.items, range.revision), (expected, revision));
        for number in 0..5 {
            let key = format!("/0/{number}");
            let found = store.get(&key, Some(revision)).await.expect("get key at revision");
            assert_eq!(found.as_ref(), state.get(&key), "{key} at {revision}");
        }
    }
}

/// What was not written yet cannot be read, watched or compacted.
pub async fn future_revisions_are_refused(store: Shared) {
    let now = committed(&store, "/a", Compare::Absent, value("1")).await;
    let future = now + 1;
    let errors = [
        store.get("/a", Some(future)).await.err(),
        store.range("/", Some(future)).await.err(),
        store.watch(future).await.err(),
        store.compact(future).await.err(),
    ];
    for error in errors {
        let Some(StoreError::FutureRevision { requested, current }) = error else { panic!("{error:?}") };
        assert_eq!((requested, current), (future, now));
    }
}

/// After a compaction, the compacted revision is the oldest that can be read and watched after.
pub async fn compaction_forgets_history(store: Shared) {
    let (base, states) = history(&store).await;
    let (first, last) = (base + 19, base + 40);
    store.compact(first).await.expect("compact");
    store.compact(first - 10).await.expect("compact what is compacted");
    let gone = first - 1;
    let errors = [
        store.get("/0/0", Some(gone)).await.err(),
        store.get("/0/0", Some(0)).await.err(),
        store.range("/", Some(gone)).await.err(),
        store.watch(gone).await.err(),
        store.watch(0).await.err(),
    ];
    for error in errors {
        let Some(StoreError::Compacted { requested, oldest }) = error else { panic!("{error:?}") };
        assert!((requested == gone || requested == 0) && oldest == first, "{requested} {oldest}");
    }
    let range = store.range("/", Some(first)).await.expect("get range at the compacted revision");
    assert_eq!(range.items, states[19].values().cloned().collect::<Vec<_>>());
    assert_eq!(store.oldest_revision().await.expect("get oldest revision"), first);
    let mut watch = store.watch(first).await.expect("watch after the compacted revision");
    assert_eq!(fold(&mut watch, first, states[19].clone(), last).await, states[40]);
}

/// Follows a watch up to a revision, checking that no event is missing, doubled or wrong.
async fn fold(watch: &mut Watch, after: Revision, mut state: State, until: Revision) -> State {
    let mut revision = after;
    while revision < until {
        let batch = watch.next().await.expect("watch goes on").expect("next batch");
        for event in batch.events {
            revision += 1;
            assert_eq!(event.revision, revision, "one event per revision, in order");
            let key = event.key.to_string();
            let before = state.remove(&key);
            let create_revision = before.as_ref().map_or(revision, |before| before.create_revision);
            assert_eq!(event.create_revision, create_revision);
            let before = before.map(|before| before.value);
            match event.kind.clone() {
                EventKind::Delete { previous } => assert_eq!(before, Some(previous)),
                EventKind::Put { value, previous } => {
                    assert_eq!(before, previous);
                    let key_value =
                        KeyValue { key: event.key.clone(), value, create_revision, mod_revision: revision };
                    state.insert(key, key_value);
                }
            }
        }
    }
    state
}

/// A watch that began before concurrent writes sees each of them once, in order, and ends at what the store holds.
pub async fn watch_is_ordered_and_complete(store: Shared) {
    let base = revision_of(&store).await;
    let mut watch = store.watch(base).await.expect("watch from the start");
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for step in 0..25 {
                let key = format!("/{}", (writer * 3 + step) % 7);
                // Conflicts are part of it.
                let (compare, op) = match step % 3 {
                    0 => (Compare::Absent, value("new")),
                    1 => (Compare::Any, value(&format!("{writer} {step}"))),
                    _ => (Compare::Any, Op::Delete),
                };
                write(&store, &key, compare, op).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("writer");
    }
    let until = revision_of(&store).await;
    let folded = fold(&mut watch, base, State::new(), until).await;
    let stored = store.range("/", None).await.expect("get range");
    assert_eq!(folded.into_values().collect::<Vec<_>>(), stored.items);
}

/// A watch may begin after any revision, and sees the rest.
pub async fn watch_resumes_anywhere(store: Shared) {
    let (base, states) = history(&store).await;
    for (after, state) in (base..).zip(&states) {
        let mut watch = store.watch(after).await.expect("watch");
        assert_eq!(fold(&mut watch, after, state.clone(), base + 40).await, states[40]);
    }
}

async fn race(store: &Shared, compare: Compare) -> (Revision, usize) {
    let race = (0..16).map(|writer: u8| {
        let store = store.clone();
        tokio::spawn(async move { write(&store, "/a", compare, value(&writer.to_string())).await })
    });
    let (mut won, mut lost) = (Vec::new(), 0);
    for writer in race.collect::<Vec<_>>() {
        match writer.await.expect("writer") {
            TxnOutcome::Committed { revision, .. } => won.push(revision),
            TxnOutcome::Conflict { current } => {
                assert!(current.is_some(), "who lost is told the winner's state");
                lost += 1;
            }
        }
    }
    assert_eq!(won.len(), 1, "exactly one wins");
    (won[0], lost)
}

/// Of writers that compare with the same state, one wins.
pub async fn one_racing_writer_wins(store: Shared) {
    let base = revision_of(&store).await;
    assert_eq!(race(&store, Compare::Absent).await, (base + 1, 15));
    for revision in base + 1..base + 9 {
        assert_eq!(race(&store, Compare::ModRevision(revision)).await, (revision + 1, 15));
    }
}

/// A lifetime that no case waits for.
const LONG: Duration = Duration::from_secs(3600);

async fn write_for(store: &Shared, key: &str, compare: Compare, lifetime: Option<Duration>) {
    let outcome = store.txn(Txn { lifetime, ..Txn::new(key, compare, value("v")) }).await;
    assert!(matches!(outcome, Ok(TxnOutcome::Committed { .. })), "write {key}: {outcome:?}");
}

/// A key whose lifetime is over is deleted by an ordinary event; the last write says what the lifetime is.
pub async fn a_lifetime_ends_a_key(store: Shared) {
    let (base, soon) = (revision_of(&store).await, Some(Duration::from_secs(2)));
    for (key, lifetime) in [("/ends", soon), ("/lasts", soon), ("/later", soon), ("/sooner", Some(LONG))] {
        write_for(&store, key, Compare::Absent, lifetime).await;
    }
    for (key, lifetime) in [("/lasts", None), ("/later", Some(LONG)), ("/sooner", soon)] {
        write_for(&store, key, Compare::Any, lifetime).await;
    }
    let ends = get(&store, "/ends").await.expect("the lifetime is not over");
    let mut watch = store.watch(base + 7).await.expect("watch after the writes");
    let mut ended = BTreeMap::new();
    while ended.len() < 2 {
        for event in watch.next().await.expect("watch goes on").expect("next batch").events {
            let EventKind::Delete { previous } = &event.kind else { panic!("{event:?}") };
            assert_eq!(event.revision, base + 8 + ended.len() as u64, "one revision for each deletion");
            assert_eq!(previous, &ends.value);
            ended.insert(event.key.to_string(), event.create_revision);
        }
    }
    assert_eq!(ended, [("/ends".into(), base + 1), ("/sooner".into(), base + 4)].into());
    assert_eq!(get(&store, "/ends").await, None);
    assert_eq!(keys(&store, "/").await, ["/lasts", "/later"]);
    // The key is like any other that was deleted.
    assert_eq!(committed(&store, "/ends", Compare::Absent, value("again")).await, base + 10);
}

/// Closing ends watches and refuses what comes later.
pub async fn close_ends_everything(store: Shared) {
    let now = committed(&store, "/a", Compare::Absent, value("1")).await;
    let mut watch = store.watch(now).await.expect("watch");
    store.close().await.expect("close");
    assert!(watch.next().await.is_none());
    let errors = [
        store.get("/a", None).await.err(),
        store.watch(now).await.err(),
        store.txn(Txn::new("/a", Compare::Any, Op::Delete)).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(StoreError::Closed)), "{error:?}");
    }
    store.close().await.expect("close again");
}
