//! One HTTP/1.1 connection, which is driven by whoever waits for its answer: no task of its own, hence nothing to wake
//! between the socket and the answer's reader. Only a request with a body gets a task, since its body must go on being
//! sent while nobody reads the answer.
//!
//! It goes back to the pool when its answer was read to the end and it is ready for another; in every other case it is
//! closed by being dropped.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use detectviz_core::http::{Body, BoxError, Request, Response};
use futures_util::future::Either;
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::task::unconstrained;

use super::pool::{Place, Pool};
use super::upgrade::{Tunnel, Upgraded};
use crate::stream::Stream;

/// How long a connection may lie idle before the system is asked whether the other side hung up.
const FRESH: Duration = Duration::from_secs(1);
/// The most bytes that are read at once, and that an answer's head may have. It may have 100 fields.
const MAX_BUFFER: usize = 256 << 10;

/// A connection in use, or ready for use.
pub(super) struct Http1 {
    sender: SendRequest<Body>,
    driver: Connection<TokioIo<Stream>, Body>,
    doubt: Arc<AtomicBool>,
    pub(super) born: Instant,
    pub(super) idle_since: Instant,
    /// Whether the last answer had no body: a backend that sends one all the same may do so late.
    bodiless: bool,
    place: Place,
}

/// Why there is no answer; the request is there when nothing of it was sent.
pub(super) type Lost = TrySendError<Request>;

impl Http1 {
    pub(super) async fn new(stream: Stream, place: Place) -> hyper::Result<Box<Self>> {
        let doubt = stream.doubt();
        let mut builder = Builder::new();
        builder.max_buf_size(MAX_BUFFER);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        let now = Instant::now();
        Ok(Box::new(Self { sender, driver, doubt, born: now, idle_since: now, bodiless: false, place }))
    }

    /// Gives up the connection for its place.
    pub(super) fn into_place(self) -> Place {
        self.place
    }

    /// Whether it came to its end while nobody used it.
    pub(super) fn is_closed(&mut self) -> bool {
        self.sender.is_closed() || self.drive(&mut unheard()).is_ready()
    }

    /// Asks the system whether the other side hung up, or said what nobody asked for, when that is likely or would cost
    /// much. The answer is found when the connection is driven next, before the request is taken.
    pub(super) fn be_careful(&self, costly: bool) {
        if costly || self.bodiless || self.idle_since.elapsed() > FRESH {
            self.doubt.store(true, Ordering::Relaxed);
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(&mut self.driver).poll(cx)
    }

    /// Sends the request and gives the answer's head with a body that reads on.
    pub(super) fn exchange(
        self: Box<Self>,
        request: Request,
        pool: Weak<Pool>,
    ) -> impl Future<Output = Result<Response, Lost>> + Send {
        if request.body().is_end_stream() {
            Either::Left(self.ask(request, pool))
        } else {
            Either::Right(Box::pin(self.upload(request, pool)))
        }
    }

    /// Sends a request without a body. The request goes at once to where hyper takes it from, so that no future has to
    /// carry it.
    fn ask(
        mut self: Box<Self>,
        request: Request,
        pool: Weak<Pool>,
    ) -> impl Future<Output = Result<Response, Lost>> + Send {
        self.bodiless = false;
        // Only driving the connection can bring the answer, and each poll does so: nobody needs to be woken for it.
        let answer = Box::pin(unconstrained(self.sender.try_send_request(request)));
        self.hear(answer, pool)
    }

    /// Drives the connection until the answer's head is there.
    async fn hear(
        self: Box<Self>,
        mut answer: Pin<Box<impl Future<Output = Result<http::Response<Incoming>, Lost>>>>,
        pool: Weak<Pool>,
    ) -> Result<Response, Lost> {
        let mut connection = Some(self);
        let answer = std::future::poll_fn(|cx| {
            if connection.as_mut().is_some_and(|connection| connection.drive(cx).is_ready()) {
                // Its end gives an answer, or the reason why there is none.
                connection = None;
            }
            answer.as_mut().poll(&mut unheard())
        })
        .await?;
        let (head, incoming) = answer.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            connection = None;
        }
        let answer = Answer { incoming, begun: None, connection, pool };
        Ok(Response::from_parts(head, answer.into_body()))
    }

    /// Sends a request with a body, which a task does.
    async fn upload(mut self: Box<Self>, request: Request, pool: Weak<Pool>) -> Result<Response, Lost> {
        // Whether the answer has one is not known where the connection is given back.
        self.bodiless = true;
        let answer = self.sender.try_send_request(request);
        let (read, over) = oneshot::channel();
        tokio::spawn(self.drive_until_ready(over, pool));
        let (head, incoming) = answer.await?.into_parts();
        Ok(Response::from_parts(head, Body::stream(Heard { incoming, _read: read })))
    }

    /// Ends when the connection is ready for another request, or closed, or when the answer is read, or nobody wants it,
    /// while the request is not sent: an upload that its backend has answered is not worth waiting for.
    async fn drive_until_ready(mut self: Box<Self>, mut over: oneshot::Receiver<()>, pool: Weak<Pool>) {
        let ready = std::future::poll_fn(|cx| {
            let heard = Pin::new(&mut over).poll(cx).is_ready();
            match self.drive(cx) {
                Poll::Ready(_) => Poll::Ready(false),
                Poll::Pending if self.sender.is_ready() => Poll::Ready(true),
                Poll::Pending if heard => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        });
        if ready.await
            && let Some(pool) = pool.upgrade()
        {
            pool.put(self);
        }
    }

    /// Sends a request for an upgrade. The connection does not outlive the answer, unless as a tunnel.
    pub(super) async fn upgrade(mut self: Box<Self>, request: Request) -> Result<Upgraded, Lost> {
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        let mut connection = Some(self);
        let mut over = false;
        let answer = std::future::poll_fn(|cx| {
            over = over || connection.as_mut().is_none_or(|connection| connection.drive(cx).is_ready());
            let answer = answer.as_mut().poll(&mut unheard());
            if answer.is_pending() && over && connection.take().is_some() {
                // Its end gives the reason why there is no answer.
                cx.waker().wake_by_ref();
            }
            answer
        })
        .await?;
        let (head, incoming) = answer.into_parts();
        match connection.take() {
            Some(mut connection) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                if !over {
                    let _ = std::future::poll_fn(|cx| connection.drive(cx)).await;
                }
                let Self { driver, place, .. } = *connection;
                let parts = driver.into_parts();
                let tunnel = Tunnel::new(parts.io.into_inner(), parts.read_buf, place);
                Ok(Upgraded::Switched(Response::from_parts(head, Body::empty()), tunnel))
            }
            connection => {
                let connection = connection.filter(|_| !over);
                let body = Answer { incoming, begun: None, connection, pool: Weak::new() };
                Ok(Upgraded::Refused(Response::from_parts(head, Body::stream(body))))
            }
        }
    }

    /// Puts the connection back into the pool if it is ready for another request.
    fn recycle(mut self: Box<Self>, pool: &Weak<Pool>) {
        let Some(pool) = pool.upgrade() else { return };
        if self.drive(&mut unheard()).is_pending() && self.sender.is_ready() {
            pool.put(self);
        }
    }
}

/// For polls that somebody repeats anyway.
fn unheard() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// An answer's body with the connection that it comes from.
struct Answer {
    incoming: Incoming,
    /// What came with the head.
    begun: Option<hyper::Result<Frame<Bytes>>>,
    connection: Option<Box<Http1>>,
    pool: Weak<Pool>,
}

impl Answer {
    /// The body. Small ones mostly come whole with their head: the connection is free then for somebody else, and whoever
    /// reads the bytes has nothing to wait for.
    fn into_body(mut self) -> Body {
        if self.incoming.is_end_stream() {
            if let Some(connection) = &mut self.connection {
                connection.bodiless = true;
            }
            self.recycle();
            return Body::empty();
        }
        match Pin::new(&mut self.incoming).poll_frame(&mut unheard()) {
            Poll::Ready(Some(Ok(frame))) if self.incoming.is_end_stream() && frame.is_data() => {
                self.recycle();
                frame.into_data().map_or_else(|_| Body::empty(), Body::full)
            }
            Poll::Ready(begun) => {
                self.begun = begun;
                Body::stream(self)
            }
            Poll::Pending => Body::stream(self),
        }
    }

    fn recycle(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.recycle(&self.pool);
        }
    }

    /// The next frame. What is in the channel is read before the connection is driven, and again after it.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(begun) = self.begun.take() {
            return Poll::Ready(Some(begun));
        }
        let Some(connection) = &mut self.connection else {
            return Pin::new(&mut self.incoming).poll_frame(cx);
        };
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(&mut unheard()) {
            return Poll::Ready(frame);
        }
        if connection.drive(cx).is_ready() {
            self.connection = None;
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.poll_incoming(cx));
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => self.incoming.is_end_stream(),
            Some(Err(_)) => {
                self.connection = None;
                false
            }
        };
        if ended {
            self.recycle();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.begun.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let begun = self.begun.as_ref().and_then(|begun| begun.as_ref().ok()?.data_ref());
        let (begun, rest) = (begun.map_or(0, Bytes::len) as u64, self.incoming.size_hint());
        let mut whole = SizeHint::new();
        whole.set_lower(rest.lower() + begun);
        if let Some(upper) = rest.upper() {
            whole.set_upper(upper + begun);
        }
        whole
    }
}

/// An answer's body whose connection a task drives, which hears when the body was read or dropped.
struct Heard {
    incoming: Incoming,
    _read: oneshot::Sender<()>,
}

impl http_body::Body for Heard {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.incoming).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
