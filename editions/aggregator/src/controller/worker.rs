//! The life of one remote APIService: check, tell (condition, catalog, routes, metrics), wait, check again. At once
//! when something changed or a request could not reach the backend; soon while it is unavailable; else now and then.

use detectviz_core::RunContext;
use detectviz_core::catalog::{GroupVersionEntry, Owner};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::availability::{self, Checked, Schema};
use super::conditions::{self, Conditions};
use super::discovery::Discovered;
use crate::backend::Backend;
use crate::error::Unavailable;
use crate::proxy::Proxy;
use crate::runner::Shared;
use crate::spec::Wanted;

/// How long to wait before an unavailable backend is checked again, at first; doubled each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The shortest wait between two checks that an option can ask for.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// Why requests fail until the first check is done; never a condition's reason.
const NOT_CHECKED: &str = "NotChecked";

/// Works for one APIService.
pub(super) struct Worker {
    shared: Arc<Shared>,
    context: RunContext,
    conditions: Conditions,
    unreachable: Arc<Notify>,
    good: Option<LastGood>,
    route: Option<Route>,
    failures: u32,
}

/// What was published: of the last check that passed, or that there is something of which nothing is known yet.
struct LastGood {
    discovered: Discovered,
    open_api: Option<Schema>,
    priority: (i64, i64),
    stale: bool,
}

/// Where requests go now.
type Route = Result<Arc<Backend>, &'static str>;

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, context: RunContext, conditions: Conditions) -> Self {
        let unreachable = Arc::default();
        Self { shared, context, conditions, unreachable, good: None, route: None, failures: 0 }
    }

    /// What holds until the first check is done: the group-version is listed, and requests for it are answered 503.
    pub(super) fn announce(&mut self, wanted: &Wanted) {
        self.mark_stale(wanted);
        self.shared.metrics.available(&wanted.name, false);
        self.point(wanted, Err(NOT_CHECKED));
    }

    /// Works until `wanted` has no sender any more, or the task is aborted.
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<Wanted>) {
        let mut renewals = self.shared.backends.renewals();
        loop {
            let (now, begun) = (wanted.borrow_and_update().clone(), Instant::now());
            let outcome = tokio::select! {
                outcome = self.check(&now) => outcome,
                changed = wanted.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let led = self.context.leadership().is_leading();
            self.tell(&now, outcome).await;
            tokio::select! {
                // What was found is still to be said.
                () = self.context.leadership().gained(), if !led => {}
                () = tokio::time::sleep(self.wait()) => {}
                () = self.told_unreachable(begun) => {}
                // Requests are to be sent with the new certificate before the old one expires.
                Ok(()) = renewals.changed() => {}
                changed = wanted.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn check(&self, wanted: &Wanted) -> Result<Checked, Unavailable> {
        let endpoint = wanted.endpoint.as_ref().map_err(Clone::clone)?;
        let backend = self.shared.backends.of(&wanted.name, endpoint, &wanted.policy).await?;
        let known = self.good.as_ref().and_then(|good| good.open_api.as_ref());
        availability::check(backend, &wanted.group_version, known).await
    }

    async fn tell(&mut self, wanted: &Wanted, outcome: Result<Checked, Unavailable>) {
        let outcome = outcome.and_then(|checked| self.publish(wanted, checked));
        if outcome.is_err() {
            self.mark_stale(wanted);
        }
        let condition = conditions::available(outcome.as_ref().map(drop));
        self.log(wanted, outcome.as_ref().err());
        self.failures = if outcome.is_ok() { 0 } else { self.failures.saturating_add(1) };
        self.shared.metrics.available(&wanted.name, outcome.is_ok());
        self.point(wanted, outcome.map_err(|why| why.reason()));
        self.conditions.write(&wanted.name, &condition).await;
    }

    /// Publishes what the backend serves, if it is not what is published already.
    fn publish(&mut self, wanted: &Wanted, checked: Checked) -> Result<Arc<Backend>, Unavailable> {
        let Checked { backend, discovered, open_api } = checked;
        let good = LastGood { stale: discovered.stale, priority: wanted.priority, discovered, open_api };
        if !self.is_listed(wanted) || self.good.as_ref().is_none_or(|have| !have.is_same(&good)) {
            self.good = None;
            self.shared.catalog.publish(good.entry(wanted))?;
        }
        self.good = Some(good);
        Ok(backend)
    }

    /// Keeps the last good discovery, marked as what it is: clients see the group, and that it may be out of date.
    /// Without one they see the group alone, so that they do not take it for one that does not exist.
    fn mark_stale(&mut self, wanted: &Wanted) {
        let known = self.good.take().unwrap_or_else(|| LastGood::nothing(wanted));
        if known.stale && self.is_listed(wanted) {
            self.good = Some(known);
            return;
        }
        let stale = LastGood { stale: true, ..known };
        self.good = self.shared.catalog.publish(stale.entry(wanted)).is_ok().then_some(stale);
    }

    fn is_listed(&self, wanted: &Wanted) -> bool {
        self.shared.catalog.snapshot().owner(&wanted.group_version) == Some(Owner::Aggregated)
    }

    /// Points requests to the backend, or to the reason why there is none.
    fn point(&mut self, wanted: &Wanted, to: Route) {
        let same = match (&self.route, &to) {
            (Some(Ok(have)), Ok(new)) => Arc::ptr_eq(have, new),
            (Some(Err(have)), Err(new)) => have == new,
            _ => false,
        };
        if !same {
            let proxy = Proxy {
                name: wanted.name.clone(),
                backend: to.clone(),
                metrics: self.shared.metrics.clone(),
                unreachable: Arc::clone(&self.unreachable),
                context: self.context.clone(),
            };
            self.shared.routes.set(&wanted.group_version, &Arc::new(proxy));
            self.route = Some(to);
        }
    }

    /// One line a change of state, not one a check.
    fn log(&self, wanted: &Wanted, fault: Option<&Unavailable>) {
        let apiservice = &wanted.name;
        match (fault, &self.route) {
            (None, Some(Ok(_))) => {}
            (None, _) => tracing::info!(apiservice, "APIService is available"),
            (Some(why), Some(Ok(_))) => {
                tracing::warn!(apiservice, reason = why.reason(), error = %why, "APIService is no longer available");
            }
            (Some(why), Some(Err(reason))) if why.reason() == *reason => {}
            (Some(why), _) => {
                tracing::info!(apiservice, reason = why.reason(), error = %why, "APIService is not available");
            }
        }
    }

    /// Waits for word that requests fail, and then for the time of the next check, so that failing requests cannot
    /// make us check without pause.
    async fn told_unreachable(&self, begun: Instant) {
        self.unreachable.notified().await;
        tokio::time::sleep_until(begun + retry(1, self.shared.interval)).await;
    }

    fn wait(&self) -> Duration {
        match self.failures {
            0 => spread(self.shared.interval.max(SHORTEST_WAIT)),
            failures => retry(failures, self.shared.interval.max(SHORTEST_WAIT)),
        }
    }
}

/// How long to wait after so many failures: one second, doubled each time, at most the interval.
fn retry(failures: u32, interval: Duration) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_RETRY.saturating_mul(factor).min(interval)
}

/// The interval and up to a tenth more, so that the checks of many backends do not fall together.
fn spread(interval: Duration) -> Duration {
    let tenth = RandomState::new().build_hasher().finish() % 101;
    interval + interval.mul_f64(tenth as f64 / 1000.0)
}

impl LastGood {
    /// What is known of a backend that never passed a check.
    fn nothing(wanted: &Wanted) -> Self {
        let discovered = Discovered { resources: Vec::new(), stale: true };
        Self { discovered, open_api: None, priority: wanted.priority, stale: true }
    }

    fn is_same(&self, other: &Self) -> bool {
        let bytes = |good: &Self| good.open_api.as_ref().map(|schema| schema.bytes.clone());
        self.discovered == other.discovered
            && (self.priority, self.stale) == (other.priority, other.stale)
            && bytes(self) == bytes(other)
    }

    fn entry(&self, wanted: &Wanted) -> GroupVersionEntry {
        let open_api = self.open_api.as_ref().map(|schema| {
            let bytes = schema.bytes.clone();
            Arc::new(move || bytes.to_vec()) as detectviz_core::catalog::OpenApi
        });
        GroupVersionEntry {
            group_version: wanted.group_version.clone(),
            owner: Owner::Aggregated,
            priority: self.priority,
            resources: self.discovered.resources.clone(),
            open_api,
            stale: self.stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_soon_then_at_the_interval() {
        let interval = Duration::from_secs(30);
        let waits: Vec<_> = [1, 2, 3, 4, 5, 6, 33, u32::MAX].map(|n| retry(n, interval).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(retry(1, Duration::from_millis(50)), Duration::from_millis(50));
    }

    #[test]
    fn checks_are_spread_over_a_tenth_of_the_interval() {
        let interval = Duration::from_secs(100);
        let waits: Vec<_> = (0..100).map(|_| spread(interval)).collect();
        assert!(waits.iter().all(|wait| (100..=110).contains(&wait.as_secs())));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
