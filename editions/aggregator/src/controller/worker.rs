//! The life of one remote APIService: check, tell (condition, catalog, routes, metrics), wait, check again. At once
//! when something changed or a request could not reach the backend; soon while it is unavailable; else now and then.

use detectviz_core::RunContext;
use detectviz_core::catalog::{GroupVersionEntry, Owner};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

use super::availability::{self, Checked, Schema};
use super::conditions::{self, Conditions};
use super::discovery::Discovered;
use super::Unhandled;
use crate::backend::Backend;
use crate::error::Unavailable;
use crate::proxy::Proxy;
use crate::runner::Shared;
use crate::spec::Wanted;

/// How long to wait before an unavailable backend is checked again, at first; doubled each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The shortest wait between two checks that an option can ask for.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

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

/// What was published of the last check that passed.
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

    /// Works until `wanted` has no sender any more, or the task is aborted; `unhandled` is let go after the first check.
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<Wanted>, mut unhandled: Option<Unhandled>) {
        loop {
            let now = wanted.borrow_and_update().clone();
            let outcome = tokio::select! {
                outcome = self.check(&now) => outcome,
                changed = wanted.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            self.tell(&now, outcome).await;
            drop(unhandled.take());
            tokio::select! {
                () = tokio::time::sleep(self.wait()) => {}
                () = self.unreachable.notified() => {}
                changed = wanted.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn check(&self, wanted: &Wanted) -> Result<Checked, Unavailable> {
        let endpoint = wanted.endpoint.as_ref().map_err(Clone::clone)?;
        let backend = self.shared.backends.get(endpoint).await?;
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
        let owned = self.shared.catalog.snapshot().owner(&wanted.group_version) == Some(Owner::Aggregated);
        if !owned || self.good.as_ref().is_none_or(|have| !have.is_same(&good)) {
            self.good = None;
            self.shared.catalog.publish(good.entry(wanted))?;
        }
        self.good = Some(good);
        Ok(backend)
    }

    /// Keeps the last good discovery, marked as what it is: clients see the group, and that it may be out of date.
    fn mark_stale(&mut self, wanted: &Wanted) {
        if let Some(good) = self.good.as_mut().filter(|good| !good.stale) {
            good.stale = true;
            if self.shared.catalog.publish(good.entry(wanted)).is_err() {
                self.good = None;
            }
        }
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

    /// How long until the next check: the interval and up to a tenth more, so that checks of many backends spread.
    fn wait(&self) -> Duration {
        let interval = self.shared.interval.max(SHORTEST_WAIT);
        if self.failures > 0 {
            let factor = 1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
            return FIRST_RETRY.saturating_mul(factor).min(interval);
        }
        let tenth = RandomState::new().build_hasher().finish() % 101;
        interval + interval.mul_f64(tenth as f64 / 1000.0)
    }
}

impl LastGood {
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
