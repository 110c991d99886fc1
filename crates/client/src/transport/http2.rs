//! One HTTP/2 connection, shared by as many requests as the backend allows, and driven by a task that ends when the pool
//! has let it go and its last answer is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use detectviz_core::http::{Body, Held, Request, Response};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::http1::Lost;
use super::pool::Place;
use crate::stream::Stream as Bytes;

/// The most requests on one connection, if the backend allows more: all of them share one lock and one socket.
const MAX_STREAMS: usize = 128;
/// What a backend may send of one answer before it is read, and of all on a connection: enough for each of them, since
/// otherwise a few watches that nobody reads would use it up and silence the others.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// The most bytes of an answer's header fields.
const MAX_HEADER_LIST: u32 = 256 << 10;
/// How often a backend is asked for a sign of life while requests are under way, and how long that may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));

/// A connection as the pool holds it.
pub(super) struct Http2 {
    sender: SendRequest<Body>,
    load: Arc<Load>,
    born: Instant,
    used: Instant,
}

struct Load {
    streams: AtomicUsize,
    limit: AtomicUsize,
    /// Whether a request was sent since the pool looked last.
    touched: AtomicBool,
}

/// The right to send one request.
pub(super) struct Stream {
    sender: SendRequest<Body>,
    lease: Lease,
}

struct Lease(Arc<Load>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Http2 {
    pub(super) async fn new(stream: Bytes, place: Place) -> hyper::Result<Self> {
        let handshake = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .handshake(TokioIo::new(stream));
        let (sender, mut driver) = handshake.await?;
        let load = Arc::new(Load {
            streams: AtomicUsize::new(0),
            limit: AtomicUsize::new(MAX_STREAMS),
            touched: AtomicBool::new(true),
        });
        let told = load.clone();
        tokio::spawn(async move {
            let _place = place;
            // How it ends is told to the requests that are on it.
            let _ = std::future::poll_fn(|cx| {
                let over = std::pin::Pin::new(&mut driver).poll(cx);
                told.limit.store(driver.current_max_send_streams().min(MAX_STREAMS), Ordering::Relaxed);
                over
            })
            .await;
        });
        let now = Instant::now();
        Ok(Self { sender, load, born: now, used: now })
    }

    /// A stream of a connection that nobody else knows yet.
    pub(super) fn stream(&self) -> Stream {
        self.load.touched.store(true, Ordering::Relaxed);
        self.load.streams.fetch_add(1, Ordering::Relaxed);
        Stream { sender: self.sender.clone(), lease: Lease(self.load.clone()) }
    }

    /// A stream, if the connection has one left. Only the pool's lock makes the count exact.
    pub(super) fn try_stream(&self) -> Option<Stream> {
        let limit = self.load.limit.load(Ordering::Relaxed);
        let free = self.load.streams.load(Ordering::Relaxed) < limit && !self.sender.is_closed();
        free.then(|| self.stream())
    }

    /// Whether the pool should keep it.
    pub(super) fn is_wanted(&mut self, now: Instant, idle: Duration, max_age: Option<Duration>) -> bool {
        if self.load.touched.swap(false, Ordering::Relaxed) || self.load.streams.load(Ordering::Relaxed) > 0 {
            self.used = now;
        }
        !self.sender.is_closed()
            && now.duration_since(self.used) < idle
            && max_age.is_none_or(|limit| now.duration_since(self.born) <= limit)
    }
}

impl Stream {
    /// Sends a request whose URI is absolute; the stream counts until the answer's body is read or dropped.
    pub(super) async fn exchange(mut self, request: Request) -> Result<Response, Lost> {
        let answer = self.sender.try_send_request(request).await?;
        Ok(answer.map(|body| Body::stream(Held::new(Body::stream(body), self.lease))))
    }
}
