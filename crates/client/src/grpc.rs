//! gRPC to one address of the configuration: a channel is one HTTP/2 connection that is made when it is first needed, and
//! made again when it broke. What is sent on a broken connection fails; whether to send it again is the caller's to say.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use crate::connector::{Connector, HTTP2};
use crate::dial::Dialer;
use crate::stream::Stream;
use crate::target::{Target, TargetError};
use crate::transport::TransportError;

/// Connections of one channel at once: the one in use, and one that is being closed.
const CONNECTIONS: usize = 2;
/// What a server may send before it is read: of one stream, and of all.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The bounds of one channel.
#[derive(Clone, Copy, Debug)]
pub struct GrpcOptions {
    /// How long the TLS handshake may take, after the dialer's own limit.
    pub connect_timeout: Duration,
    /// How often the server is asked for a sign of life while a call is under way. Servers of grpc-go end a connection
    /// that asks more often than every 5 s.
    pub keep_alive_interval: Duration,
    /// How long the sign may take before the connection counts as dead.
    pub keep_alive_timeout: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(5),
        }
    }
}

/// A channel to `target` that dials by `dialer`. Must be called within a runtime.
///
/// # Errors
/// [`TargetError`] when host or TLS options cannot be used.
pub fn channel(target: Target, dialer: Dialer, options: &GrpcOptions) -> Result<Channel, TargetError> {
    let host = || TargetError::Host { host: target.address.to_string() };
    let uri = format!("http://{}", target.address.authority()?);
    let endpoint = Endpoint::from_shared(uri).map_err(|_| host())?;
    // gRPC is HTTP/2 and nothing else.
    let connector = Connector::new(target, dialer, options.connect_timeout, &[HTTP2])?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connector = Dial { connector: Arc::new(connector), places, limit: options.connect_timeout };
    let endpoint = endpoint
        .http2_keep_alive_interval(options.keep_alive_interval)
        .keep_alive_timeout(options.keep_alive_timeout)
        .keep_alive_while_idle(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// What a channel calls for a new connection.
#[derive(Clone)]
struct Dial {
    connector: Arc<Connector>,
    places: Arc<Semaphore>,
    /// How long to wait for a place.
    limit: Duration,
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Link>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { connector, places, limit } = self.clone();
        Box::pin(async move {
            let Ok(Ok(place)) = timeout(limit, places.acquire_owned()).await else {
                return Err(TransportError::Busy { target: connector.address.clone() });
            };
            let stream = connector.open().await?.stream;
            Ok(TokioIo::new(Link { stream, _place: place }))
        })
    }
}

/// A connection that gives its place back when it is closed.
struct Link {
    stream: Stream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
