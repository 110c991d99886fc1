//! One row of the table: off, or running, and the two ways between them. A part that is switched off is out of the
//! chain first, then without requests, then without a context; whatever it did for others goes on until that is so.

use anyhow::Context as _;
use detectviz_core::delegate::{Removable, Slot};
use detectviz_core::edition::{Kind as RowKind, Obstacle, Row};
use detectviz_core::health::{Checks, Kind};
use detectviz_core::toggles::Toggles;
use detectviz_core::{Delegate, Module, RunContext, Runner, Stopped};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

use super::World;

/// How long a part may take to start.
const START_LIMIT: Duration = Duration::from_secs(120);
/// When to say that a part which was switched off has not ended yet.
const SLOW_END: Duration = Duration::from_secs(10);

/// One row.
pub(super) struct Part {
    row: Row,
    stand: Stand,
    running: Option<Running>,
    /// Whether its toggle was on when it was looked at last.
    asked_for: Option<bool>,
}

/// Where the part stands; what it is made of is made on first use, and kept.
enum Stand {
    /// In the chain: the slot is pointed to the runner's link, or past it.
    InChain { slot: Arc<Slot>, next: Arc<dyn Delegate>, runner: Option<Arc<dyn Runner>> },
    /// Beside the chain.
    Beside(Option<Arc<dyn Module>>),
}

struct Running {
    context: RunContext,
    /// The runner's link while it is in the chain.
    link: Option<Arc<Removable>>,
    /// Set when the part has ended by itself.
    ended: Arc<AtomicBool>,
}

impl Part {
    /// A row that is off, and the link of the chain that stands in front of `next` now.
    pub(super) fn new(row: Row, next: Arc<dyn Delegate>) -> (Self, Arc<dyn Delegate>) {
        let part = |row, stand| Self { row, stand, running: None, asked_for: None };
        if row.kind == RowKind::Module {
            return (part(row, Stand::Beside(None)), next);
        }
        let slot = Slot::new(Arc::clone(&next));
        let link = Arc::clone(&slot) as Arc<dyn Delegate>;
        (part(row, Stand::InChain { slot, next, runner: None }), link)
    }

    pub(super) fn kind(&self) -> RowKind {
        self.row.kind
    }

    /// The part at the server's start: what it waits for is what the server's readiness waits for.
    pub(super) async fn begin(&mut self, world: &World) -> anyhow::Result<()> {
        self.switch(world, &world.checks).await
    }

    /// Follows `toggles` until `life` ends, and then ends too.
    pub(super) async fn follow(
        mut self,
        world: Arc<World>,
        life: RunContext,
        mut toggles: watch::Receiver<Toggles>,
    ) {
        loop {
            tokio::select! {
                biased;
                () = life.cancelled() => break,
                changed = toggles.changed() => if changed.is_err() { break },
            }
            // The server is ready already, and stays so while a part of it starts.
            let checks = Arc::new(Checks::default());
            if let Err(fault) = self.switch(&world, &checks).await {
                self.failed(&world, &fault);
            }
        }
        self.stop(&world).await;
    }

    /// Brings the part to where its toggle wants it.
    async fn switch(&mut self, world: &World, checks: &Arc<Checks>) -> anyhow::Result<()> {
        let is_news = self.asked_for.replace(world.panel.is_on(&self.row)) != self.asked_for;
        match world.panel.decide(&self.row) {
            Ok(()) if self.is_running() => Ok(()),
            Ok(()) => {
                // What is left of a run that ended by itself.
                self.stop(world).await;
                self.start(world, checks).await
            }
            Err(obstacle) => {
                let was_running = self.running.is_some();
                self.stop(world).await;
                self.off(world, obstacle, is_news && !was_running);
                Ok(())
            }
        }
    }

    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.ended.load(Ordering::Acquire))
    }

    fn off(&self, world: &World, obstacle: Obstacle, is_news: bool) {
        world.panel.note(&self.row, None);
        world.panel.hold(&self.row, Some(obstacle));
        if is_news {
            tracing::info!(name = self.row.name, reason = %obstacle, "not started");
        }
    }

    fn failed(&self, world: &World, fault: &anyhow::Error) {
        let (name, why) = (self.row.name, format!("{fault:#}"));
        tracing::error!(
            name,
            error = why,
            "not started; tried again when the configuration changes or at SIGHUP"
        );
        world.panel.note(&self.row, Some(format!("it could not be started: {why}")));
        world.panel.hold(&self.row, Some(Obstacle::NotStarted { name }));
    }

    async fn start(&mut self, world: &World, checks: &Arc<Checks>) -> anyhow::Result<()> {
        let context = world.context.group().with_checks(Arc::clone(checks));
        let ended = Arc::<AtomicBool>::default();
        // From here on its objects are the runner's to judge.
        world.panel.hold(&self.row, None);
        let started = self.run(world, &context, &ended);
        let started = tokio::time::timeout(START_LIMIT, started).await;
        let started = started.with_context(|| format!("wait {} s for its start", START_LIMIT.as_secs()));
        let link = match started.and_then(|started| started) {
            Ok(link) => link,
            Err(fault) => {
                end(&context, self.row.name).await;
                return Err(fault.context(format!("start {}", self.row.name)));
            }
        };
        if let (Stand::InChain { slot, .. }, Some(link)) = (&self.stand, &link) {
            slot.point_to(Arc::clone(link) as Arc<dyn Delegate>);
        }
        world.panel.note(&self.row, None);
        tracing::info!(name = self.row.name, implementation = self.row.implementation, "started");
        self.running = Some(Running { context, link, ended });
        Ok(())
    }

    /// Configures and runs a runner, whose link is returned; or starts a module.
    async fn run(
        &mut self,
        world: &World,
        context: &RunContext,
        ended: &Arc<AtomicBool>,
    ) -> anyhow::Result<Option<Arc<Removable>>> {
        let loopback = Arc::clone(&world.loopback);
        match &mut self.stand {
            Stand::Beside(module) => {
                let made = module.take().or_else(|| self.row.module()).context("find the module")?;
                let made = module.insert(made);
                made.start(context.child(), loopback).await?;
                Ok(None)
            }
            Stand::InChain { next, runner, .. } => {
                let made = runner.take().or_else(|| self.row.runner()).context("find the runner")?;
                let made = runner.insert(made);
                let next = Removable::next(Arc::clone(next));
                let link = made.configure(world.setup.clone(), next).await.context("configure")?;
                let stopped = reports(&self.row, world, context, ended);
                made.run(context.child(), loopback, stopped).await.context("run")?;
                Ok(Some(Removable::new(link)))
            }
        }
    }

    /// Ends a run: its slot is pointed past it, its watches and streams end, requests under way are finished within a
    /// bound, and only then its context ends. Returns when nothing of it is left.
    async fn stop(&mut self, world: &World) {
        let Some(Running { context, link, .. }) = self.running.take() else { return };
        let name = self.row.name;
        if let Stand::InChain { slot, next, .. } = &self.stand {
            slot.point_to(Arc::clone(next));
        }
        context.drain();
        if let Some(link) = link {
            tokio::select! {
                () = link.unused() => {}
                // The server ends: nobody is served any more.
                () = world.context.cancelled() => {}
                () = tokio::time::sleep(world.grace) => {
                    tracing::warn!(name, "requests were still under way when the bound on them ended");
                }
            }
        }
        if let Stand::Beside(Some(module)) = &self.stand
            && let Err(fault) = module.stop().await
        {
            tracing::error!(name, error = format!("{fault:#}"), "stop module");
        }
        end(&context, name).await;
        world.checks.remove(&check(&self.row));
        world.panel.note(&self.row, None);
        tracing::info!(name, "switched off");
    }
}

/// Ends `context`, and waits for everything in it: what is left of one run would harm the next.
async fn end(context: &RunContext, name: &'static str) {
    context.cancel();
    if tokio::time::timeout(SLOW_END, context.drained()).await.is_err() {
        tracing::warn!(name, "it was told to end, and has not yet");
        context.drained().await;
    }
}

/// The readiness check that fails once a runner has ended by itself.
fn check(row: &Row) -> String {
    format!("runner/{}", row.name)
}

/// How a run tells that it has ended by itself: in the log, on `/statusz` and in readiness.
fn reports(row: &Row, world: &World, context: &RunContext, ended: &Arc<AtomicBool>) -> Stopped {
    let (sender, mut reports) = mpsc::channel::<(&str, Result<(), String>)>(1);
    let (row, panel, checks) = (row.clone(), Arc::clone(&world.panel), Arc::clone(&world.checks));
    let (name, ended) = (row.name, Arc::clone(ended));
    // Dropped when the context ends: an end that was asked for is no news.
    context.spawn(async move {
        let Some((_, result)) = reports.recv().await else { return };
        let why = result.err().unwrap_or_else(|| "it ended by itself".to_owned());
        tracing::error!(name, reason = why, "runner ended");
        ended.store(true, Ordering::Release);
        panel.note(&row, Some(format!("it was started and has ended: {why}")));
        checks.add(Kind::Ready, &check(&row), Arc::new(move || Err(why.clone())));
    });
    Stopped::new(name, sender)
}
