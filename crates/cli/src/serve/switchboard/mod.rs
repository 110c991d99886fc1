//! The switchboard: every row of the edition's table, each with a life of its own that follows its toggle. What the
//! server began with and what is switched while it runs go the same way.

mod part;
#[cfg(test)]
mod tests;

use detectviz_controlplane::Obstacles;
use detectviz_core::edition::{Kind, Obstacle, Report, Row};
use detectviz_core::health::Checks;
use detectviz_core::toggles::Toggles;
use detectviz_core::{Delegate, EditionTable, Loopback, RunContext, Setup};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

use super::compose::Parts;
use part::Part;

/// Dataplane → aggregator → core groups, read from its end; the modules are beside it, and start last.
const FROM_THE_INSIDE: [Kind; 3] = [Kind::AggregatorRunner, Kind::DataplaneRunner, Kind::Module];

/// The rows with their places in the chain, none of them started.
pub(super) struct Switchboard {
    world: Arc<World>,
    front: Arc<dyn Delegate>,
    parts: Vec<Part>,
}

/// What all parts share.
struct World {
    setup: Setup,
    context: RunContext,
    loopback: Arc<dyn Loopback>,
    /// The server's readiness, for what begins with it.
    checks: Arc<Checks>,
    panel: Arc<Panel>,
    /// How long requests under way may go on on a link that was switched off.
    grace: Duration,
}

/// What can be switched, and what can be seen of it.
pub(super) struct Panel {
    table: EditionTable,
    groups: usize,
    toggles: watch::Sender<Toggles>,
    obstacles: watch::Sender<Obstacles>,
    /// Why rows do not run that should, by name.
    faults: Mutex<BTreeMap<&'static str, String>>,
}

/// The parts of a running server.
pub(super) struct Lives {
    /// In the order of their start.
    lives: Vec<(Kind, RunContext)>,
}

impl Switchboard {
    /// Puts every runner of the table in front of `core`, in the order of the chain, and every module beside it.
    pub(super) fn new(parts: &Parts, setup: Setup, core: Arc<dyn Delegate>) -> Self {
        let panel = Arc::new(Panel::new(parts.table.clone(), setup.groups.len(), &parts.options.toggles));
        let mut front = core;
        let mut made = Vec::new();
        for kind in FROM_THE_INSIDE {
            for row in parts.table.rows().iter().filter(|row| row.kind == kind) {
                let (part, link) = Part::new(row.clone(), front);
                made.push(part);
                front = link;
            }
        }
        let world = World {
            setup,
            context: parts.context.clone(),
            loopback: parts.loopback(),
            checks: Arc::clone(&parts.checks),
            panel,
            grace: parts.options.limits.request_timeout,
        };
        Self { world: Arc::new(world), front, parts: made }
    }

    /// The first link of the chain.
    pub(super) fn front(&self) -> Arc<dyn Delegate> {
        Arc::clone(&self.front)
    }

    /// Its handle.
    pub(super) fn panel(&self) -> Arc<Panel> {
        Arc::clone(&self.world.panel)
    }

    /// Starts whatever is on, one after the other, and lets each follow its toggle from then on.
    ///
    /// # Errors
    /// The first part that cannot be started: who starts a server with it wants to know.
    pub(super) async fn start(self) -> anyhow::Result<Lives> {
        let world = self.world;
        let mut lives = Vec::new();
        for mut part in self.parts {
            let toggles = world.panel.toggles.subscribe();
            part.begin(&world).await?;
            let life = world.context.group();
            lives.push((part.kind(), life.clone()));
            life.spawn_graceful(part.follow(Arc::clone(&world), life.clone(), toggles));
        }
        Ok(Lives { lives })
    }
}

impl Panel {
    fn new(table: EditionTable, groups: usize, toggles: &Toggles) -> Self {
        let obstacle = |kind| {
            let mut rows = table.rows().iter().filter(|row| row.kind == kind);
            rows.find_map(|row| table.decide(row, toggles, groups).err())
        };
        let obstacles = Obstacles {
            aggregator: obstacle(Kind::AggregatorRunner),
            dataplane: obstacle(Kind::DataplaneRunner),
        };
        let (toggles, obstacles) = (watch::Sender::new(toggles.clone()), watch::Sender::new(obstacles));
        Self { table, groups, toggles, obstacles, faults: Mutex::default() }
    }

    /// Lets every part look at `toggles`; one that could not be started is tried again, changed or not.
    pub(super) fn set(&self, toggles: Toggles) {
        self.toggles.send_replace(toggles);
    }

    /// The toggles as they were set last.
    pub(super) fn toggles(&self) -> Toggles {
        self.toggles.borrow().clone()
    }

    /// What keeps each runner from running, as it is and changes.
    pub(super) fn obstacles(&self) -> watch::Receiver<Obstacles> {
        self.obstacles.subscribe()
    }

    /// The rows as they are now.
    pub(super) fn report(&self) -> Report {
        let mut report = self.table.report(&self.toggles.borrow(), self.groups);
        report.note(&self.faults.lock().unwrap_or_else(PoisonError::into_inner));
        report
    }

    fn decide(&self, row: &Row) -> Result<(), Obstacle> {
        self.table.decide(row, &self.toggles.borrow(), self.groups)
    }

    fn is_on(&self, row: &Row) -> bool {
        self.toggles.borrow().is_on(row.toggle)
    }

    /// Tells the objects that are meant for the runner what keeps it from running, if anything does.
    fn hold(&self, row: &Row, obstacle: Option<Obstacle>) {
        self.obstacles.send_if_modified(|obstacles| {
            let slot = match row.kind {
                Kind::AggregatorRunner => &mut obstacles.aggregator,
                Kind::DataplaneRunner => &mut obstacles.dataplane,
                Kind::Module => return false,
            };
            std::mem::replace(slot, obstacle) != obstacle
        });
    }

    fn note(&self, row: &Row, fault: Option<String>) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => drop(faults.insert(row.name, fault)),
            None => drop(faults.remove(row.name)),
        }
    }
}

impl Lives {
    /// Stops the modules, the last one first, each within `bound`: a module may use whatever was there before it.
    pub(super) async fn stop_modules(&self, bound: Duration) {
        for (_, life) in self.lives.iter().rev().filter(|(kind, _)| *kind == Kind::Module) {
            life.cancel();
            if tokio::time::timeout(bound, life.drained()).await.is_err() {
                tracing::warn!("a module did not stop in time");
            }
        }
    }

    /// Waits until every part has ended; they end with the server's context.
    pub(super) async fn ended(&self) {
        for (_, life) in &self.lives {
            life.drained().await;
        }
    }
}
