//! Clients that go on asking while something changes, and remember what they should not have been told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use detectviz_tests::{Answer, Client, Connection, Request, wait_for};

use super::{FLIGHTS, QUERY, query};
use crate::support::{CONFIG_MAPS, config_map};

/// Requests without a pause until it is ended.
pub(super) struct Load {
    state: Arc<State>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    ended: AtomicBool,
    answered: AtomicUsize,
    served: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

/// What may be answered: the first code is that of what goes well.
type Allowed = &'static [u16];

impl Load {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), workers: Vec::new() }
    }

    /// Objects of the server itself are created, read, listed and deleted: all of it has to go well.
    #[must_use]
    pub(super) fn local(self, client: &Client, name: &str) -> Self {
        let (client, name) = (client.clone(), name.to_owned());
        self.worker(move |state, kept| {
            let path = format!("{CONFIG_MAPS}/{name}");
            let create = client.request("POST", CONFIG_MAPS).json(&config_map(&name, "x"));
            state.ask(kept, &create, &[201]);
            for (method, path) in [("GET", path.as_str()), ("GET", CONFIG_MAPS), ("DELETE", &path)] {
                state.ask(kept, &client.request(method, path), &[200]);
            }
        })
    }

    /// Like [`Self::local`], reading alone, with a connection for each request.
    #[must_use]
    pub(super) fn connecting(self, client: &Client) -> Self {
        let client = client.clone();
        self.worker(move |state, _| state.ask(&mut None, &client.request("GET", CONFIG_MAPS), &[200]))
    }

    /// Flights are read through the aggregator: there, or not there, or not for now.
    #[must_use]
    pub(super) fn remote(self, client: &Client) -> Self {
        let client = client.clone();
        self.worker(move |state, kept| state.ask(kept, &client.request("GET", FLIGHTS), &[200, 404, 503]))
    }

    /// The plugin is asked: there, or not there, or not for now.
    #[must_use]
    pub(super) fn queries(self, client: &Client) -> Self {
        let client = client.clone();
        let body = query();
        self.worker(move |state, kept| {
            state.ask(kept, &client.request("POST", QUERY).json(&body), &[200, 404, 503]);
        })
    }

    fn worker(mut self, round: impl Fn(&State, &mut Option<Connection>) + Send + 'static) -> Self {
        let state = Arc::clone(&self.state);
        self.workers.push(std::thread::spawn(move || {
            let mut kept = None;
            while !state.ended.load(Ordering::Relaxed) {
                round(&state, &mut kept);
            }
        }));
        self
    }

    /// Waits until as much again was answered as there are workers, so that each has met what is now.
    pub(super) fn go_round(&self) {
        let wanted = self.state.answered.load(Ordering::Relaxed) + 4 * self.workers.len();
        wait_for("the load goes on", || {
            (self.state.answered.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    /// Ends the load; it was clean, and something was served. Gives how many answers there were, and how many of them as
    /// wished.
    pub(super) fn end(self) -> [usize; 2] {
        self.state.ended.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.join().unwrap();
        }
        let wrong = self.state.wrong.lock().unwrap();
        let (answered, served) =
            (self.state.answered.load(Ordering::Relaxed), self.state.served.load(Ordering::Relaxed));
        assert!(wrong.is_empty(), "{} of {answered}: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        assert!(served > 0, "nothing was served");
        [answered, served]
    }
}

impl State {
    fn ask(&self, kept: &mut Option<Connection>, request: &Request<'_>, allowed: Allowed) {
        let outcome = kept.take().map_or_else(|| request.try_connect(), Ok);
        match outcome.and_then(|connection| request.send_on(connection)) {
            Ok((answer, connection)) => {
                *kept = connection;
                self.judge(&answer, allowed);
            }
            Err(fault) => self.wrong.lock().unwrap().push(format!("{}: {fault}", request.what())),
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn judge(&self, answer: &Answer, allowed: Allowed) {
        if answer.code == allowed[0] {
            self.served.fetch_add(1, Ordering::Relaxed);
        } else if !allowed.contains(&answer.code) || answer.json()["kind"] != "Status" {
            self.wrong.lock().unwrap().push(answer.to_string());
        }
    }
}
