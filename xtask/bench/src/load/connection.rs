//! One TLS connection and what is asked over it. HTTP/2 windows are those of Go's client, which client-go uses.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::Credentials;

/// `transportDefaultStreamFlow` and `transportDefaultConnFlow` of Go's `http2.Transport`.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// The media type of a body, unless it is said.
const JSON: &str = "application/json";

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, one request after another
    Http1,
    /// HTTP/2
    Http2,
}

impl Protocol {
    /// The name that people use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// A server, and how it is reached.
#[derive(Clone)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// How it is spoken to; its certificate is for `localhost`.
    pub(crate) credentials: Credentials,
}

/// A connection that is kept alive; closed when dropped, by the last one who shares it.
pub(crate) struct Connection {
    sender: Sender,
    origin: String,
    driver: Arc<JoinSet<hyper::Result<()>>>,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

impl Target {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub(crate) async fn connect(&self, protocol: Protocol) -> anyhow::Result<Connection> {
        #[allow(clippy::disallowed_methods, reason = "a load generator shares nothing with what it measures")]
        let stream = TcpStream::connect(self.address).await.context("connect")?;
        stream.set_nodelay(true).context("turn Nagle's algorithm off")?;
        let tls = TlsConnector::from(self.credentials.speaking(protocol));
        let name = ServerName::try_from("localhost").context("name the server")?;
        let io = TokioIo::new(tls.connect(name, stream).await.context("shake hands")?);
        let mut driver = JoinSet::new();
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.context("speak HTTP/1.1")?;
                driver.spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.timer(TokioTimer::new()).initial_stream_window_size(STREAM_WINDOW);
                builder.initial_connection_window_size(CONNECTION_WINDOW);
                let (sender, connection) = builder.handshake(io).await.context("speak HTTP/2")?;
                driver.spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Connection {
            sender,
            origin: format!("https://localhost:{}", self.address.port()),
            driver: Arc::new(driver),
        })
    }

    /// Opens one HTTP/2 connection, which many share.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub(crate) async fn streams(&self, count: usize) -> anyhow::Result<Vec<Connection>> {
        let first = self.connect(Protocol::Http2).await?;
        let Sender::Http2(sender) = &first.sender else { bail!("HTTP/1.1 has no streams") };
        let share = |_| Connection {
            sender: Sender::Http2(sender.clone()),
            origin: first.origin.clone(),
            driver: Arc::clone(&first.driver),
        };
        Ok((0..count).map(share).collect())
    }

    /// Opens many connections, one after another.
    ///
    /// # Errors
    /// When the server does not accept one.
    pub(crate) async fn connections(
        &self,
        protocol: Protocol,
        count: usize,
    ) -> anyhow::Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(self.connect(protocol).await?);
        }
        Ok(connections)
    }
}

impl Connection {
    /// A request for `path` over this connection, to be completed.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method);
        match self.sender {
            Sender::Http1(_) => request.uri(path).header(header::HOST, "localhost"),
            Sender::Http2(_) => request.uri(format!("{}{path}", self.origin)),
        }
    }

    /// Sends a request and returns the answer's head, whatever its code.
    ///
    /// # Errors
    /// When the connection fails.
    pub(crate) async fn send(&mut self, request: Request<RequestBody>) -> anyhow::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.context("wait for the connection")?;
                sender.send_request(request).await.context("send a request")
            }
            Sender::Http2(sender) => {
                sender.ready().await.context("wait for the connection")?;
                sender.send_request(request).await.context("send a request")
            }
        }
    }

    /// Asks with a JSON body, or with none, and returns a good answer's head.
    ///
    /// # Errors
    /// When the answer's code is not 2xx; the error carries its body.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> anyhow::Result<Response<Incoming>> {
        self.ask_in(method, path, JSON, body).await
    }

    /// Asks with a body of this media type.
    async fn ask_in(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<Bytes>,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = self.request(method, path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(RequestBody::whole(body)).context("make a request")?;
        let answer = self.send(request).await?;
        let status = answer.status();
        if !status.is_success() {
            let body = answer.into_body().collect().await.context("read an error")?.to_bytes();
            bail!("{path} was answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(answer)
    }

    /// Asks and returns the whole body of a good answer.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn fetch(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> anyhow::Result<Bytes> {
        let answer = self.ask(method, path, body).await?;
        Ok(answer.into_body().collect().await.context("read an answer")?.to_bytes())
    }

    /// Sends a patch of this media type, and returns the whole body of a good answer.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn patch(&mut self, path: &str, kind: &str, patch: Bytes) -> anyhow::Result<Bytes> {
        let answer = self.ask_in(Method::PATCH, path, kind, Some(patch)).await?;
        Ok(answer.into_body().collect().await.context("read an answer")?.to_bytes())
    }
}

/// A body in one piece, after which the request ends, or stays open for as long as it is answered.
pub(crate) struct RequestBody {
    bytes: Option<Bytes>,
    open: bool,
}

impl RequestBody {
    /// The request ends with these bytes.
    pub(crate) fn whole(bytes: Option<Bytes>) -> Self {
        Self { bytes, open: false }
    }

    /// The request stays open behind these bytes.
    pub(crate) fn open(bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), open: true }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            // Nobody is to be woken: the stream ends by being dropped.
            None if self.open => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.open
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if self.open { SizeHint::default() } else { SizeHint::with_exact(length) }
    }
}
