//! The election: who holds the Lease runs the controllers that write, everyone else waits for it. The rules are those of
//! client-go's `leaderelection`, a little stricter: a term is counted from when its renewal was asked for, and ends at once
//! when somebody else is seen to hold the lease.

mod fence;
mod view;

use detectviz_api::{Reason, Status, timestamp};
use detectviz_core::informer::Informer;
use detectviz_core::metrics::Metrics;
use detectviz_core::{Leadership, Loopback, RunContext};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::time::{sleep, timeout_at};

use self::fence::Fence;
use self::view::{Decision, View};
use super::retry::Pace;

/// Where the lease is.
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
/// What the lease is called.
const NAME: &str = "detectviz-controllers";

/// How long a lease is held, and how it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long others wait, from when they saw the last renewal. In the lease it is rounded up to whole seconds.
    lease: Duration,
    /// How long the holder acts on a renewal; what is left of the lease is for its controllers to end.
    deadline: Duration,
    /// Between two renewals, and at least between two looks at a lease that another holds.
    retry: Duration,
}

impl Timing {
    /// client-go's, as kube-controller-manager runs with it.
    pub(super) const DEFAULT: Self = Self {
        lease: Duration::from_secs(15),
        deadline: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };

    /// Up to 1.2 times more than `retry`, as client-go has it, so that those who wait do not look together.
    fn jittered(&self) -> Duration {
        let share = RandomState::new().build_hasher().finish() % 1001;
        self.retry + self.retry.mul_f64(1.2 * share as f64 / 1000.0)
    }
}

/// One candidate.
pub(super) struct Elector {
    loopback: Arc<dyn Loopback>,
    view: View,
    timing: Timing,
    leadership: Leadership,
    leading: Gauge,
}

/// What an attempt to hold the lease came to.
enum Outcome {
    /// It is held; the attempt began then.
    Held(Instant),
    /// Another holds it.
    HeldBy(String),
}

impl Elector {
    /// A candidate that publishes in `leadership` whether it leads, and measures it.
    pub(super) fn new(
        loopback: &Arc<dyn Loopback>,
        leadership: &Leadership,
        metrics: &Metrics,
        timing: Timing,
    ) -> Self {
        let statuses = Family::<[(&'static str, &'static str); 1], Gauge>::default();
        let leading = statuses.get_or_create(&[("name", NAME)]).clone();
        let help = "Whether this server runs the controllers that write: 1 or 0";
        metrics.register(|registry| registry.register("leader_election_master_status", help, statuses));
        let view = View::new(identity(), timing.lease);
        Self { loopback: Arc::clone(loopback), view, timing, leadership: leadership.clone(), leading }
    }

    /// Runs for the lease until `context` ends. `start` starts the controllers, in a context that ends with each term and
    /// with a loopback that takes no write outside of it.
    pub(super) fn start(
        self,
        context: &RunContext,
        start: impl Fn(&RunContext, &Arc<dyn Loopback>) + Send + Sync + 'static,
    ) {
        let leases = Informer::start(context, Arc::clone(&self.loopback), LEASES);
        let whole = context.clone();
        context.spawn_graceful(self.run(whole, leases, start));
    }

    async fn run(
        mut self,
        context: RunContext,
        mut leases: Informer,
        start: impl Fn(&RunContext, &Arc<dyn Loopback>),
    ) {
        let fence = Fence::over(&self.loopback, &self.leadership);
        loop {
            let end = tokio::select! {
                end = self.acquire(&mut leases) => end,
                () = context.cancelled() => return,
            };
            let term = context.group();
            self.begin(end);
            start(&term, &fence);
            let lost = tokio::select! {
                why = self.renew(end) => Some(why),
                () = context.cancelled() => None,
            };
            self.leadership.resign();
            self.leading.set(0);
            term.cancel();
            term.drained().await;
            match lost {
                Some(why) => tracing::warn!(lease = NAME, reason = why, "no longer leads the controllers"),
                None => return self.release().await,
            }
        }
    }

    fn begin(&self, end: Instant) {
        tracing::info!(lease = NAME, identity = self.view.identity(), "leads the controllers");
        self.leadership.lead_until(end);
        self.leading.set(1);
    }

    /// Waits until the lease is held; returns when that term ends.
    async fn acquire(&mut self, leases: &mut Informer) -> Instant {
        let mut pace = Pace::new();
        loop {
            match self.attempt().await {
                Ok(Outcome::Held(sent)) => return sent + self.timing.deadline,
                Ok(Outcome::HeldBy(holder)) => {
                    tracing::debug!(lease = NAME, holder, "another leads the controllers");
                    pace = Pace::new();
                    tokio::select! {
                        () = sleep(self.timing.jittered()) => {}
                        () = leases.changed() => {}
                    }
                }
                Err(refusal) => {
                    tracing::debug!(lease = NAME, error = %refusal, "acquire lease again");
                    pace.pause().await;
                }
            }
        }
    }

    /// Renews for as long as it can be done before the term ends; returns why it could not.
    async fn renew(&mut self, mut end: Instant) -> String {
        loop {
            sleep(self.timing.retry).await;
            match timeout_at(end.into(), self.renewed()).await {
                Ok(Outcome::Held(sent)) => end = sent + self.timing.deadline,
                Ok(Outcome::HeldBy(holder)) => return format!("{holder} holds the lease"),
                Err(_) => return "the lease could not be renewed in time".to_owned(),
            }
            self.leadership.lead_until(end);
        }
    }

    async fn renewed(&mut self) -> Outcome {
        loop {
            match self.attempt().await {
                Ok(outcome) => return outcome,
                Err(refusal) => tracing::debug!(lease = NAME, error = %refusal, "renew lease again"),
            }
            sleep(self.timing.retry).await;
        }
    }

    /// Tries once to take or to renew the lease.
    async fn attempt(&mut self) -> Result<Outcome, Status> {
        let sent = Instant::now();
        let lease = match self.loopback.get(&path()).await {
            Err(refusal) if refusal.is(Reason::NotFound) => None,
            answer => Some(answer?),
        };
        let now = timestamp::micros(OffsetDateTime::now_utc());
        match self.view.decide(lease.as_ref(), Instant::now(), &now) {
            Decision::Wait(holder) => Ok(Outcome::HeldBy(holder)),
            Decision::Take(spec) => {
                let written = self.write(lease, &spec).await?;
                self.view.saw(&written, sent);
                Ok(Outcome::Held(sent))
            }
        }
    }

    /// Writes the lease as a change of what was read, or makes it; of several who do so at once, one succeeds.
    async fn write(&self, lease: Option<Value>, spec: &Value) -> Result<Value, Status> {
        match lease {
            Some(mut lease) => {
                lease["spec"] = spec.clone();
                self.loopback.update(&path(), &lease).await
            }
            None => {
                let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {"name": NAME}, "spec": spec});
                self.loopback.create(LEASES, &lease).await
            }
        }
    }

    /// Gives the lease up, so that another need not wait for its end. Call it once the controllers have ended.
    async fn release(self) {
        let lease = match self.loopback.get(&path()).await {
            Ok(lease) => lease,
            Err(refusal) => return tracing::info!(error = %refusal, "the lease ends by itself"),
        };
        let now = timestamp::micros(OffsetDateTime::now_utc());
        let Some(spec) = self.view.released(&lease["spec"], &now) else { return };
        match self.write(Some(lease), &spec).await {
            Ok(_) => tracing::info!(lease = NAME, "gave up the lease"),
            Err(refusal) => tracing::info!(error = %refusal, "the lease ends by itself"),
        }
    }
}

fn path() -> String {
    format!("{LEASES}/{NAME}")
}

/// What this process calls itself: the host for people, and what tells it from the process before.
fn identity() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}_{}", uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests;
