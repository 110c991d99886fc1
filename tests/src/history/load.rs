//! A load: clients that write, read and watch at the same time, in rounds with a quiet moment between two.

use std::sync::atomic::Ordering;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Instant;

use super::client::{EndOnFailure, Session, Shared};
use super::model::{Event, Key, Selection, State};
use super::operation::{Answer, Call, Operation};
use super::random::Random;
use super::servers::Servers;
use super::watcher::{self, Stream};
use super::writer::{self, Known};
use super::{History, reader};
use crate::wait::wait_for;

/// Who does what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many write.
    pub writers: usize,
    /// How many read.
    pub readers: usize,
    /// Where the objects are; they are made when they are not there.
    pub namespaces: Vec<String>,
    /// The objects' names in each namespace.
    pub names: Vec<String>,
    /// The values of their label.
    pub groups: Vec<String>,
    /// What is listed, and watched by one watcher each.
    pub selections: Vec<Selection>,
}

impl Default for Plan {
    fn default() -> Self {
        let some = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let select = |namespace: Option<&str>, group: Option<&str>, name: Option<&str>| {
            let [namespace, group, name] = [namespace, group, name].map(|part| part.map(str::to_owned));
            Selection { namespace, group, name }
        };
        let selections = vec![
            Selection::default(),
            select(Some("default"), None, None),
            select(None, Some("a"), None),
            select(Some("load-1"), Some("b"), None),
            select(None, None, Some("n2")),
        ];
        let names = some(&["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"]);
        let (namespaces, groups) = (some(&["default", "load-1", "load-2"]), some(&["a", "b"]));
        Self { writers: 6, readers: 2, namespaces, names, groups, selections }
    }
}

impl Plan {
    pub(crate) fn key(&self, random: &mut Random) -> Key {
        (random.pick(&self.namespaces).clone(), random.pick(&self.names).clone())
    }
}

/// Clients that go on from round to round where they were.
pub struct Load {
    servers: Servers,
    plan: Plan,
    random: Random,
    clock: Instant,
    round: usize,
    base: State,
    /// What the reference saw behind the base.
    carried: Vec<Event>,
    /// Writes that nobody answered and nobody saw: they may still happen.
    pending: Vec<Operation>,
    /// Behind which revision each watcher goes on; the reference is the last.
    positions: Vec<u64>,
}

/// How far a round is.
pub struct Progress<'a>(&'a Shared);

impl Progress<'_> {
    /// How many writes were acknowledged in this round.
    pub fn acknowledged(&self) -> usize {
        self.0.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until so many more writes are acknowledged.
    ///
    /// # Panics
    /// When they are not.
    pub fn await_more(&self, more: usize) {
        let goal = self.acknowledged() + more;
        wait_for("more writes are acknowledged", || (self.acknowledged() >= goal).then_some(()));
    }
}

impl Load {
    /// Prepares the namespaces.
    ///
    /// # Panics
    /// When no server answers.
    pub fn new(servers: &Servers, plan: Plan, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (_, client) = servers.pick(&mut random, || true).expect("a server is up");
        for namespace in &plan.namespaces {
            let object =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            let made = client.create("/api/v1/namespaces", &object);
            assert!(matches!(made.code, 201 | 409), "{made}");
        }
        let shared = Shared::new(servers.clone(), Instant::now());
        let base = quiet_state(&shared, random.split());
        let positions = vec![base.revision; plan.selections.len() + 1];
        Self {
            servers: servers.clone(),
            plan,
            random,
            clock: shared.clock,
            round: 0,
            base,
            carried: Vec::new(),
            pending: Vec::new(),
            positions,
        }
    }

    /// Lets all clients work while `fault` does what it wants with the servers; when that has come back, at least one of
    /// them up, the writers and readers end, and the watchers see what there is to be seen.
    ///
    /// # Panics
    /// When no server answers at the end.
    pub fn round(&mut self, fault: impl FnOnce(&Progress<'_>)) -> History {
        self.round += 1;
        let shared = Shared::new(self.servers.clone(), self.clock);
        let end = format!("end-{}-", self.round);
        let last_end = format!("{end}{} ", self.plan.selections.len());
        let randoms: Vec<Random> = (0..64).map(|_| self.random.split()).collect();
        let (streams, last) = std::thread::scope(|scope| {
            let _end = EndOnFailure(&shared);
            let watchers = self.watchers(scope, &shared, &randoms, [&end, &last_end]);
            self.workers(&shared, &randoms, fault);
            let last = quiet_state(&shared, randoms[0].clone());
            self.say_end(&shared, &end, &randoms[0]);
            let streams = watchers.into_iter().map(|watcher| watcher.join().expect("a watcher ends"));
            (streams.collect::<Vec<_>>(), last)
        });
        self.positions = streams.iter().map(Stream::position).collect();
        self.history(streams, last, shared)
    }

    fn watchers<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        shared: &'scope Shared,
        randoms: &[Random],
        [end, last_end]: [&'scope str; 2],
    ) -> Vec<ScopedJoinHandle<'scope, Stream>> {
        let watchers = self.plan.selections.iter().map(|selection| (selection.clone(), end));
        // The reference sees everything there is.
        let watchers = watchers.chain([(Selection::default(), last_end)]);
        let watchers = watchers.zip(self.positions.clone()).zip(randoms.iter().cloned());
        let run = |(((selection, end), from), random)| {
            scope.spawn(move || watcher::run(shared, random, selection, from, end))
        };
        watchers.map(run).collect()
    }

    /// Runs the writers and readers until `fault` is through.
    fn workers(&self, shared: &Shared, randoms: &[Random], fault: impl FnOnce(&Progress<'_>)) {
        let known = Known::default();
        std::thread::scope(|scope| {
            for number in 0..self.plan.writers {
                let session = Session::new(shared, number, randoms[20 + number].clone());
                let (known, prefix) = (&known, format!("r{}-w{number}", self.round));
                scope.spawn(move || writer::run(session, &self.plan, known, &prefix));
            }
            for number in 0..self.plan.readers {
                let session = Session::new(shared, 100 + number, randoms[40 + number].clone());
                scope.spawn(move || reader::run(session, &self.plan));
            }
            let _end = EndOnFailure(shared);
            fault(&Progress(shared));
            shared.ended.store(true, Ordering::SeqCst);
        });
    }

    /// Writes what every watcher sees, and at last what ends the reference.
    fn say_end(&self, shared: &Shared, end: &str, random: &Random) {
        let everything = [Selection::default()];
        for (number, selection) in self.plan.selections.iter().chain(&everything).enumerate() {
            let first =
                |wanted: &Option<String>, all: &[String]| wanted.clone().unwrap_or_else(|| all[0].clone());
            let (plan, Selection { namespace, group, name }) = (&self.plan, selection);
            let key = (first(namespace, &plan.namespaces), first(name, &plan.names));
            let session = Session::new(shared, 200, random.clone());
            touch(session, &key, &format!("{end}{number} "), &first(group, &plan.groups));
        }
    }

    fn history(&mut self, mut streams: Vec<Stream>, last: State, shared: Shared) -> History {
        let seen_until = self.carried.last().map_or(self.base.revision, |event| event.version.revision);
        let mut events = std::mem::take(&mut self.carried);
        events.extend(streams.last().into_iter().flat_map(Stream::events).cloned());
        self.carried =
            events.iter().filter(|event| event.version.revision > last.revision).cloned().collect();
        let base = std::mem::replace(&mut self.base, last.clone());
        let mut operations = shared.into_operations();
        let is_pending = |operation: &&Operation| operation.is_write() && operation.is_unknown();
        let pending = operations.iter().filter(is_pending).cloned().collect();
        operations.append(&mut std::mem::replace(&mut self.pending, pending));
        streams.rotate_right(1);
        History { base, seen_until, events, operations, streams, last }
    }
}

/// Everything, when nobody writes.
fn quiet_state(shared: &Shared, random: Random) -> State {
    let mut session = Session::new(shared, 200, random);
    wait_for("everything can be listed", || reader::state(&mut session, &Selection::default()))
}

/// Leaves an object with this value in this group, whether there is one or not.
fn touch(mut session: Session<'_>, key: &Key, value: &str, group: &str) {
    let (known, mut attempts) = (Known::default(), 0..);
    let mut value = || format!("{value}{}", attempts.next().unwrap_or_default());
    wait_for("the end is written", || {
        let update = Call::Update { key: key.clone(), value: value(), at: None };
        let create = Call::Create { key: key.clone(), value: value() };
        [update, create].into_iter().find_map(|call| {
            let answer = writer::write(&mut session, call, group, &known)?;
            matches!(answer, Answer::Written(_)).then_some(())
        })
    });
}
