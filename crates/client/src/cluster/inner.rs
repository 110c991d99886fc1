//! What requests, the keeper and those who look on share.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::Class;
use super::budget::Budget;
use super::endpoint::Endpoint;
use super::health::Outcome;
use super::pick;

/// The most endpoints that one request is tried at.
pub(super) const MAX_TRIES: usize = 3;

pub(super) type Endpoints = Vec<Arc<Endpoint>>;

pub(super) struct Inner {
    pub(super) endpoints: Endpoints,
    pub(super) budget: Budget,
    /// Requests under way by class; those that have ended but whose body is still read are under way.
    under_way: [AtomicUsize; 3],
    /// Drawn for each choice between endpoints.
    draws: AtomicU64,
    began: Instant,
    /// Whether the keeper looks at the endpoints by itself; else it must be woken.
    pub(super) awake: AtomicBool,
    pub(super) work: Notify,
    /// Whether any endpoint can be reached.
    pub(super) reachable: watch::Sender<bool>,
    pub(super) counts: Arc<Counts>,
}

/// What was done since the beginning, by a cluster and those that it was made from.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) retried: AtomicU64,
    pub(super) ejected: AtomicU64,
}

/// Endpoints that a request has been tried at, by index.
#[derive(Default)]
pub(super) struct Tried {
    at: [usize; MAX_TRIES],
    count: usize,
}

impl Tried {
    pub(super) fn add(&mut self, index: usize) {
        if let Some(place) = self.at.get_mut(self.count) {
            *place = index;
            self.count += 1;
        }
    }

    fn has(&self, index: usize) -> bool {
        self.at[..self.count].contains(&index)
    }
}

impl Inner {
    pub(super) fn new(endpoints: Endpoints) -> Self {
        Self::since(Instant::now(), endpoints, Arc::default())
    }

    /// One with other endpoints and the same beginning, so that times told to an endpoint of both mean the same.
    pub(super) fn with(&self, endpoints: Endpoints) -> Self {
        Self::since(self.began, endpoints, Arc::clone(&self.counts))
    }

    fn since(began: Instant, endpoints: Endpoints, counts: Arc<Counts>) -> Self {
        let reachable = endpoints.iter().any(|endpoint| !endpoint.is_unreachable());
        Self {
            endpoints,
            budget: Budget::default(),
            under_way: Default::default(),
            draws: AtomicU64::new(RandomState::new().build_hasher().finish()),
            began,
            awake: AtomicBool::new(true),
            work: Notify::new(),
            reachable: watch::Sender::new(reachable),
            counts,
        }
    }

    /// Since the cluster began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn entered(&self, class: Class) {
        self.under_way[class as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left(&self, class: Class) {
        self.under_way[class as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// How many requests of `class` are under way.
    pub(super) fn under_way(&self, class: Class) -> usize {
        self.under_way[class as usize].load(Ordering::Relaxed)
    }

    /// Where the next request goes; `None` when every endpoint that was not tried cannot be reached. An endpoint whose
    /// ejection is over is taken for its trial, and when there is no other, one whose ejection is not.
    pub(super) fn pick(&self, tried: &Tried) -> Option<usize> {
        let endpoints = &self.endpoints;
        let random = if endpoints.len() > 1 { self.draw() } else { 0 };
        let cost = |index: usize| if tried.has(index) { None } else { endpoints[index].cost(|| self.now()) };
        pick::pick(endpoints.len(), random, cost).or_else(|| last_resort(endpoints, tried))
    }

    fn draw(&self) -> u64 {
        pick::scatter(self.draws.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes notice of what is no good answer.
    pub(super) fn note(&self, endpoint: &Endpoint, outcome: Outcome) {
        let was_out = endpoint.is_unreachable() || endpoint.is_failing();
        endpoint.note(outcome, self.now(), self.may_eject());
        if !was_out && (endpoint.is_unreachable() || endpoint.is_failing()) {
            self.counts.ejected.fetch_add(1, Ordering::Relaxed);
        }
        if endpoint.is_unreachable() {
            self.tell();
            self.work.notify_one();
        }
    }

    /// Bad answers eject at most half of the endpoints: when most of them answer badly, it is not for the place.
    fn may_eject(&self) -> bool {
        let endpoints = &self.endpoints;
        endpoints.iter().filter(|endpoint| endpoint.is_failing()).count() < endpoints.len() / 2
    }

    /// Somebody is there again.
    pub(super) fn reached(&self, endpoint: &Endpoint) {
        endpoint.reached(self.now());
        self.tell();
    }

    /// `pause` and up to a tenth more, so that not all come at the same time.
    pub(super) fn by_chance(&self, pause: Duration) -> Duration {
        pause + pause.mul_f64((self.draw() % 101) as f64 / 1000.0)
    }

    /// Tells those who look on whether any endpoint can be reached.
    pub(super) fn tell(&self) {
        let reachable = self.is_reachable();
        self.reachable.send_if_modified(|told| std::mem::replace(told, reachable) != reachable);
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.endpoints.iter().any(|endpoint| !endpoint.is_unreachable())
    }

    /// Has the keeper look at the endpoints for as long as there are requests.
    pub(super) fn wake(&self) {
        if !self.awake.load(Ordering::SeqCst) {
            self.work.notify_one();
        }
    }
}

/// Of the endpoints that answer badly, the one whose time is up first: the least recently tried.
fn last_resort(endpoints: &Endpoints, tried: &Tried) -> Option<usize> {
    let failing = |(index, endpoint): (usize, &Arc<Endpoint>)| {
        let until = if tried.has(index) { None } else { endpoint.failing_until() };
        Some((until?, index))
    };
    endpoints.iter().enumerate().filter_map(failing).min().map(|(_, index)| index)
}
