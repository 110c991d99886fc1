//! The numbers of one remote APIService.

use std::array;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::backend::Backend;

/// The upper bounds of the latency buckets, in seconds; there is one more without a bound.
pub(super) const BOUNDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The codes that are told apart: those that HTTP has. Another one counts as the first.
const CODES: std::ops::Range<u16> = 100..600;

/// Why a request got no answer of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The APIService is not available, so that nothing was sent.
    Unavailable,
    /// Our own bounds were met.
    Busy,
    /// The backend's name means nothing.
    Resolve,
    /// The dial policy refuses its address.
    Policy,
    /// No connection.
    Connect,
    /// The two sides do not trust each other.
    Tls,
    /// The connection broke before the answer's head.
    Send,
    /// Nobody waits any longer: the client went, or the request's time was over.
    GivenUp,
    /// The answer is one that must not reach the client: a redirect, or another protocol than was asked for.
    Refused,
}

impl Fault {
    /// Every kind, with its label; in the order of the variants.
    pub(super) const ALL: [(Self, &'static str); 9] = [
        (Self::Unavailable, "unavailable"),
        (Self::Busy, "busy"),
        (Self::Resolve, "resolve"),
        (Self::Policy, "policy"),
        (Self::Connect, "connect"),
        (Self::Tls, "tls"),
        (Self::Send, "send"),
        (Self::GivenUp, "given_up"),
        (Self::Refused, "refused"),
    ];
}

/// What stays open after an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// A watch, or another answer that has no end of its own.
    Stream,
    /// A connection that became something else.
    Tunnel,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Sum(AtomicU64);

impl Sum {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of one APIService.
#[derive(Default)]
pub(crate) struct Numbers {
    /// Bytes of bodies and tunnels that the backend sent.
    pub(crate) received: Sum,
    /// Bytes of bodies and tunnels that were sent to the backend.
    pub(crate) sent: Sum,
    /// By code, from the first answer on: many APIServices are never asked.
    codes: OnceLock<Box<[Sum]>>,
    faults: [Sum; Fault::ALL.len()],
    buckets: [Sum; BOUNDS.len() + 1],
    microseconds: Sum,
    open: [AtomicI64; 2],
    /// Where requests went last, for as long as they may.
    backend: Mutex<Weak<Backend>>,
    availability: Mutex<Availability>,
}

#[derive(Default)]
struct Availability {
    /// Why it is unavailable now; nothing when it is available, or nothing is known yet.
    reason: Option<&'static str>,
    known: bool,
    /// How often it became unavailable, by reason; reasons are ours and few.
    became: BTreeMap<&'static str, u64>,
}

/// Something open, counted until it is dropped.
pub(crate) struct Opened {
    numbers: Arc<Numbers>,
    kind: Open,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.numbers.open[self.kind as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Numbers {
    /// An answer with `code` began after `elapsed`.
    pub(crate) fn answered(&self, code: u16, elapsed: Duration) {
        let codes = self.codes.get_or_init(|| CODES.map(|_| Sum::default()).collect());
        let index = usize::from(if CODES.contains(&code) { code - CODES.start } else { 0 });
        codes[index].add(1);
        let seconds = elapsed.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].add(1);
        self.microseconds.add(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
    }

    /// A request got no answer of its backend.
    pub(crate) fn failed(&self, fault: Fault) {
        self.faults[fault as usize].add(1);
    }

    /// Something stays open until what is returned is dropped.
    pub(crate) fn open(self: &Arc<Self>, kind: Open) -> Opened {
        self.open[kind as usize].fetch_add(1, Ordering::Relaxed);
        Opened { numbers: Arc::clone(self), kind }
    }

    /// Requests go to `backend` from now on.
    pub(crate) fn goes_to(&self, backend: &Arc<Backend>) {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(backend);
    }

    pub(super) fn backend(&self) -> Option<Arc<Backend>> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    pub(super) fn available(&self, outcome: Result<(), &'static str>) {
        let mut availability = self.availability.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = outcome.err().filter(|reason| availability.reason != Some(*reason)) {
            *availability.became.entry(reason).or_default() += 1;
        }
        (availability.reason, availability.known) = (outcome.err(), true);
    }

    /// Whether it is unavailable, if that is known, and how often it became so, by reason.
    pub(super) fn unavailable(&self) -> (Option<bool>, Vec<(&'static str, u64)>) {
        let availability = self.availability.lock().unwrap_or_else(PoisonError::into_inner);
        let now = availability.known.then_some(availability.reason.is_some());
        (now, availability.became.iter().map(|(reason, count)| (*reason, *count)).collect())
    }

    /// The codes that were answered, and how often.
    pub(super) fn codes(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let sums = self.codes.get().into_iter().flatten();
        CODES.zip(sums).map(|(code, sum)| (code, sum.get())).filter(|(_, count)| *count > 0)
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Fault::ALL.iter().zip(&self.faults).map(|((_, label), sum)| (*label, sum.get()))
    }

    pub(crate) fn opened(&self, kind: Open) -> i64 {
        self.open[kind as usize].load(Ordering::Relaxed)
    }

    /// The sum of all latencies in seconds, and the count of each bucket with its bound.
    pub(super) fn latency(&self) -> (f64, [(f64, u64); BOUNDS.len() + 1]) {
        let bound = |index: usize| BOUNDS.get(index).copied().unwrap_or(f64::MAX);
        let buckets = array::from_fn(|index| (bound(index), self.buckets[index].get()));
        (self.microseconds.get() as f64 / 1_000_000.0, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_faults_are_in_the_order_of_their_labels() {
        for (index, (kind, _)) in Fault::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
    }

    #[test]
    fn a_code_that_http_does_not_have_is_counted_with_the_first() {
        let numbers = Numbers::default();
        numbers.answered(999, Duration::from_secs(60));
        numbers.answered(599, Duration::ZERO);
        assert_eq!(numbers.codes().collect::<Vec<_>>(), [(100, 1), (599, 1)]);
        let (sum, buckets) = numbers.latency();
        assert_eq!((sum, buckets[0].1, buckets[BOUNDS.len()].1), (60.0, 1, 1));
    }
}
