//! Everything in memory, one revision counter, and a ring of the last changes that watches read at their own pace.
//!
//! A writer never waits for a watcher: it appends to the ring and raises the revision. A watcher that falls
//! behind the ring is told that its revision has expired, and starts again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::flight::Flight;
use crate::selector::Filter;
use crate::status::Status;

/// How many changes a watch can be behind.
const RING: usize = 1024;
/// How many flights fit.
const CAPACITY: usize = 10_000;
/// How many changes one call of [`Store::since`] hands out.
const BATCH: usize = 128;
/// How often a write is tried again when another came between its read and its write.
const ATTEMPTS: usize = 16;

/// Where a flight is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The namespace.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
}

/// One committed write.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The revision that the write made.
    pub(crate) revision: u64,
    /// The flight before it.
    pub(crate) old: Option<Arc<Flight>>,
    /// The flight after it.
    pub(crate) new: Option<Arc<Flight>>,
}

/// What a write wants.
#[derive(Debug)]
pub(crate) enum Change {
    /// Store this; a flight equal to the stored one is no write.
    Put(Box<Flight>),
    /// Remove the flight.
    Delete,
}

/// Flights at one revision.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The revision of the whole collection.
    pub(crate) revision: u64,
    /// The flights in order of namespace and name.
    pub(crate) flights: Vec<Arc<Flight>>,
}

#[derive(Debug, Default)]
struct State {
    flights: BTreeMap<Key, Arc<Flight>>,
    ring: VecDeque<Event>,
    revision: u64,
}

/// The flights and their recent history.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
}

impl Store {
    /// An empty store at revision 1, so that 0 keeps its special meaning.
    pub(crate) fn new() -> Self {
        let state = State { revision: 1, ..State::default() };
        Self { state: Mutex::new(state), revision: watch::Sender::new(1) }
    }

    /// No code that holds the lock can leave the state half changed, so a poisoned lock is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The flight under `key`.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Flight>> {
        self.state().flights.get(key).cloned()
    }

    /// The revision of the last write.
    pub(crate) fn revision(&self) -> u64 {
        self.state().revision
    }

    /// What passes the filter now.
    pub(crate) fn list(&self, filter: &Filter) -> Snapshot {
        let state = self.state();
        let flights = state.flights.values().filter(|flight| filter.matches(flight)).cloned().collect();
        Snapshot { revision: state.revision, flights }
    }

    /// A receiver that changes with every write.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The next few changes after `revision`; empty where there are none yet.
    ///
    /// # Errors
    /// 410 `Expired` where the ring no longer holds all of them.
    pub(crate) fn since(&self, revision: u64) -> Result<Vec<Event>, Status> {
        let state = self.state();
        let oldest = state.ring.front().map_or(state.revision + 1, |event| event.revision);
        if revision + 1 < oldest {
            return Err(Status::expired(revision, oldest - 1));
        }
        let start = state.ring.partition_point(|event| event.revision <= revision);
        Ok(state.ring.range(start..).take(BATCH).cloned().collect())
    }

    /// Reads, changes and writes, again if another write came between. With `dry_run` nothing is kept.
    ///
    /// Returns the flight as written, or as it was before its deletion.
    ///
    /// # Errors
    /// What `change` returns; 409 where other writes keep coming between; 403 where the store is full.
    pub(crate) fn update(
        &self,
        key: &Key,
        dry_run: bool,
        mut change: impl FnMut(Option<&Flight>) -> Result<Change, Status>,
    ) -> Result<Arc<Flight>, Status> {
        for _ in 0..ATTEMPTS {
            let current = self.get(key);
            let change = change(current.as_deref())?;
            let committed = match (change, current) {
                (Change::Put(flight), Some(current)) if *flight == *current => Some(current),
                (Change::Put(flight), _) if dry_run => Some(Arc::from(flight)),
                (Change::Delete, Some(current)) if dry_run => Some(current),
                (Change::Delete, None) => return Err(Status::not_found(&key.name)),
                (change, current) => self.commit(key, current.as_ref(), change)?,
            };
            if let Some(flight) = committed {
                return Ok(flight);
            }
        }
        Err(Status::conflict(&key.name))
    }

    /// Writes if the flight is still `expected`, else returns `None`.
    fn commit(
        &self,
        key: &Key,
        expected: Option<&Arc<Flight>>,
        change: Change,
    ) -> Result<Option<Arc<Flight>>, Status> {
        let mut state = self.state();
        let unchanged = match (state.flights.get(key), expected) {
            (Some(stored), Some(expected)) => Arc::ptr_eq(stored, expected),
            (stored, expected) => stored.is_none() && expected.is_none(),
        };
        if !unchanged {
            return Ok(None);
        }
        if expected.is_none() && state.flights.len() >= CAPACITY {
            return Err(Status::store_full(&key.name, CAPACITY));
        }
        let written = state.apply(key, change);
        self.revision.send_replace(state.revision);
        Ok(written)
    }
}

impl State {
    fn apply(&mut self, key: &Key, change: Change) -> Option<Arc<Flight>> {
        self.revision += 1;
        let (old, new) = match change {
            Change::Put(mut flight) => {
                flight.metadata.resource_version = self.revision.to_string();
                let flight = Arc::from(flight);
                (self.flights.insert(key.clone(), Arc::clone(&flight)), Some(flight))
            }
            Change::Delete => (self.flights.remove(key), None),
        };
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        let written = new.clone().or_else(|| old.clone());
        self.ring.push_back(Event { revision: self.revision, old, new });
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "default".to_owned(), name: name.to_owned() }
    }

    fn flight(gate: &str) -> Flight {
        let mut flight = Flight::default();
        flight.spec.gate = Some(gate.to_owned());
        flight
    }

    fn put(store: &Store, name: &str, gate: &str) -> Arc<Flight> {
        store
            .update(&key(name), false, |current| {
                let mut next = current.cloned().unwrap_or_default();
                next.spec.gate = Some(gate.to_owned());
                Ok(Change::Put(next.into()))
            })
            .unwrap()
    }

    #[test]
    fn a_write_that_changes_nothing_makes_no_revision() {
        let store = Store::new();
        let first = put(&store, "a", "A1");
        let second = put(&store, "a", "A1");
        assert_eq!(first.metadata.resource_version, second.metadata.resource_version);
        assert_eq!(store.revision(), 2);
    }

    #[test]
    fn a_write_between_read_and_write_makes_it_start_again() {
        let store = Store::new();
        put(&store, "a", "A1");
        let mut seen = Vec::new();
        store
            .update(&key("a"), false, |current| {
                seen.push(current.and_then(|flight| flight.spec.gate.clone()));
                if seen.len() == 1 {
                    put(&store, "a", "B2");
                }
                let mut next = current.cloned().unwrap_or_default();
                next.spec.origin.push('x');
                Ok(Change::Put(next.into()))
            })
            .unwrap();
        assert_eq!(seen, [Some("A1".to_owned()), Some("B2".to_owned())]);
        assert_eq!(store.get(&key("a")).unwrap().spec.gate.as_deref(), Some("B2"));
    }

    #[test]
    fn a_dry_run_keeps_nothing() {
        let store = Store::new();
        store.update(&key("a"), true, |_| Ok(Change::Put(flight("A1").into()))).unwrap();
        assert!(store.get(&key("a")).is_none());
        assert_eq!(store.revision(), 1);
    }

    #[test]
    fn events_are_handed_out_after_a_revision_until_the_ring_forgets() {
        let store = Store::new();
        for gate in 0..RING + 1 {
            put(&store, "a", &gate.to_string());
        }
        let oldest = store.revision() - u64::try_from(RING).unwrap();
        assert!(store.since(oldest - 1).is_err());
        let batch = store.since(oldest).unwrap();
        assert_eq!((batch[0].revision, batch.len()), (oldest + 1, BATCH));
        assert!(store.since(store.revision()).unwrap().is_empty());
    }
}
