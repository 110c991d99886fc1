//! What every client of a load has: a server, a connection that is kept, a clock and a notebook.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;

use super::operation::{Answer, Call, Operation};
use super::random::Random;
use super::servers::Servers;
use crate::http::{self, Client};
use crate::wait::pause;
use crate::wire::Connection;

/// What the clients of one round share.
pub(crate) struct Shared {
    pub(crate) servers: Servers,
    pub(crate) clock: Instant,
    /// Writers and readers are to end.
    pub(crate) ended: AtomicBool,
    /// So is everybody else, since the test has failed.
    failed: AtomicBool,
    pub(crate) acknowledged: AtomicUsize,
    operations: Mutex<Vec<Operation>>,
}

impl Shared {
    pub(crate) fn new(servers: Servers, clock: Instant) -> Self {
        let (ended, failed, acknowledged, operations) = Default::default();
        Self { servers, clock, ended, failed, acknowledged, operations }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    fn record(&self, operation: Operation) {
        if operation.is_acknowledged() {
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }

    pub(crate) fn into_operations(self) -> Vec<Operation> {
        self.operations.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the clients when a test fails among them, which nobody else would.
pub(crate) struct EndOnFailure<'a>(pub(crate) &'a Shared);

impl Drop for EndOnFailure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::SeqCst);
            self.0.ended.store(true, Ordering::SeqCst);
        }
    }
}

/// A client: it asks one server for as long as that is up.
pub(crate) struct Session<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) random: Random,
    number: usize,
    server: Option<(usize, Client)>,
    connection: Option<Connection>,
}

/// A request, ready to be sent more than once.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(shared: &'a Shared, number: usize, random: Random) -> Self {
        Self { shared, random, number, server: None, connection: None }
    }

    /// Whether there is a server to ask; the load may end while there is none.
    pub(crate) fn is_connected(&mut self) -> bool {
        if self.server.as_ref().is_none_or(|(start, _)| !self.shared.servers.is_up(*start)) {
            self.connection = None;
            self.server = self.shared.servers.pick(&mut self.random, || self.shared.has_ended());
        }
        self.server.is_some()
    }

    /// Asks, and writes down call and answer; `None` when there is no server any more.
    pub(crate) fn perform(&mut self, call: Call, ask: impl FnOnce(&mut Self) -> Answer) -> Option<Answer> {
        if !self.is_connected() {
            return None;
        }
        let server = self.server.as_ref()?.0;
        let called = self.shared.clock.elapsed();
        let answer = ask(self);
        let answered = self.shared.clock.elapsed();
        let client = self.number;
        self.shared.record(Operation { client, server, called, answered, call, answer: answer.clone() });
        if matches!(answer, Answer::Unknown) {
            // Another server may do better, and this one is not to be asked in a busy loop.
            self.server = None;
            pause();
        }
        Some(answer)
    }

    /// Sends a request on the connection that is kept; `None` when there is no whole answer.
    pub(crate) fn send(&mut self, request: &Request) -> Option<http::Answer> {
        let client = &self.server.as_ref()?.1;
        let connection = self.connection.take().map_or_else(|| client.connect(), Ok).ok()?;
        let prepared = client.request(request.method, request.path.as_str());
        let prepared = match &request.body {
            Some(body) => prepared.json(body),
            None => prepared,
        };
        let (answer, kept) = prepared.send_on(connection).ok()?;
        self.connection = kept;
        Some(answer)
    }
}
