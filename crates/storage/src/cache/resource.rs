//! One resource is one immutable [`State`]: its objects and the window of events that led to them, replaced as a whole.

use std::sync::{Arc, atomic::AtomicU64};

use arc_swap::{ArcSwap, Guard};
use imbl::OrdMap;

use super::{
    CacheError, Object,
    encodings::{Memo, Recent},
    waiters::Waiters,
};
use crate::Revision;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// It was created.
    Added,
    /// It was updated.
    Modified,
    /// It was removed.
    Deleted,
}

/// One change of one object.
#[derive(Debug)]
pub struct WatchEvent {
    /// The revision of the change.
    pub revision: Revision,
    /// The change.
    pub kind: WatchKind,
    /// The new state; of a deletion, the last state with the deletion's revision in it.
    pub object: Arc<Object>,
    /// The state before; absent when it was created.
    pub previous: Option<Arc<Object>>,
    pub(super) memo: Memo,
}

impl WatchEvent {
    /// The event of a change from `previous` to `new`; `None` when the object neither was nor is there.
    fn of(previous: Option<Arc<Object>>, new: Option<Arc<Object>>, revision: Revision) -> Option<Self> {
        let (kind, object) = match (&previous, new) {
            (None, None) => return None,
            (None, Some(new)) => (WatchKind::Added, new),
            (Some(_), Some(new)) => (WatchKind::Modified, new),
            (Some(last), None) => (WatchKind::Deleted, Arc::new(last.with_revision(revision))),
        };
        Some(Self { revision, kind, object, previous, memo: Memo::default() })
    }
}

/// The events that a window keeps whatever their size, so that one batch of large objects does not end every watch.
/// Upstream's watch cache starts with as many.
const LEAST_EVENTS: usize = 100;

pub(super) type Objects = OrdMap<Arc<str>, Arc<Object>>;

/// All that readers see of a resource.
#[derive(Clone)]
pub(super) struct State {
    pub(super) objects: Objects,
    pub(super) object_bytes: usize,
    pub(super) events: OrdMap<Revision, Arc<WatchEvent>>,
    /// Bytes of the objects in `events`, each counted once: the state before an event is mostly that of an earlier one.
    pub(super) event_bytes: usize,
    /// Every event of the resource up to here is folded in.
    pub(super) revision: Revision,
    /// Every event of the resource after this revision is in `events`.
    pub(super) oldest: Revision,
}

impl State {
    pub(super) fn new(revision: Revision) -> Self {
        let (objects, events) = (Objects::new(), OrdMap::new());
        Self { objects, object_bytes: 0, events, event_bytes: 0, revision, oldest: revision }
    }

    /// Takes in an object that was there before the first event.
    pub(super) fn load(&mut self, object: Object) {
        self.object_bytes += object.size();
        self.objects.insert(object.key.clone(), Arc::new(object));
    }

    /// Folds in one change; `new` is absent when the key was deleted. Gives its event, if it makes one.
    ///
    /// A revision has one event. When somebody changed several objects at once, past the API, the window begins anew
    /// after them: watches that have not seen them have to list again.
    pub(super) fn apply(
        &mut self,
        key: &Arc<str>,
        new: Option<Object>,
        revision: Revision,
    ) -> Option<Arc<WatchEvent>> {
        let new = new.map(Arc::new);
        let previous = match &new {
            Some(new) => self.objects.insert(key.clone(), new.clone()),
            None => self.objects.remove(key),
        };
        self.object_bytes += new.as_ref().map_or(0, |new| new.size());
        self.object_bytes -= previous.as_ref().map_or(0, |previous| previous.size());
        let event = Arc::new(WatchEvent::of(previous, new, revision)?);
        if revision == self.oldest || self.events.contains_key(&revision) {
            (self.events, self.event_bytes, self.oldest) = (OrdMap::new(), 0, revision);
            return None;
        }
        let previous = event.previous.as_ref().filter(|last| !self.events.contains_key(&last.revision));
        self.event_bytes += event.object.size() + previous.map_or(0, |previous| previous.size());
        self.events.insert(revision, event.clone());
        Some(event)
    }

    /// Drops the oldest events until the window is within these bounds.
    pub(super) fn trim(&mut self, events: usize, bytes: usize) {
        while self.events.len() > events || (self.events.len() > LEAST_EVENTS && self.event_bytes > bytes) {
            let Some((revision, event)) = self.events.get_min().cloned() else { break };
            self.events.remove(&revision);
            self.event_bytes -= event.previous.as_ref().map_or(0, |previous| previous.size());
            if !self.is_previous(&event) {
                self.event_bytes -= event.object.size();
            }
            self.oldest = revision;
        }
    }

    /// Whether a later event has the object of `event` as the state before it.
    fn is_previous(&self, event: &WatchEvent) -> bool {
        let is_current = |now: &Arc<Object>| Arc::ptr_eq(now, &event.object);
        event.kind != WatchKind::Deleted && !self.objects.get(&event.object.key).is_some_and(is_current)
    }

    /// Whether every event after `after` is still here.
    pub(super) fn check(&self, after: Revision) -> Result<(), CacheError> {
        if after < self.oldest {
            return Err(CacheError::Expired { requested: after, oldest: self.oldest });
        }
        Ok(())
    }
}

/// The place where the newest [`State`] of a resource is found, and what goes with it.
pub(super) struct Resource {
    state: ArcSwap<State>,
    pub(super) waiters: Waiters,
    pub(super) recent: Recent,
    pub(super) counts: Counts,
}

/// What has happened to a resource since the cache began, for metrics.
#[derive(Default)]
pub(super) struct Counts {
    /// Events from the store.
    pub(super) received: AtomicU64,
    /// Events handed to watchers.
    pub(super) dispatched: AtomicU64,
    /// Watchers that fell off the window.
    pub(super) terminated: AtomicU64,
    /// Snapshots taken for lists.
    pub(super) lists: AtomicU64,
    /// How often the feed lost its history, and the objects were read as a whole.
    pub(super) resyncs: AtomicU64,
}

impl Resource {
    pub(super) fn new(state: State) -> Self {
        Self {
            state: ArcSwap::from_pointee(state),
            waiters: Waiters::default(),
            recent: Recent::default(),
            counts: Counts::default(),
        }
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The newest state for one look; cheaper than [`Self::state`], which is for keeping.
    pub(super) fn peek(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    /// Only the feed calls this.
    pub(super) fn publish(&self, state: State) {
        self.state.store(Arc::new(state));
    }
}
