//! One endpoint: its connections, what it has to do, and what is thought of it. What each request reads and writes is
//! atomic; the lock is taken only when something went wrong, or comes right again.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use detectviz_core::http::Request;
use futures_util::TryFutureExt as _;
use futures_util::future::Either;

use super::health::{Health, Outcome, Standing};
use super::pick::{self, WARM_UP};
use super::{Class, ClusterOptions};
use crate::dial::Dialer;
use crate::target::{Address, Target, TargetError};
use crate::transport::{Failed, Transport, TransportError, Upgraded};

/// What [`Endpoint::gate`] says; all but the first are looked at more closely.
const OPEN: u8 = 0;
const FAILING: u8 = 1;
const TRIAL: u8 = 2;
const UNREACHABLE: u8 = 3;

pub(super) struct Endpoint {
    pub(super) address: Address,
    /// By class, so that one class never uses up the connections of another.
    lines: [Transport; 3],
    /// Requests and streams, from before they are sent to the end of their answers.
    load: AtomicUsize,
    /// Those of them whose answer has not begun.
    waiting: AtomicUsize,
    /// How often an answer began: whether it changes says whether somebody is there.
    answers: AtomicU64,
    /// The standing, for a glance.
    gate: AtomicU8,
    /// Whether a good answer would change what is thought of it.
    in_doubt: AtomicBool,
    /// Until when it is given less than its share; milliseconds.
    warm_at: AtomicU64,
    /// Whether somebody knocks; one is enough.
    at_the_door: AtomicBool,
    /// Connections that are tried without a request.
    knocks: AtomicUsize,
    health: Mutex<Health>,
    last_error: Mutex<Option<TransportError>>,
}

impl Endpoint {
    pub(super) fn new(
        target: Target,
        dialer: &Dialer,
        options: &ClusterOptions,
    ) -> Result<Self, TargetError> {
        let line = |options| Transport::new(target.clone(), dialer.clone(), options);
        Ok(Self {
            lines: [line(&options.requests)?, line(&options.streams)?, line(&options.own)?],
            address: target.address,
            load: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            answers: AtomicU64::new(0),
            gate: AtomicU8::new(OPEN),
            in_doubt: AtomicBool::new(false),
            warm_at: AtomicU64::new(0),
            at_the_door: AtomicBool::new(false),
            knocks: AtomicUsize::new(0),
            health: Mutex::default(),
            last_error: Mutex::default(),
        })
    }

    /// When the certificate expires that it showed last.
    pub(super) fn certificate_expiry(&self) -> Option<SystemTime> {
        self.lines.iter().filter_map(Transport::certificate_expiry).min()
    }

    /// Sends a request; one for another protocol may be answered by a tunnel.
    pub(super) fn send(
        &self,
        request: Request,
        (class, upgrade): (Class, bool),
    ) -> impl Future<Output = Result<Upgraded, Failed>> + Send {
        let line = &self.lines[class as usize];
        match upgrade {
            true => Either::Left(Box::pin(line.upgrade(request))),
            false => Either::Right(line.send(request).map_ok(Upgraded::Refused)),
        }
    }

    /// Makes a connection as a request would, and lets it go.
    pub(super) async fn knock(&self) -> Result<(), TransportError> {
        self.knocks.fetch_add(1, Ordering::Relaxed);
        let _done = Done(&self.knocks);
        self.lines[Class::Own as usize].reach().await
    }

    /// The place of whoever knocks, unless it is taken.
    pub(super) fn take_place_at_the_door(self: &Arc<Self>) -> Option<AtTheDoor> {
        (!self.at_the_door.swap(true, Ordering::AcqRel)).then(|| AtTheDoor(Arc::clone(self)))
    }

    /// Whether a connection is being tried without a request.
    pub(super) fn is_knocked_at(&self) -> bool {
        self.knocks.load(Ordering::Relaxed) > 0
    }

    /// What one more request would cost here; `None` when there must be none.
    pub(super) fn cost(&self, now: impl Fn() -> Duration) -> Option<u64> {
        if self.gate.load(Ordering::Relaxed) != OPEN && !self.is_due(now()) {
            return None;
        }
        let warming = match self.warm_at.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            warm_at => Duration::from_millis(warm_at).saturating_sub(now()),
        };
        Some(pick::cost(self.load(), warming))
    }

    fn is_due(&self, now: Duration) -> bool {
        matches!(self.health().standing(), Standing::Failing { until } if until <= now)
    }

    /// When it may be tried again, if it is ejected for bad answers; last of all when it is being tried.
    pub(super) fn failing_until(&self) -> Option<Duration> {
        match self.standing() {
            Standing::Failing { until } => Some(until),
            Standing::Trial => Some(Duration::MAX),
            _ => None,
        }
    }

    /// Told before a request is sent; whether the request is this endpoint's trial.
    pub(super) fn begin(&self, now: impl Fn() -> Duration) -> bool {
        self.load.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.gate.load(Ordering::Relaxed) != FAILING {
            return false;
        }
        let mut health = self.health();
        let trial = health.begin_trial(now());
        self.show(&health);
        trial
    }

    /// Told when the answer began, or will not.
    pub(super) fn heard(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Told at the end of the answer, or when there is none.
    pub(super) fn end(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes notice of a good answer.
    pub(super) fn answered(&self, now: impl Fn() -> Duration) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.in_doubt.load(Ordering::Relaxed) {
            self.note(Outcome::Answered, now(), false);
        }
    }

    /// Takes notice of what is no good answer.
    pub(super) fn note(&self, outcome: Outcome, now: Duration, may_eject: bool) {
        if outcome == Outcome::Gateway {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        let mut health = self.health();
        let before = health.standing();
        health.note(outcome, now, may_eject);
        self.moved(before, &health, now);
    }

    /// Takes notice of a connection.
    pub(super) fn reached(&self, now: Duration) {
        let mut health = self.health();
        let before = health.standing();
        health.reached(now);
        self.moved(before, &health, now);
    }

    /// The trial ended without an outcome.
    pub(super) fn give_up_trial(&self, now: Duration) {
        let mut health = self.health();
        health.give_up_trial(now);
        self.show(&health);
    }

    /// It is new among others, or back.
    pub(super) fn warm_up(&self, now: Duration) {
        self.warm_at.store((now + WARM_UP).as_millis() as u64, Ordering::Relaxed);
    }

    fn moved(&self, before: Standing, health: &Health, now: Duration) {
        if before != Standing::Healthy && health.standing() == Standing::Healthy {
            self.warm_up(now);
            *self.last_error() = None;
        }
        self.show(health);
    }

    fn show(&self, health: &Health) {
        let gate = match health.standing() {
            Standing::Healthy => OPEN,
            Standing::Failing { .. } => FAILING,
            Standing::Trial => TRIAL,
            Standing::Unreachable => UNREACHABLE,
        };
        self.in_doubt.store(!health.is_clean(), Ordering::Relaxed);
        self.gate.store(gate, Ordering::Relaxed);
    }

    pub(super) fn is_unreachable(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == UNREACHABLE
    }

    /// Whether bad answers have it ejected, or on trial.
    pub(super) fn is_failing(&self) -> bool {
        matches!(self.gate.load(Ordering::Relaxed), FAILING | TRIAL)
    }

    pub(super) fn standing(&self) -> Standing {
        self.health().standing()
    }

    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn last_error(&self) -> MutexGuard<'_, Option<TransportError>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Held by whoever knocks.
pub(super) struct AtTheDoor(Arc<Endpoint>);

impl Drop for AtTheDoor {
    fn drop(&mut self) {
        self.0.at_the_door.store(false, Ordering::Release);
    }
}
