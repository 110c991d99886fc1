//! The life of one remote APIService: check, tell (condition, catalog, routes, metrics), wait, check again. At once
//! when something changed or a request could not reach the backend; soon while it is unavailable; else now and then.

use detectviz_api::GroupVersion;
use detectviz_core::RunContext;
use detectviz_core::catalog::{Owner, Taken};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::availability;
use super::conditions::{self, Conditions, Said};
use super::discovered::Known;
use super::discovery::Discovered;
use super::pace::{self, Lane};
use super::published::Published;
use super::schema::Schema;
use crate::backend::{Backend, FETCH_TIMEOUT};
use crate::error::Unavailable;
use crate::proxy::Proxy;
use crate::runner::Shared;
use crate::spec::Wanted;

/// How long requests wait for a backend that just came back to say more of itself than that it is there.
const INTRODUCTION: Duration = Duration::from_secs(2);
/// Why requests fail until the first check is done; never a condition's reason.
const NOT_CHECKED: &str = "NotChecked";

/// Works for one APIService.
pub(super) struct Worker {
    shared: Arc<Shared>,
    context: RunContext,
    said: Said,
    unreachable: Arc<Notify>,
    known: Known,
    schema: Schema,
    published: Option<Published>,
    route: Option<Route>,
    /// The backend that was checked last, whatever came of it.
    backend: Option<Arc<Backend>>,
    lane: Lane,
    failures: u32,
    /// How many checks in a row requests asked for that found nothing wrong.
    doubts: u32,
}

/// Where requests go now.
type Route = Result<Arc<Backend>, &'static str>;

/// What has a backend checked at once.
struct Changes {
    /// The APIService says something else.
    wanted: watch::Receiver<Wanted>,
    /// Our own certificate is another.
    renewals: watch::Receiver<u64>,
}

/// Whether requests reach the backend, from what they meet with.
struct Reach(Option<watch::Receiver<bool>>);

impl Reach {
    /// What was met with so far is known.
    fn of(backend: Option<&Backend>) -> Self {
        let mut reachable = backend.map(Backend::reachable);
        reachable.iter_mut().for_each(watch::Receiver::mark_unchanged);
        Self(reachable)
    }

    /// Waits until that changes, and for the time `earliest`.
    async fn changed(&mut self, earliest: Instant) {
        let told = match &mut self.0 {
            Some(reachable) => reachable.changed().await.is_ok(),
            None => false,
        };
        match told {
            true => tokio::time::sleep_until(earliest).await,
            false => std::future::pending().await,
        }
    }
}

/// Why a check is made.
#[derive(PartialEq, Eq)]
enum Cause {
    /// It is time, or something changed.
    Due,
    /// Requests fail.
    Doubt,
    /// None is: the APIService is gone.
    End,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, context: RunContext, conditions: Conditions) -> Self {
        Self {
            shared,
            context,
            said: Said::new(conditions),
            unreachable: Arc::default(),
            known: Known::default(),
            schema: Schema::default(),
            published: None,
            route: None,
            backend: None,
            lane: Lane::Sound,
            failures: 0,
            doubts: 0,
        }
    }

    /// What holds until the first check is done: the group-version is listed, and requests for it are answered 503.
    pub(super) fn announce(&mut self, wanted: &Wanted) {
        self.mark_stale(wanted);
        self.shared.metrics.of(&wanted.name);
        self.point(wanted, Err(NOT_CHECKED));
    }

    /// Works until `wanted` has no sender any more, or the task is aborted.
    pub(super) async fn run(mut self, wanted: watch::Receiver<Wanted>) {
        let mut changes = Changes { wanted, renewals: self.shared.backends.renewals() };
        loop {
            let (now, begun) = (changes.wanted.borrow_and_update().clone(), Instant::now());
            let led = self.context.leadership().is_leading();
            let outcome = tokio::select! {
                outcome = self.check(&now) => outcome,
                changed = changes.wanted.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            self.tell(&now, outcome);
            match self.rest(&mut changes, &now, (begun, led)).await {
                Cause::End => return,
                Cause::Doubt if self.failures == 0 => self.doubts = self.doubts.saturating_add(1),
                Cause::Doubt | Cause::Due => self.doubts = 0,
            }
        }
    }

    /// Waits for the next check, and says meanwhile what the last one found.
    async fn rest(&mut self, changes: &mut Changes, now: &Wanted, (begun, led): (Instant, bool)) -> Cause {
        let next = Instant::now() + self.wait(now);
        let mut reach = Reach::of(self.backend.as_deref());
        loop {
            let unsaid = self.said.say(&now.name).await;
            tokio::select! {
                // What was found is still to be said.
                () = self.context.leadership().gained(), if !led => return Cause::Due,
                () = tokio::time::sleep_until(unsaid.unwrap_or(next)), if unsaid.is_some() => {}
                () = tokio::time::sleep_until(next) => return Cause::Due,
                () = self.told_unreachable(begun) => return Cause::Doubt,
                () = reach.changed(begun + pace::doubt(self.failures.max(self.doubts))) => return Cause::Doubt,
                // Requests are to be sent with the new certificate before the old one expires.
                Ok(()) = changes.renewals.changed() => return Cause::Due,
                changed = changes.wanted.changed() => return if changed.is_ok() { Cause::Due } else { Cause::End },
            }
        }
    }

    /// Asks the backend whether it is there and, where that may be new, what it serves.
    async fn check(&mut self, wanted: &Wanted) -> Result<Arc<Backend>, Unavailable> {
        let endpoint = wanted.endpoint.as_ref().map_err(Clone::clone)?;
        let backend = self.shared.backends.of(&wanted.name, endpoint, &wanted.policy).await?;
        self.backend = Some(Arc::clone(&backend));
        let gv = &wanted.group_version;
        if self.shared.catalog.snapshot().owner(gv) == Some(Owner::Local) {
            return Err(Taken(gv.clone()).into());
        }
        let legacy = self.probe(&backend, gv).await?;
        let is_new = !matches!(&self.route, Some(Ok(have)) if Arc::ptr_eq(have, &backend));
        if is_new {
            self.known.ask_again();
            self.schema.ask_again();
        }
        self.introduce(legacy, &backend, gv, is_new).await;
        Ok(backend)
    }

    async fn probe(&mut self, backend: &Backend, gv: &GroupVersion) -> Result<Discovered, Unavailable> {
        let _turn = self.shared.lanes.turn(self.lane).await;
        let begun = Instant::now();
        let is_available = matches!(self.route, Some(Ok(_)));
        let probed = availability::probe(backend, gv, pace::patience(self.failures, is_available)).await;
        self.lane = if probed.is_ok() { Lane::Sound } else { Lane::failed(begun.elapsed()) };
        probed
    }

    /// Asks for aggregated discovery and OpenAPI, if it is time.
    async fn introduce(&mut self, legacy: Discovered, backend: &Backend, gv: &GroupVersion, is_new: bool) {
        let (patience, interval) = (if is_new { INTRODUCTION } else { FETCH_TIMEOUT }, self.shared.interval);
        if !self.known.is_same(&legacy) {
            self.schema.ask_again();
        }
        let (is_known_due, is_schema_due) = (self.known.is_due(&legacy), self.schema.is_due());
        let Self { known, schema, .. } = self;
        let discovery = async {
            if is_known_due {
                known.refresh(legacy, backend, gv, (patience, interval)).await;
            }
        };
        let open_api = async {
            if is_schema_due {
                schema.refresh(backend, gv, (patience, interval)).await;
            }
        };
        tokio::join!(discovery, open_api);
    }

    fn tell(&mut self, wanted: &Wanted, outcome: Result<Arc<Backend>, Unavailable>) {
        let outcome = outcome.and_then(|backend| self.publish(wanted).map(|()| backend));
        if outcome.is_err() {
            self.mark_stale(wanted);
        }
        self.log(wanted, outcome.as_ref().err());
        self.failures = if outcome.is_ok() { 0 } else { self.failures.saturating_add(1) };
        let available = outcome.as_ref().map(drop).map_err(Unavailable::reason);
        self.shared.metrics.available(&wanted.name, available);
        self.said.is(conditions::policy(&wanted.policy_faults));
        self.said.is(conditions::available(outcome.as_ref().map(drop)));
        self.point(wanted, outcome.map_err(|why| why.reason()));
    }

    /// Publishes what the backend serves, if it is not what is published already.
    fn publish(&mut self, wanted: &Wanted) -> Result<(), Unavailable> {
        let Some(discovered) = self.known.best() else { return Ok(()) };
        let (open_api, priority) = (self.schema.open_api(), wanted.priority);
        let same = |have: &Published| have.is(discovered, open_api, priority);
        if !self.is_listed(wanted) || !self.published.as_ref().is_some_and(same) {
            let published = Published::new(discovered.clone(), open_api.cloned(), priority);
            self.published = None;
            self.shared.catalog.publish(published.entry(&wanted.group_version))?;
            self.published = Some(published);
        }
        Ok(())
    }

    /// Keeps the last good discovery, marked as what it is: clients see the group, and that it may be out of date.
    /// Without one they see the group alone, so that they do not take it for one that does not exist.
    fn mark_stale(&mut self, wanted: &Wanted) {
        let known = self.published.take().unwrap_or_else(|| Published::nothing(wanted.priority));
        if known.is_stale() && known.has(wanted.priority) && self.is_listed(wanted) {
            self.published = Some(known);
            return;
        }
        let stale = known.stale(wanted.priority);
        let told = self.shared.catalog.publish(stale.entry(&wanted.group_version));
        self.published = told.is_ok().then_some(stale);
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
            let numbers = self.shared.metrics.of(&wanted.name);
            if let Ok(backend) = &to {
                numbers.goes_to(backend);
            }
            let proxy = Proxy {
                name: wanted.name.clone(),
                backend: to.clone(),
                numbers,
                unreachable: Arc::clone(&self.unreachable),
                context: self.context.clone(),
                grace: self.shared.grace,
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

    /// Waits for word that requests fail. The first has the backend checked at once; those that go on failing, while
    /// each check passes, cannot make us check without pause.
    async fn told_unreachable(&self, begun: Instant) {
        self.unreachable.notified().await;
        tokio::time::sleep_until(begun + pace::doubt(self.doubts)).await;
    }

    /// How long until the next check, if nothing happens before.
    fn wait(&self, wanted: &Wanted) -> Duration {
        // Where there is no backend to ask, nothing comes of asking.
        let failures = if wanted.endpoint.is_ok() { self.failures } else { 0 };
        pace::wait(failures, self.shared.interval)
    }
}
