//! An event is encoded once in each form that is asked for, however many watchers get it. The newest events of each
//! resource keep their encodings, within one budget of bytes over all; what is older is encoded again when it is asked for,
//! which only watchers do that come late.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::WatchEvent;

/// The events of a resource that may keep their encodings. Fewer than a window always has, so that an event loses its
/// encodings before it leaves the window.
pub(super) const RECENT: usize = 64;

/// A form that events are encoded in: equal numbers mean equal bytes of the same event. Who encodes gives the numbers.
pub type Form = u64;

/// What an event keeps of its encodings.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<Kept>);

#[derive(Debug, Default)]
enum Kept {
    #[default]
    Nothing,
    Forms {
        /// The place among all that are kept.
        number: u64,
        forms: Vec<(Form, Bytes)>,
    },
    /// Nothing, for ever.
    Closed,
}

impl Memo {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All kept encodings. An event is locked before this, never after it.
pub(super) struct Encodings {
    budget: usize,
    all: Mutex<All>,
    made: AtomicU64,
    shared: AtomicU64,
}

#[derive(Default)]
struct All {
    /// Events with encodings, in the order of their first one.
    events: BTreeMap<u64, Weak<WatchEvent>>,
    next: u64,
    bytes: usize,
}

impl Encodings {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, all: Mutex::default(), made: AtomicU64::new(0), shared: AtomicU64::new(0) }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event in this form. Others who ask for it at the same time wait instead of encoding it too.
    pub(super) fn get(&self, event: &Arc<WatchEvent>, form: Form, encode: impl FnOnce() -> Bytes) -> Bytes {
        let mut kept = event.memo.lock();
        let bytes = match &mut *kept {
            Kept::Closed => return self.encode(encode),
            Kept::Nothing => {
                let bytes = self.encode(encode);
                *kept = Kept::Forms { number: self.add(event), forms: vec![(form, bytes.clone())] };
                bytes
            }
            Kept::Forms { forms, .. } => {
                if let Some((_, bytes)) = forms.iter().find(|(have, _)| *have == form) {
                    self.shared.fetch_add(1, Ordering::Relaxed);
                    return bytes.clone();
                }
                let bytes = self.encode(encode);
                forms.push((form, bytes.clone()));
                bytes
            }
        };
        // Counted while the event is held, so that nobody takes off what was not added yet.
        self.all().bytes += bytes.len();
        drop(kept);
        self.shrink();
        bytes
    }

    /// The event in a form that is not kept.
    pub(super) fn encode(&self, encode: impl FnOnce() -> Bytes) -> Bytes {
        self.made.fetch_add(1, Ordering::Relaxed);
        encode()
    }

    fn add(&self, event: &Arc<WatchEvent>) -> u64 {
        let mut all = self.all();
        let number = all.next;
        all.next += 1;
        all.events.insert(number, Arc::downgrade(event));
        number
    }

    /// Lets an event forget what it has, and with `close` whatever it would get.
    pub(super) fn forget(&self, event: &WatchEvent, close: bool) {
        let mut kept = event.memo.lock();
        let next = if close { Kept::Closed } else { Kept::Nothing };
        match std::mem::replace(&mut *kept, next) {
            Kept::Forms { number, forms } => {
                let mut all = self.all();
                all.events.remove(&number);
                all.bytes -= forms.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            }
            Kept::Closed => *kept = Kept::Closed,
            Kept::Nothing => {}
        }
    }

    /// Keeps to the budget; the oldest go first.
    fn shrink(&self) {
        while let Some(oldest) = self.above_budget() {
            self.forget(&oldest, true);
        }
    }

    fn above_budget(&self) -> Option<Arc<WatchEvent>> {
        let all = self.all();
        let (_, oldest) = all.events.first_key_value().filter(|_| all.bytes > self.budget)?;
        oldest.upgrade()
    }

    /// Bytes that are kept, and how often an event was encoded and how often that was saved.
    pub(super) fn stats(&self) -> (usize, u64, u64) {
        (self.all().bytes, self.made.load(Ordering::Relaxed), self.shared.load(Ordering::Relaxed))
    }
}

/// The newest events of a resource, which only the feed changes.
#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<WatchEvent>>>);

impl Recent {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<WatchEvent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in newer events; those that they push out forget their encodings.
    pub(super) fn extend(&self, events: Vec<Arc<WatchEvent>>, encodings: &Encodings) {
        let mut recent = self.lock();
        recent.extend(events);
        let older = recent.len().saturating_sub(RECENT);
        let older: Vec<_> = recent.drain(..older).collect();
        drop(recent);
        older.iter().for_each(|event| encodings.forget(event, true));
    }

    /// Lets all forget what they have: nobody asks any more.
    pub(super) fn forget(&self, encodings: &Encodings) {
        self.lock().iter().for_each(|event| encodings.forget(event, false));
    }
}
