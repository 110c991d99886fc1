//! Think of the index as one immutable value per batch: a write makes the next [`Index`] from the current one (clones are
//! O(1)), and [`Published`](crate::published::Published) swaps it in when it is durable. Old revisions are not stored:
//! they are the newest state with the later events undone.

use std::{ops::Bound, sync::Arc};

use imbl::{OrdMap, OrdSet};

use crate::{
    Compare, Event, EventKind, KeyValue, Op, Range, Revision, StoreError, Txn, TxnOutcome,
    history::{History, HistoryLimits, Logged},
};

/// The revision of a store that was never written.
pub(crate) const FIRST_REVISION: Revision = 1;

/// When a key ends, in whole seconds since 1970, so that those of one second are deleted together.
pub(crate) type Deadline = u64;

/// A key as it is now, and when it ends if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key_value: KeyValue,
    pub(crate) expires: Option<Deadline>,
}

/// All keys of one state.
pub(crate) type Entries = OrdMap<Arc<str>, Arc<Entry>>;

/// A committed write: of the next revision in order.
pub(crate) struct Write {
    pub(crate) key: Arc<str>,
    pub(crate) revision: Revision,
    pub(crate) create_revision: Revision,
    pub(crate) op: Op,
    pub(crate) expires: Option<Deadline>,
}

/// The whole keyspace at one revision, with the window of events that led there.
#[derive(Clone)]
pub(crate) struct Index {
    entries: Entries,
    /// The keys that end, soonest first.
    due: OrdSet<(Deadline, Arc<str>)>,
    history: History,
    revision: Revision,
}

impl Index {
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self::restored(Entries::new(), FIRST_REVISION, limits)
    }

    /// The state of a checkpoint, from which no history is known.
    pub(crate) fn restored(entries: Entries, revision: Revision, limits: HistoryLimits) -> Self {
        let due = entries.values().filter_map(|entry| due(entry)).collect();
        Self { entries, due, history: History::new(revision, limits), revision }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The oldest revision that can be read, and watched after.
    pub(crate) fn oldest(&self) -> Revision {
        self.history.oldest()
    }

    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Decides a transaction, and makes its event the newest one when it is committed. A written value ends at
    /// `expires`.
    pub(crate) fn decide(
        &mut self,
        txn: &Txn,
        expires: Option<Deadline>,
    ) -> (TxnOutcome, Option<Arc<Event>>) {
        let current = self.entries.get(&txn.key).map(|entry| entry.key_value.clone());
        let holds = match (&current, txn.compare) {
            (None, Compare::Absent) => !matches!(txn.op, Op::Delete),
            (Some(current), Compare::ModRevision(expected)) => current.mod_revision == expected,
            (Some(_), Compare::Any) => true,
            _ => false,
        };
        if !holds {
            return (TxnOutcome::Conflict { current }, None);
        }
        let revision = self.revision + 1;
        let create_revision = current.as_ref().map_or(revision, |current| current.create_revision);
        let (key, op) = (txn.key.clone(), txn.op.clone());
        let event = self.apply(Write { key, revision, create_revision, op, expires });
        (TxnOutcome::Committed { revision, previous: current }, Some(event))
    }

    /// Applies a committed write.
    pub(crate) fn apply(&mut self, write: Write) -> Arc<Event> {
        let Write { key, revision, create_revision, op, .. } = &write;
        let (key, revision, create_revision) = (key.clone(), *revision, *create_revision);
        let value = if let Op::Put(value) = op { Some(value.clone()) } else { None };
        let previous = self.patch(write);
        let before = previous.as_ref().map(|previous| previous.key_value.value.clone());
        let kind = match value {
            Some(value) => EventKind::Put { value, previous: before },
            None => EventKind::Delete { previous: before.unwrap_or_default() },
        };
        let event = Arc::new(Event { key, revision, create_revision, kind });
        self.revision = revision;
        self.history.push(Logged { event: event.clone(), previous });
        event
    }

    /// Changes the state alone: the revision and the history stay. Gives what was there.
    pub(crate) fn patch(&mut self, write: Write) -> Option<Arc<Entry>> {
        let Write { key, revision: mod_revision, create_revision, op, expires } = write;
        let previous = match op {
            Op::Put(value) => {
                let key_value = KeyValue { key: key.clone(), value, create_revision, mod_revision };
                self.due.extend(expires.map(|expires| (expires, key.clone())));
                self.entries.insert(key, Arc::new(Entry { key_value, expires }))
            }
            Op::Delete => self.entries.remove(&key),
        };
        if let Some(ended) = previous.as_deref().and_then(due)
            && Some(ended.0) != expires
        {
            self.due.remove(&ended);
        }
        previous
    }

    /// When the next key ends.
    pub(crate) fn next_due(&self) -> Option<Deadline> {
        self.due.get_min().map(|(deadline, _)| *deadline)
    }

    /// Deletions of keys that ended at `now` or before, at most `limit`.
    pub(crate) fn expired(&self, now: Deadline, limit: usize) -> Vec<Txn> {
        let ended = self.due.iter().take_while(|(deadline, _)| *deadline <= now).take(limit);
        ended.map(|(_, key)| Txn::new(key.clone(), Compare::Any, Op::Delete)).collect()
    }

    /// Forgets the events up to a revision; one that is already forgotten changes nothing.
    pub(crate) fn compact(&mut self, revision: Revision) -> Result<(), StoreError> {
        if revision > self.revision {
            return Err(StoreError::FutureRevision { requested: revision, current: self.revision });
        }
        self.history.forget(revision);
        Ok(())
    }

    pub(crate) fn check(&self, requested: Revision) -> Result<(), StoreError> {
        if requested > self.revision {
            return Err(StoreError::FutureRevision { requested, current: self.revision });
        }
        if requested < self.oldest() {
            return Err(StoreError::Compacted { requested, oldest: self.oldest() });
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        let at = at.unwrap_or(self.revision);
        self.check(at)?;
        // What the first later event on the key replaced is what it held then.
        let entry = match self.history.after(at).find(|logged| &*logged.event.key == key) {
            Some(logged) => logged.previous.as_ref(),
            None => self.entries.get(key),
        };
        Ok(entry.map(|entry| entry.key_value.clone()))
    }

    pub(crate) fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        let revision = at.unwrap_or(self.revision);
        self.check(revision)?;
        let entries = self.entries_at(prefix, revision);
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let found = entries.range::<_, str>(from).take_while(|(key, _)| key.starts_with(prefix));
        Ok(Range { items: found.map(|(_, entry)| entry.key_value.clone()).collect(), revision })
    }

    /// The events after a revision of the window, in order.
    pub(crate) fn events(&self, after: Revision) -> impl Iterator<Item = &Arc<Event>> {
        self.history.after(after).map(|logged| &logged.event)
    }

    /// The entries, of which those under `prefix` are as they were at `revision`.
    pub(crate) fn entries_at(&self, prefix: &str, revision: Revision) -> Entries {
        let mut entries = self.entries.clone();
        for logged in self.history.after(revision).rev() {
            let key = &logged.event.key;
            match &logged.previous {
                _ if !key.starts_with(prefix) => {}
                Some(previous) => drop(entries.insert(key.clone(), previous.clone())),
                None => drop(entries.remove(key)),
            }
        }
        entries
    }
}

fn due(entry: &Entry) -> Option<(Deadline, Arc<str>)> {
    entry.expires.map(|deadline| (deadline, entry.key_value.key.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(index: &mut Index, key: &str, expires: Option<Deadline>) {
        let txn = |compare| Txn::new(key, compare, Op::Put("v".into()));
        let compare = if index.entries.contains_key(key) { Compare::Any } else { Compare::Absent };
        assert!(index.decide(&txn(compare), expires).1.is_some());
    }

    fn expired(index: &Index, now: Deadline) -> Vec<String> {
        index.expired(now, 10).iter().map(|txn| txn.key.to_string()).collect()
    }

    #[test]
    fn the_last_write_says_when_a_key_ends() {
        let mut index = Index::new(HistoryLimits::default());
        put(&mut index, "/a", Some(5));
        put(&mut index, "/b", Some(5));
        put(&mut index, "/c", Some(3));
        assert_eq!(index.next_due(), Some(3));
        assert_eq!(expired(&index, 4), ["/c"]);
        assert_eq!(expired(&index, 5), ["/c", "/a", "/b"]);
        assert_eq!(index.expired(5, 2).len(), 2);

        put(&mut index, "/c", Some(9));
        put(&mut index, "/b", Some(5));
        put(&mut index, "/a", None);
        assert_eq!((expired(&index, 5), index.next_due()), (vec!["/b".into()], Some(5)));
        for deletion in index.expired(9, 10) {
            assert!(index.decide(&deletion, None).1.is_some());
        }
        assert_eq!((index.next_due(), index.entries.len()), (None, 1));
        let before = index.entries_at("", 3);
        assert_eq!(before.values().map(|entry| entry.expires).collect::<Vec<_>>(), [Some(5), Some(5)]);
    }
}
