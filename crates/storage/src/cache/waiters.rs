//! Who waits for what: watchers lie under the keys that they are about, so that a change wakes those whom it concerns and
//! costs all others nothing, not even a look.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

use crate::{Revision, keys};

/// One watcher, as the feed sees it.
#[derive(Default)]
pub(super) struct Waiter(Mutex<Slot>);

#[derive(Default)]
struct Slot {
    /// There may be something behind this revision; up to it nothing concerns the watcher that it has not seen.
    news: Option<Revision>,
    /// Absent while the watcher is not waiting.
    waker: Option<Waker>,
}

impl Waiter {
    /// A watcher that has to look at what lies behind `news`, or one that has seen everything.
    fn new(news: Option<Revision>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Slot { news, waker: None })))
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the note that there are news; leaves `waker` to be woken when there is none.
    pub(super) fn take_news_or_wait(&self, waker: &Waker) -> Option<Revision> {
        let mut slot = self.slot();
        if slot.news.is_none() && !slot.waker.as_ref().is_some_and(|have| have.will_wake(waker)) {
            slot.waker = Some(waker.clone());
        }
        slot.news.take()
    }

    /// The note, which stays.
    pub(super) fn news(&self) -> Option<Revision> {
        self.slot().news
    }

    /// Leaves a note that there may be more behind `news`; a later note of the feed tells less.
    pub(super) fn note(&self, news: Revision) {
        let mut slot = self.slot();
        slot.news = Some(slot.news.map_or(news, |have| have.min(news)));
    }

    /// Leaves a note that something happened right after `news`, and takes the waker of a watcher that had none.
    fn alert(&self, news: Revision) -> Option<Waker> {
        let mut slot = self.slot();
        if slot.news.is_some() {
            return None;
        }
        slot.news = Some(news);
        slot.waker.take()
    }
}

/// The watchers of one resource.
#[derive(Default)]
pub(super) struct Waiters {
    places: Mutex<Places>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Places {
    by_scope: HashMap<Box<str>, BTreeMap<u64, Arc<Waiter>>>,
    next: u64,
}

impl Waiters {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a watcher of `within`; the number is for [`Self::remove`].
    pub(super) fn add(&self, within: &str, news: Option<Revision>) -> (u64, Arc<Waiter>) {
        let waiter = Waiter::new(news);
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        self.count.fetch_add(1, Ordering::Relaxed);
        places.by_scope.entry(within.into()).or_default().insert(number, waiter.clone());
        (number, waiter)
    }

    /// Takes a watcher out, and says how many are left.
    pub(super) fn remove(&self, within: &str, number: u64) -> usize {
        let mut places = self.places();
        if let Some(scope) = places.by_scope.get_mut(within)
            && scope.remove(&number).is_some()
        {
            if scope.is_empty() {
                places.by_scope.remove(within);
            }
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        self.count()
    }

    /// How many watchers there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Notes what happened, `changes` being keys with their revisions in order, with those whom it concerns. Gives back
    /// the wakers of those who wait, to be woken once everything is visible.
    pub(super) fn alert<'a>(
        &self,
        prefix: &str,
        changes: impl Iterator<Item = (&'a str, Revision)>,
    ) -> Vec<Waker> {
        let mut places = self.places();
        let mut wakers = Vec::new();
        let mut alerted = Vec::new();
        for (key, revision) in changes {
            for scope in keys::scopes(prefix, key) {
                let Some((scope, waiters)) = places.by_scope.remove_entry(scope) else { continue };
                wakers.extend(waiters.values().filter_map(|waiter| waiter.alert(revision - 1)));
                alerted.push((scope, waiters));
            }
            if places.by_scope.is_empty() {
                break;
            }
        }
        places.by_scope.extend(alerted);
        wakers
    }

    /// The wakers of all who wait.
    pub(super) fn all(&self) -> Vec<Waker> {
        let places = self.places();
        let waiters = places.by_scope.values().flat_map(BTreeMap::values);
        waiters.filter_map(|waiter| waiter.slot().waker.take()).collect()
    }
}
