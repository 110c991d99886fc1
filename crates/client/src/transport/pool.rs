//! The connections of one transport: the idle ones, last used first, so that those which load does not need grow old;
//! the shared ones of HTTP/2; and who waits for a place, first come first served.
//!
//! A connection is in exactly one pair of hands: the pool's while it is idle, else those of the answer that is read from
//! it. Its [`Place`] goes with it, whatever ends it.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::http1::Http1;
use super::http2::{Http2, Stream};
use super::{TransportError, TransportOptions};
use crate::connector::{Connector, Opened};

/// How often idle connections are looked at, unless they are kept for less.
const REAP: Duration = Duration::from_secs(5);

/// All connections of one transport.
pub(super) struct Pool {
    pub(super) connector: Connector,
    options: TransportOptions,
    /// Connections older than this are not used again: those to a name, whose meaning may have changed.
    max_age: Option<Duration>,
    state: Mutex<State>,
    /// Held while a connection is opened that others may share.
    opening: tokio::sync::Mutex<()>,
    /// Whether the connection that was opened last can be shared.
    shares: AtomicBool,
}

#[derive(Default)]
#[expect(clippy::vec_box, reason = "they come boxed and go boxed; moving one moves a pointer")]
struct State {
    idle: Vec<Box<Http1>>,
    shared: Vec<Http2>,
    waiting: VecDeque<oneshot::Sender<Grant>>,
    /// Places taken, by idle connections too.
    open: usize,
    reaper: Option<AbortHandle>,
}

/// What someone who waited gets.
enum Grant {
    Idle(Box<Http1>),
    Place(Place),
}

/// Where a request can be sent.
pub(super) enum Lane {
    /// A connection that was used before, and may have been closed since.
    Used(Box<Http1>),
    /// A connection of one's own.
    New(Box<Http1>),
    /// One stream of a shared connection.
    Stream(Stream),
}

enum Taken {
    Lane(Lane),
    Place(Place),
    Wait(oneshot::Receiver<Grant>),
}

impl Pool {
    pub(super) fn new(connector: Connector, options: TransportOptions) -> Arc<Self> {
        let max_age = connector.address.is_name().then_some(options.max_age);
        Arc::new(Self {
            connector,
            max_age,
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            shares: AtomicBool::new(options.http2),
            options,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to send on: one that is there, or a new one, or the first that is free.
    pub(super) async fn lane(self: &Arc<Self>) -> Result<Lane, TransportError> {
        match self.take() {
            Taken::Lane(lane) => Ok(lane),
            taken if !self.shares.load(Ordering::Relaxed) => self.settle(taken).await,
            // One at a time: what the others need may be a stream of the connection that the first one opens.
            taken => {
                drop(taken);
                let Ok(_turn) = timeout(self.options.connect_timeout, self.opening.lock()).await else {
                    return Err(self.busy());
                };
                self.settle(self.take()).await
            }
        }
    }

    async fn settle(self: &Arc<Self>, taken: Taken) -> Result<Lane, TransportError> {
        let place = match taken {
            Taken::Lane(lane) => return Ok(lane),
            Taken::Place(place) => place,
            Taken::Wait(granted) => match timeout(self.options.connect_timeout, granted).await {
                Ok(Ok(Grant::Idle(connection))) => return Ok(Lane::Used(connection)),
                Ok(Ok(Grant::Place(place))) => place,
                _ => return Err(self.busy()),
            },
        };
        self.open(place).await
    }

    async fn open(self: &Arc<Self>, place: Place) -> Result<Lane, TransportError> {
        let Opened { stream, http2 } = self.connector.open().await?;
        self.shares.store(http2, Ordering::Relaxed);
        if !http2 {
            let connection = Http1::new(stream, place).await.map_err(|why| self.broken(why))?;
            return Ok(Lane::New(connection));
        }
        let connection = Http2::new(stream, place).await.map_err(|why| self.broken(why))?;
        let first = connection.stream();
        let mut state = self.state();
        state.shared.push(connection);
        self.tend(&mut state);
        Ok(Lane::Stream(first))
    }

    /// A place for a connection that will never be idle. An idle connection is closed for it if it must be.
    pub(super) async fn place(self: &Arc<Self>) -> Result<Place, TransportError> {
        let taken = {
            let mut state = self.state();
            match state.idle.len() {
                n if n > 0 && state.open >= self.options.max_connections => Some(state.idle.swap_remove(0)),
                _ => None,
            }
        };
        // Oldest first; its place is free once it is dropped, and there is one to take or to wait for.
        drop(taken);
        match self.take_place() {
            Taken::Place(place) => Ok(place),
            Taken::Lane(_) => Err(self.busy()),
            Taken::Wait(granted) => match timeout(self.options.connect_timeout, granted).await {
                Ok(Ok(Grant::Place(place))) => Ok(place),
                Ok(Ok(Grant::Idle(connection))) => Ok(connection.into_place()),
                _ => Err(self.busy()),
            },
        }
    }

    /// A connection to send on, if there is one that is free.
    pub(super) fn ready(&self) -> Option<Lane> {
        let mut state = self.state();
        if let Some(connection) = state.idle.pop() {
            return Some(Lane::Used(connection));
        }
        state.shared.iter().find_map(Http2::try_stream).map(Lane::Stream)
    }

    fn take(self: &Arc<Self>) -> Taken {
        self.ready().map_or_else(|| self.take_place(), Taken::Lane)
    }

    fn take_place(self: &Arc<Self>) -> Taken {
        let mut state = self.state();
        if state.open < self.options.max_connections {
            state.open += 1;
            return Taken::Place(Place(Some(Arc::downgrade(self))));
        }
        // Those who gave up are forgotten whenever the queue would have to grow.
        if state.waiting.len() == state.waiting.capacity() {
            state.waiting.retain(|waiting| !waiting.is_closed());
        }
        let (sender, granted) = oneshot::channel();
        state.waiting.push_back(sender);
        Taken::Wait(granted)
    }

    /// Takes back a connection that is ready for another request.
    pub(super) fn put(self: &Arc<Self>, mut connection: Box<Http1>) {
        let now = Instant::now();
        if self.max_age.is_some_and(|limit| now.duration_since(connection.born) > limit) {
            return;
        }
        connection.idle_since = now;
        loop {
            let Some(waiting) = self.next_waiting() else { return self.keep(connection) };
            match waiting.send(Grant::Idle(connection)) {
                Err(Grant::Idle(back)) => connection = back,
                _ => return,
            }
        }
    }

    fn next_waiting(&self) -> Option<oneshot::Sender<Grant>> {
        self.state().waiting.pop_front()
    }

    fn keep(self: &Arc<Self>, connection: Box<Http1>) {
        let mut state = self.state();
        if state.idle.len() < self.options.max_idle {
            state.idle.push(connection);
            self.tend(&mut state);
        } else {
            // Its place is given back under the lock that is held here.
            drop(state);
            drop(connection);
        }
    }

    /// Has somebody look after connections that nobody uses, as long as there are any.
    fn tend(self: &Arc<Self>, state: &mut State) {
        if state.reaper.is_none() {
            let every = self.options.idle_timeout.min(REAP);
            state.reaper = Some(tokio::spawn(reap(Arc::downgrade(self), every)).abort_handle());
        }
    }

    /// Closes what is idle for too long, or was closed by the other side. Says whether there is anything left.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let limit = self.options.idle_timeout;
        let mut over = Vec::new();
        let mut state = self.state();
        for mut connection in mem::take(&mut state.idle) {
            let old = now.duration_since(connection.idle_since) >= limit;
            let kept = if old || connection.is_closed() { &mut over } else { &mut state.idle };
            kept.push(connection);
        }
        let max_age = self.max_age;
        state.shared.retain_mut(|connection| connection.is_wanted(now, limit, max_age));
        let left = !(state.idle.is_empty() && state.shared.is_empty());
        if !left {
            state.reaper = None;
        }
        drop(state);
        left
    }

    fn busy(&self) -> TransportError {
        TransportError::Busy { target: self.connector.address.clone() }
    }

    pub(super) fn broken(&self, why: hyper::Error) -> TransportError {
        TransportError::Send { target: self.connector.address.clone(), source: Arc::new(why.into()) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(reaper) = self.state().reaper.take() {
            reaper.abort();
        }
    }
}

async fn reap(pool: Weak<Pool>, every: Duration) {
    loop {
        sleep(every).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}

/// A place among the connections, given back when dropped. `None` once it was passed on.
pub(super) struct Place(Option<Weak<Pool>>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some(pool) = self.0.take().as_ref().and_then(Weak::upgrade) else { return };
        loop {
            let mut state = pool.state();
            let Some(waiting) = state.waiting.pop_front() else {
                state.open -= 1;
                return;
            };
            drop(state);
            match waiting.send(Grant::Place(Place(Some(Arc::downgrade(&pool))))) {
                // Whoever waited has gone: this very place goes to the next.
                Err(Grant::Place(mut back)) => back.0 = None,
                _ => return,
            }
        }
    }
}
