//! One request at one endpoint, counted there from before it is sent until its answer has been read or dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use detectviz_core::http::Request;
use futures_util::FutureExt as _;
use http::StatusCode;

use super::Class;
use super::endpoint::Endpoint;
use super::health::Outcome;
use super::inner::Inner;
use crate::transport::{Failed, Phase, TransportError, Upgraded};

/// Who waited less did not wait in vain.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request that an endpoint has been given. Hold it for as long as the answer's body is read: the endpoint counts as
/// busy with it until it is dropped.
pub struct Lease {
    cluster: Arc<Inner>,
    endpoint: Arc<Endpoint>,
    class: Class,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.end();
        self.cluster.left(self.class);
    }
}

/// The time in which the answer has not begun.
struct Waiting<'a> {
    lease: &'a Lease,
    since: Instant,
    answers: u64,
    trial: bool,
    over: bool,
}

impl Lease {
    pub(super) fn begin(cluster: &Arc<Inner>, endpoint: &Arc<Endpoint>, class: Class) -> Self {
        cluster.entered(class);
        Self { cluster: Arc::clone(cluster), endpoint: Arc::clone(endpoint), class }
    }

    /// Sends the request, and tells what is thought of the endpoint what came of it.
    pub(super) fn send(
        &self,
        request: Request,
        upgrade: bool,
    ) -> impl Future<Output = Result<Upgraded, Failed>> + Send {
        let waiting = Waiting::begin(self);
        self.endpoint.send(request, (self.class, upgrade)).inspect(|outcome| waiting.end(outcome))
    }
}

impl<'a> Waiting<'a> {
    fn begin(lease: &'a Lease) -> Self {
        let endpoint = &lease.endpoint;
        let trial = endpoint.begin(|| lease.cluster.now());
        lease.cluster.wake();
        Self { lease, since: Instant::now(), answers: endpoint.answers(), trial, over: false }
    }

    fn end(mut self, outcome: &Result<Upgraded, Failed>) {
        self.over = true;
        let (cluster, endpoint) = (&self.lease.cluster, &self.lease.endpoint);
        match outcome {
            Ok(answer) if !is_gateways(code(answer)) => endpoint.answered(|| cluster.now()),
            Ok(_) => cluster.note(endpoint, Outcome::Gateway),
            Err(failed) => match fault(failed) {
                Some(fault) => {
                    *endpoint.last_error() = Some(failed.error.clone());
                    cluster.note(endpoint, fault);
                }
                None => self.give_up(),
            },
        }
    }

    fn give_up(&self) {
        if self.trial {
            self.lease.endpoint.give_up_trial(self.lease.cluster.now());
        }
    }
}

impl Drop for Waiting<'_> {
    /// The deadline has passed, or the client is gone. A long wait in which nobody else heard anything either says
    /// something about the endpoint.
    fn drop(&mut self) {
        let endpoint = &self.lease.endpoint;
        endpoint.heard();
        if self.over {
            return;
        }
        if self.since.elapsed() >= PATIENCE && endpoint.answers() == self.answers {
            self.lease.cluster.note(endpoint, Outcome::Silent);
        }
        self.give_up();
    }
}

fn code(answer: &Upgraded) -> StatusCode {
    match answer {
        Upgraded::Switched(answer, _) | Upgraded::Refused(answer) => answer.status(),
    }
}

fn is_gateways(code: StatusCode) -> bool {
    matches!(code, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// What a failure says about the endpoint. That all our connections are in use says nothing, nor that it closed one
/// that was kept for later.
fn fault(failed: &Failed) -> Option<Outcome> {
    match failed.phase() {
        _ if matches!(failed.error, TransportError::Busy { .. }) => None,
        Phase::Send if failed.request.is_some() => None,
        Phase::Send => Some(Outcome::Broken),
        Phase::Resolve | Phase::Policy | Phase::Connect | Phase::Tls => Some(Outcome::Unreachable),
    }
}
