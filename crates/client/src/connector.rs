//! What the pool calls for a new connection: a place in the bound, then dial, then TLS.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dial::Dialer;
use crate::target::Address;
use crate::transport::TransportError;

/// Connects to one fixed target, whatever the request's URI says: a URI is never a reason to dial elsewhere.
#[derive(Clone)]
pub(crate) struct Connector(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) address: Address,
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(crate) dialer: Dialer,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) limit: Duration,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let settings = self.0.clone();
        Box::pin(async move { settings.open().await.map(TokioIo::new) })
    }
}

impl Settings {
    async fn open(&self) -> Result<Link, TransportError> {
        let waited = timeout(self.limit, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = waited else {
            return Err(TransportError::Busy { target: self.address.clone() });
        };
        let tcp = self.dialer.open(&self.address).await.map_err(Arc::new)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => tcp,
            Some((connector, name)) => Box::new(self.secure(connector, name, tcp).await?),
        };
        Ok(Link { stream, _place: place })
    }

    async fn secure(
        &self,
        connector: &TlsConnector,
        name: &ServerName<'static>,
        tcp: Box<dyn Stream>,
    ) -> Result<TlsStream<Box<dyn Stream>>, TransportError> {
        let handshake = timeout(self.limit, connector.connect(name.clone(), tcp)).await;
        let too_late = || io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
        handshake
            .unwrap_or_else(|_| Err(too_late()))
            .map_err(|source| TransportError::Tls { target: self.address.clone(), source: Arc::new(source) })
    }
}

/// A socket of either kind, or TLS over one.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that gives its place back when it is closed, be that by the pool or after an upgrade.
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    _place: OwnedSemaphorePermit,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
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
