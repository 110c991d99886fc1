//! One backend at several places: where each request goes, what is done when a place is away, and how often.
//!
//! ```text
//! Bounds (a place among the requests) → Cluster::exchange → pick of two → Attempt → Transport
//!                                             ▲   what came of it            │
//!                                             └──── Health ◀─────────────────┘
//!                                                     ▲ connections are tried without a request
//!                                                   Keeper
//! ```
//!
//! * **Balancing**: of two endpoints drawn at random the one with fewer requests under way, watches and answers that are
//!   still read included. One that is new or back begins with a tenth of its share.
//! * **Ejection**: an endpoint that cannot be connected to is given nothing until a connection in the background
//!   succeeds; one that answers badly several times in a row is given nothing for a while, then one request as a trial.
//!   Bad answers eject at most half of the endpoints.
//! * **Breaker**: it is open when no endpoint can be reached. Requests then fail at once; the connections in the
//!   background are what finds out when to close it, so that no client's request is the experiment.
//! * **Retries**: what was not sent may be sent to another endpoint, whatever it is. What broke may be sent once more
//!   when it is safe and has no body, within a budget. Nothing is after the head of an answer.

mod attempt;
mod bounds;
mod budget;
mod endpoint;
mod error;
mod exchange;
mod health;
mod inner;
mod keeper;
mod knock;
mod pick;
mod rate;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::dial::Dialer;
use crate::target::{Address, Target, TargetError};
use crate::tls::TlsOptions;
use crate::transport::TransportOptions;
use endpoint::Endpoint;
use inner::Inner;
use keeper::Keeper;

pub use attempt::Lease;
pub use bounds::{Bound, Bounds, Limits, OverBound, Place};
pub use error::ClusterError;
pub use state::{BreakerState, ClusterState, EndpointState, Standing};

/// What a request is, and with which others it shares connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// One that is answered and done.
    Request = 0,
    /// A watch, or another answer that goes on.
    Stream = 1,
    /// One of our own, such as a probe: it must pass when the others use up all they have.
    Own = 2,
}

/// How the endpoints of a cluster are connected to, by [`Class`].
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// For requests.
    pub requests: TransportOptions,
    /// For streams.
    pub streams: TransportOptions,
    /// For our own.
    pub own: TransportOptions,
}

/// A backend with one endpoint or several, which are as good as each other. All prove who they are by the same TLS
/// options, except for unix sockets, which are spoken to in plain HTTP.
pub struct Cluster {
    inner: Arc<Inner>,
    tls: Option<TlsOptions>,
    dialer: Dialer,
    options: ClusterOptions,
    keeper: AbortHandle,
}

impl Cluster {
    /// A cluster of the endpoints at `addresses`. Connects only when there is something to send. Must be called within a
    /// runtime; its background task ends with it.
    ///
    /// # Errors
    /// [`TargetError`] when an address or the TLS options cannot be used.
    pub fn new(
        addresses: &[Address],
        tls: Option<TlsOptions>,
        dialer: Dialer,
        options: ClusterOptions,
    ) -> Result<Self, TargetError> {
        let made = addresses.iter().map(|address| make(address, tls.as_ref(), &dialer, &options));
        let inner = Arc::new(Inner::new(made.collect::<Result<_, _>>()?));
        Ok(Self::kept(inner, tls, dialer, options))
    }

    /// The cluster of the endpoints at `addresses`. Those that it shares with this one keep their connections and what
    /// is thought of them; those that it lacks get nothing from it, and what is under way there is finished.
    ///
    /// # Errors
    /// [`TargetError`] when a new address cannot be used.
    pub fn with_targets(&self, addresses: &[Address]) -> Result<Self, TargetError> {
        let find =
            |address: &Address| self.inner.endpoints.iter().find(|endpoint| endpoint.address == *address);
        let wanted = addresses.iter().map(|address| match find(address) {
            Some(endpoint) => Ok(Arc::clone(endpoint)),
            None => {
                let made = make(address, self.tls.as_ref(), &self.dialer, &self.options)?;
                made.warm_up(self.inner.now());
                Ok(made)
            }
        });
        let inner = Arc::new(self.inner.with(wanted.collect::<Result<_, TargetError>>()?));
        Ok(Self::kept(inner, self.tls.clone(), self.dialer.clone(), self.options.clone()))
    }

    fn kept(inner: Arc<Inner>, tls: Option<TlsOptions>, dialer: Dialer, options: ClusterOptions) -> Self {
        let keeper = tokio::spawn(Keeper::new(Arc::clone(&inner)).keep()).abort_handle();
        Self { inner, tls, dialer, options, keeper }
    }

    /// Whether any endpoint can be reached, as far as is known, and word of each change: at once, from what requests
    /// meet with, not at the next probe.
    pub fn reachable(&self) -> watch::Receiver<bool> {
        self.inner.reachable.subscribe()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn make(
    address: &Address,
    tls: Option<&TlsOptions>,
    dialer: &Dialer,
    options: &ClusterOptions,
) -> Result<Arc<Endpoint>, TargetError> {
    let tls = tls.filter(|_| matches!(address, Address::Tcp { .. })).cloned();
    let target = Target { address: address.clone(), tls };
    Endpoint::new(target, dialer, options).map(Arc::new)
}
