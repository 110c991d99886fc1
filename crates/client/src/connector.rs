//! How a connection is opened: dial what the policy allows, then TLS, and see what was agreed on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dial::Dialer;
use crate::stream::{Stream, Watched};
use crate::target::{Address, Target, TargetError};
use crate::tls::{self, TlsError, TlsOptions};
use crate::transport::TransportError;

/// The names by which ALPN knows the protocols.
pub(crate) const HTTP1: &[u8] = b"http/1.1";
pub(crate) const HTTP2: &[u8] = b"h2";

/// One fixed target and how to reach it: nothing in a request is ever a reason to dial elsewhere.
pub(crate) struct Connector {
    pub(crate) address: Address,
    pub(crate) tls: Option<Tls>,
    dialer: Dialer,
    /// How long the handshake may take; dialling has the dialer's limit.
    limit: Duration,
    /// When the certificate that was seen last expires, in seconds since 1970; 0 until one was seen.
    not_after: AtomicI64,
}

pub(crate) struct Tls {
    /// Offers what the transport can speak.
    offer: TlsConnector,
    /// Offers HTTP/1.1 alone, the only protocol that is upgraded.
    plain: TlsConnector,
    name: ServerName<'static>,
}

/// A connection, and whether HTTP/2 was agreed on.
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    pub(crate) http2: bool,
}

impl Connector {
    /// Opens connections to `target` that speak one of `protocols`.
    pub(crate) fn new(
        target: Target,
        dialer: Dialer,
        limit: Duration,
        protocols: &[&[u8]],
    ) -> Result<Self, TargetError> {
        let tls = target.tls.as_ref().map(|options| secure(options, protocols)).transpose()?;
        Ok(Self { address: target.address, tls, dialer, limit, not_after: AtomicI64::new(0) })
    }

    /// A connection that speaks whatever both sides like best.
    pub(crate) async fn open(&self) -> Result<Opened, TransportError> {
        self.connect(|tls| &tls.offer).await
    }

    /// A connection that speaks HTTP/1.1.
    pub(crate) async fn open_http1(&self) -> Result<Stream, TransportError> {
        self.connect(|tls| &tls.plain).await.map(|opened| opened.stream)
    }

    async fn connect(&self, choose: fn(&Tls) -> &TlsConnector) -> Result<Opened, TransportError> {
        let socket = Watched::new(self.dialer.open(&self.address).await.map_err(Arc::new)?);
        let Some(tls) = &self.tls else { return Ok(Opened { stream: Stream::Plain(socket), http2: false }) };
        let stream = self.secure(choose(tls), &tls.name, socket).await?;
        let session = stream.get_ref().1;
        if let Some(not_after) = session.peer_certificates().and_then(|chain| tls::not_after(chain.first()?))
        {
            self.not_after.store(not_after, Ordering::Relaxed);
        }
        let http2 = session.alpn_protocol() == Some(HTTP2);
        Ok(Opened { stream: Stream::Tls(Box::new(stream)), http2 })
    }

    async fn secure(
        &self,
        connector: &TlsConnector,
        name: &ServerName<'static>,
        socket: Watched,
    ) -> Result<TlsStream<Watched>, TransportError> {
        let handshake = timeout(self.limit, connector.connect(name.clone(), socket)).await;
        let too_late = || io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
        handshake
            .unwrap_or_else(|_| Err(too_late()))
            .map_err(tls::explain::explain)
            .map_err(|source| TransportError::Tls { target: self.address.clone(), source: Arc::new(source) })
    }

    /// When the backend's certificate expires, as far as one was seen.
    pub(crate) fn not_after(&self) -> Option<SystemTime> {
        let seconds =
            u64::try_from(self.not_after.load(Ordering::Relaxed)).ok().filter(|seconds| *seconds > 0)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

fn secure(options: &TlsOptions, protocols: &[&[u8]]) -> Result<Tls, TlsError> {
    let mut config = options.client_config()?;
    config.alpn_protocols = vec![HTTP1.to_vec()];
    let plain = TlsConnector::from(Arc::new(config.clone()));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Tls { offer: TlsConnector::from(Arc::new(config)), plain, name: options.server_name()? })
}
