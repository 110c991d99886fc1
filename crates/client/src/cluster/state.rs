//! What a cluster says of itself, for metrics, conditions and messages.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::health;
use super::{Class, Cluster};
use crate::target::Address;

/// What a cluster is like at one moment.
#[derive(Clone, Debug)]
pub struct ClusterState {
    /// Whether requests are sent at all.
    pub breaker: BreakerState,
    /// Requests under way: from before they are sent until their answers have been read.
    pub requests: usize,
    /// Streams under way.
    pub streams: usize,
    /// Requests that broke and are under way for the second time.
    pub retries: usize,
    /// Attempts that were another try of a request, since the beginning.
    pub retried: u64,
    /// How often an endpoint was ejected, for whatever reason, since the beginning.
    pub ejected: u64,
    /// The endpoints.
    pub endpoints: Vec<EndpointState>,
}

/// Whether a cluster's requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// They are.
    Closed,
    /// No endpoint can be reached; a connection is being tried.
    HalfOpen,
    /// No endpoint can be reached.
    Open,
}

/// What an endpoint is like.
#[derive(Clone, Debug)]
pub struct EndpointState {
    /// Where it is.
    pub address: Address,
    /// Requests and streams under way there, our own included.
    pub load: usize,
    /// What it is given.
    pub standing: Standing,
    /// Why the last attempt failed, if none succeeded since it could not be reached.
    pub last_error: Option<String>,
    /// When the certificate expires that it showed last; the earliest, if its connections were shown several.
    pub certificate_expiry: Option<SystemTime>,
}

/// What an endpoint is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its share of the requests.
    Healthy,
    /// One request, after its bad answers.
    Trial,
    /// Nothing for this time, after bad answers; zero when the next request is the trial.
    Ejected(Duration),
    /// Nothing until it can be connected to.
    Unreachable,
}

impl Cluster {
    /// What the cluster is like now.
    pub fn state(&self) -> ClusterState {
        let (inner, now) = (&self.inner, self.inner.now());
        let endpoints = &inner.endpoints;
        let knocked = endpoints.iter().any(|endpoint| endpoint.is_knocked_at());
        ClusterState {
            breaker: breaker(inner.is_reachable(), knocked),
            requests: inner.under_way(Class::Request),
            streams: inner.under_way(Class::Stream),
            retries: inner.budget.retries(),
            retried: inner.counts.retried.load(Ordering::Relaxed),
            ejected: inner.counts.ejected.load(Ordering::Relaxed),
            endpoints: endpoints
                .iter()
                .map(|endpoint| EndpointState {
                    address: endpoint.address.clone(),
                    load: endpoint.load(),
                    standing: standing(endpoint.standing(), now),
                    certificate_expiry: endpoint.certificate_expiry(),
                    last_error: endpoint.last_error().as_ref().map(crate::TransportError::report),
                })
                .collect(),
        }
    }
}

fn breaker(reachable: bool, knocked: bool) -> BreakerState {
    match (reachable, knocked) {
        (true, _) => BreakerState::Closed,
        (false, true) => BreakerState::HalfOpen,
        (false, false) => BreakerState::Open,
    }
}

fn standing(standing: health::Standing, now: Duration) -> Standing {
    match standing {
        health::Standing::Healthy => Standing::Healthy,
        health::Standing::Trial => Standing::Trial,
        health::Standing::Failing { until } => Standing::Ejected(until.saturating_sub(now)),
        health::Standing::Unreachable => Standing::Unreachable,
    }
}
