//! HTTP to one backend, over connections that are kept and reused: HTTP/1.1, or HTTP/2 where that was asked for and agreed
//! on. Make one transport a backend and keep it; when the backend changes, make another and drop the old one.
//!
//! Who ends the tasks: each serves one connection and ends when the transport is dropped and the answers under way on it
//! are read or dropped. None outlives both.

mod error;
mod http1;
mod http2;
mod pool;
mod upgrade;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use detectviz_core::http::{Request, Response};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri, Version, header};
use http_body::Body as _;

use crate::connector::{Connector, HTTP1, HTTP2};
use crate::dial::Dialer;
use crate::target::{Target, TargetError};

pub use error::{Failed, Phase, TransportError};
pub use upgrade::{Tunnel, Upgraded};

use http1::{Http1, Lost};
use pool::{Lane, Pool};

/// How often a request goes to another stream because the connection of the one that it was given was closed before it was
/// sent.
const MAX_ATTEMPTS: usize = 8;

/// The bounds of one transport, and what it speaks.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// How long to wait for a place among the connections, and then for the TLS handshake.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How old a connection to a DNS name may be and still be used for another request: the name may mean another
    /// machine by then. Addresses mean what they are, and have no such limit.
    pub max_age: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// How many connections there may be at once, tunnels included.
    pub max_connections: usize,
    /// Offers HTTP/2 in the TLS handshake and speaks it with a backend that takes it. For many answers that last, such as
    /// watches: they then share connections. Not for plain requests: one by one they cost more CPU (half as much again),
    /// large bodies a fifth more; and though many small ones at once cost somewhat less, all on a connection wait for
    /// one lock, one socket and each other's windows. `cargo run --example cost` measures it.
    pub http2: bool,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            max_age: Duration::from_secs(300),
            max_idle: 256,
            max_connections: 1024,
            http2: false,
        }
    }
}

/// A client of one backend. Never follows a redirect: where to connect is the target's to say, not an answer's.
pub struct Transport {
    pool: Arc<Pool>,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
}

impl Transport {
    /// A client of `target` that dials by `dialer`. Connects only when the first request is sent.
    ///
    /// # Errors
    /// [`TargetError`] when host or TLS options cannot be used.
    pub fn new(target: Target, dialer: Dialer, options: &TransportOptions) -> Result<Self, TargetError> {
        let scheme = if target.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = target.address.authority()?;
        let host =
            HeaderValue::from_str(authority.as_str()).expect("an authority is made of visible characters");
        let protocols: &[&[u8]] = if options.http2 { &[HTTP2, HTTP1] } else { &[HTTP1] };
        let connector = Connector::new(target, dialer, options.connect_timeout, protocols)?;
        Ok(Self { pool: Pool::new(connector, options.clone()), scheme, authority, host })
    }

    /// Sends a request and gives the answer as soon as its head is there; both bodies stream. Of the URI only path
    /// and query count. A `Host` header that is there is kept, else it is the target's.
    ///
    /// # Errors
    /// [`Failed`], with the phase that failed, and the request when it is certain that nothing of it was sent. There is
    /// no time limit on the answer: the caller has the request's deadline.
    pub async fn send(&self, mut request: Request) -> Result<Response, Failed> {
        self.prepare(&mut request);
        let costly = !request.method().is_safe() || !request.body().is_end_stream();
        let mut attempts = 0;
        loop {
            attempts += 1;
            // What is rare is on the heap, so that the place of this future is small for all the others.
            let lane = match self.pool.ready() {
                Some(lane) => Ok(lane),
                None => Box::pin(self.pool.lane()).await,
            };
            let lane = match lane {
                Ok(lane) => lane,
                Err(error) => return Err(Failed { error, request: Some(Box::new(request)) }),
            };
            let (fresh, used) = (matches!(lane, Lane::New(_)), matches!(lane, Lane::Used(_)));
            let outcome = match lane {
                Lane::New(connection) | Lane::Used(connection) => {
                    if !fresh {
                        // Where one was closed, others may be: a backend that ends leaves none.
                        connection.be_careful(costly || attempts > 1);
                    }
                    connection.exchange(request, Arc::downgrade(&self.pool)).await
                }
                Lane::Stream(stream) => {
                    self.make_absolute(&mut request);
                    Box::pin(stream.exchange(request)).await
                }
            };
            match outcome.map_err(|lost| self.failed(lost)) {
                // The connection was closed before the request was taken. Each time one less is kept, so that the last
                // attempt has a new one.
                Err(Failed { request: Some(back), .. }) if used || (!fresh && attempts < MAX_ATTEMPTS) => {
                    request = *back
                }
                outcome => return outcome,
            }
        }
    }

    /// Sends a request for an upgrade over a connection of its own, made as all connections of this transport are. The
    /// request must have `Connection: Upgrade` and `Upgrade`.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn upgrade(&self, mut request: Request) -> Result<Upgraded, Failed> {
        self.prepare(&mut request);
        match self.connection_for_upgrade().await {
            Ok(connection) => connection.upgrade(request).await.map_err(|lost| self.failed(lost)),
            Err(error) => Err(Failed { error, request: Some(Box::new(request)) }),
        }
    }

    /// Makes a connection as a request would, and closes it: whether the backend can be reached, and is trusted.
    ///
    /// # Errors
    /// [`TransportError`], with the phase that failed.
    pub async fn reach(&self) -> Result<(), TransportError> {
        let _place = self.pool.place().await?;
        self.pool.connector.open_http1().await.map(drop)
    }

    async fn connection_for_upgrade(&self) -> Result<Box<Http1>, TransportError> {
        let place = self.pool.place().await?;
        let stream = self.pool.connector.open_http1().await?;
        Http1::new(stream, place).await.map_err(|why| self.pool.broken(why))
    }

    /// When the certificate expires that the backend showed last; `None` before the first handshake, and without TLS.
    pub fn certificate_expiry(&self) -> Option<SystemTime> {
        self.pool.connector.not_after()
    }

    /// Makes the request one of HTTP/1.1 to a server: a path, and the name of the host in a header.
    fn prepare(&self, request: &mut Request) {
        *request.version_mut() = Version::HTTP_11;
        let uri = request.uri();
        if uri.authority().is_some() || uri.path_and_query().is_none() {
            let path = uri.path_and_query().cloned();
            *request.uri_mut() = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        }
        request.headers_mut().entry(header::HOST).or_insert_with(|| self.host.clone());
    }

    /// Makes the request one of HTTP/2, which has the host in the URI and nowhere else.
    fn make_absolute(&self, request: &mut Request) {
        *request.version_mut() = Version::HTTP_2;
        let host = request.headers_mut().remove(header::HOST);
        let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(authority.unwrap_or_else(|| self.authority.clone()))
            .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
            .build()
            .expect("scheme, authority and path, each already valid, make a URI");
    }

    fn failed(&self, mut lost: Lost) -> Failed {
        let request = lost.take_message().map(|mut request| {
            self.restore(&mut request);
            Box::new(request)
        });
        Failed { error: self.pool.broken(lost.into_error()), request }
    }

    /// Undoes [`Self::make_absolute`], for whoever sends the request elsewhere.
    fn restore(&self, request: &mut Request) {
        let host =
            request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        if let Some(host) = host {
            request.headers_mut().insert(header::HOST, host);
        }
        self.prepare(request);
    }
}

#[cfg(test)]
mod tests;
