//! Deletes what nothing keeps any more: objects whose owners are all gone. Upstream's garbage collector: every collection
//! is followed, a graph says what a change concerns, and workers look at that.
//!
//! Work grows with what changes. A collection that cannot be followed, or whose server hangs, holds up its own objects
//! alone.

mod collect;
mod graph;
mod ledger;
mod live;
mod monitor;
mod object;
mod queue;
mod report;
#[cfg(test)]
mod tests;

use detectviz_core::{Catalog, Loopback, RunContext};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

use self::collect::Collector;
pub(super) use self::ledger::{Holds, Ledger};

use self::graph::{Effects, Misplaced, Source, Task};
use self::live::Live;
use self::monitor::{Change, Monitor};
use self::queue::Queue;
use super::served::Served;

/// Objects that are worked on at once: enough to share the store's syncs.
const WORKERS: usize = 64;
/// Changes that wait to be taken into the graph.
const WAITING_CHANGES: usize = 1024;
/// How long after the start work begins although not everything could be listed; upstream's.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an owner that begins to wait is left alone, so that what was made just before it is known.
const SETTLE: Duration = Duration::from_millis(100);
/// After how many failures in a row somebody is told of an object.
const TELLING: u32 = 6;
/// The kinds that are followed by nobody: events come and go by themselves.
const IGNORED: [(&str, &str); 2] = [("", "events"), ("events.k8s.io", "events")];

/// Follows everything that is served, and collects; returns what is known of where objects are.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>, catalog: &Arc<Catalog>) -> Ledger {
    let (changes, received) = mpsc::channel(WAITING_CHANGES);
    let (followed, ready) = watch::channel(false);
    let reports = report::start(context, loopback);
    let collector = Collector::new(Live::new(Arc::clone(loopback)));
    let work = Arc::new(Work { collector, queue: Queue::default(), reports });
    let ledger = Ledger::new(&work);
    let following = Following {
        ledger: ledger.clone(),
        context: context.clone(),
        work: Arc::clone(&work),
        changes,
        monitors: BTreeMap::new(),
        running: HashSet::new(),
        started: 0,
        unlisted: BTreeSet::new(),
        followed,
    };
    context.spawn(following.run(Arc::clone(catalog), received));
    for _ in 0..WORKERS {
        let (work, mut ready) = (Arc::clone(&work), ready.clone());
        context.spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, ready.wait_for(|ready| *ready)).await;
            loop {
                work.one().await;
            }
        });
    }
    ledger
}

/// What followers and workers share.
struct Work {
    collector: Collector,
    queue: Queue<Task>,
    reports: mpsc::Sender<Misplaced>,
}

impl Work {
    /// Works on the next task.
    async fn one(&self) {
        let task = self.queue.next().await;
        match self.collector.work(task).await {
            Ok(effects) => {
                self.bring_about(effects);
                let again = matches!(task, Task::Verify(uid) if self.collector.graph().is_virtual(uid));
                self.queue.done(task, again);
            }
            Err(fault) => {
                tracing::debug!(?task, error = %fault, "look at object again");
                if self.queue.done(task, true) == TELLING {
                    tracing::info!(?task, error = %fault, "object cannot be looked at by the garbage collector");
                }
            }
        }
    }

    fn bring_about(&self, effects: Effects) {
        effects.tasks.into_iter().for_each(|task| self.queue.add(task));
        effects.begun.into_iter().for_each(|task| self.queue.add_after(task, SETTLE));
        for misplaced in effects.misplaced {
            // People are told of many, and need not be of all.
            let _ = self.reports.try_send(misplaced);
        }
    }
}

/// Keeps a follower for each collection, and the graph up to date.
struct Following {
    context: RunContext,
    work: Arc<Work>,
    changes: mpsc::Sender<Change>,
    /// The followers, by the path of their collection.
    monitors: BTreeMap<String, (u32, RunContext)>,
    /// The numbers of the followers.
    running: HashSet<u32>,
    /// How many followers there ever were.
    started: u32,
    /// The followers of which nothing was heard yet.
    unlisted: BTreeSet<u32>,
    followed: watch::Sender<bool>,
    ledger: Ledger,
}

impl Following {
    async fn run(mut self, catalog: Arc<Catalog>, mut received: mpsc::Receiver<Change>) {
        let mut served = catalog.changes();
        served.mark_changed();
        loop {
            tokio::select! {
                Ok(()) = served.changed() => {
                    served.mark_unchanged();
                    let resources = self.work.collector.live.refresh(&catalog);
                    self.follow(resources);
                }
                Some(change) = received.recv() => self.take(change),
                else => return,
            }
        }
    }

    /// Starts and ends followers, so that there is one for each of `resources`.
    fn follow(&mut self, resources: Vec<Served>) {
        let is_ignored =
            |served: &Served| IGNORED.contains(&(&*served.group_version.group, &*served.resource));
        let wanted: BTreeMap<String, Served> = resources
            .into_iter()
            .filter(|served| !is_ignored(served))
            .map(|served| (served.collection(None), served))
            .collect();
        let over: Vec<String> =
            self.monitors.keys().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        for path in over {
            if let Some((number, context)) = self.monitors.remove(&path) {
                context.cancel();
                self.ledger.left(&path);
                self.heard_of(number);
                self.running.remove(&number);
                let effects = self.work.collector.graph().left(number);
                self.work.bring_about(effects);
            }
        }
        for (path, served) in wanted {
            if !self.monitors.contains_key(&path) {
                self.start(path, &served);
            }
        }
    }

    fn start(&mut self, path: String, served: &Served) {
        self.started += 1;
        let context = self.context.child();
        let source = Source {
            number: self.started,
            api_version: served.group_version.to_string().into(),
            kind: served.kind.as_str().into(),
            remote: self.work.collector.live.is_remote(&served.group_version),
        };
        self.running.insert(source.number);
        self.unlisted.insert(source.number);
        let (loopback, changes) = (Arc::clone(self.work.collector.live.loopback()), self.changes.clone());
        let monitor = Monitor { loopback, path: path.clone(), source, changes };
        context.spawn(monitor.run());
        self.ledger.follows(path.clone(), self.started);
        self.monitors.insert(path, (self.started, context));
    }

    fn take(&mut self, change: Change) {
        let effects = match change {
            Change::Seen(source, meta) if self.is_followed(source.number) => {
                self.ledger.seen(source.number, &meta);
                self.work.collector.graph().seen(&source, &meta)
            }
            Change::Gone(uid) => self.work.collector.graph().gone(uid),
            Change::Listed(source, present) if self.is_followed(source.number) => {
                let effects = self.work.collector.graph().listed(&source, &present);
                self.ledger.listed(source.number);
                self.heard_of(source.number);
                effects
            }
            // Another server may be away for days; this one answers soon.
            Change::Failed(source) if source.remote => return self.heard_of(source.number),
            Change::Failed(_) | Change::Seen(..) | Change::Listed(..) => return,
        };
        self.work.bring_about(effects);
    }

    /// What comes late from a follower that was ended says nothing.
    fn is_followed(&self, number: u32) -> bool {
        self.running.contains(&number)
    }

    /// Work begins when every collection was listed, or could not be.
    fn heard_of(&mut self, number: u32) {
        if self.unlisted.remove(&number) && self.unlisted.is_empty() {
            self.followed.send_replace(true);
        }
    }
}
