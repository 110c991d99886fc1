//! HTTP/1.1 to one backend, over connections that are kept and reused. Make one transport a backend and keep it;
//! when the backend changes, make another and drop the old one.
//!
//! Who ends the connection tasks: each serves one connection and ends when the transport is dropped and the
//! answers under way on it are read or dropped. None outlives both.

use std::error::Error as _;
use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use detectviz_core::http::{Body, Request, Response};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Uri, Version};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::connector::{Connector, Settings};
use crate::dial::{DialError, Dialer};
use crate::tls::{TlsError, TlsOptions};

/// The only protocol that a transport offers.
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Where a backend is, and how it proves that it is the one.
#[derive(Clone, Debug)]
pub struct Target {
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// `None` is plain HTTP.
    pub tls: Option<TlsOptions>,
}

/// The bounds of one transport.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// How long to wait for a place among the connections, and then for the TLS handshake.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// How many connections there may be at once, upgraded ones included.
    pub max_connections: usize,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            max_idle: 25,
            max_connections: 1024,
        }
    }
}

/// Why a target cannot be talked to at all.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The host is neither a DNS name nor an IP address.
    #[error("host {host:?} must be a DNS name or an IP address")]
    Host {
        /// The host as given.
        host: String,
    },
    /// The TLS options do not work.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How far a request came that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The name means nothing.
    Resolve,
    /// The policy does not let us dial it.
    Policy,
    /// No connection, or none in time, or none free.
    Connect,
    /// A connection, but the two sides do not trust each other.
    Tls,
    /// A connection, but it broke before the answer's head was there. The backend may have acted.
    Send,
}

/// Why there is no answer. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made.
    #[error(transparent)]
    Dial(#[from] Arc<DialError>),
    /// All connections are in use, for longer than the connect timeout.
    #[error("wait for a connection to {target}: all are in use")]
    Busy {
        /// Host and port.
        target: String,
    },
    /// The handshake failed.
    #[error("negotiate TLS with {target}")]
    Tls {
        /// Host and port.
        target: String,
        /// What the TLS layer said.
        source: Arc<io::Error>,
    },
    /// The exchange failed.
    #[error("send the request to {target}")]
    Send {
        /// Host and port.
        target: String,
        /// What the HTTP layer said.
        source: Arc<legacy::Error>,
    },
}

impl TransportError {
    /// How far the request came.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Dial(error) => match **error {
                DialError::Resolve { .. } => Phase::Resolve,
                DialError::Refused { .. } => Phase::Policy,
                DialError::Connect { .. } | DialError::Timeout { .. } => Phase::Connect,
            },
            Self::Busy { .. } => Phase::Connect,
            Self::Tls { .. } => Phase::Tls,
            Self::Send { .. } => Phase::Send,
        }
    }

    /// The error and all its causes in one line, for a condition's message.
    pub fn report(&self) -> String {
        let (mut line, mut cause) = (self.to_string(), self.source());
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        line
    }
}

/// A client of one backend. Never follows a redirect: where to connect is the target's to say, not an answer's.
pub struct Transport {
    client: legacy::Client<Connector, Body>,
    settings: Arc<Settings>,
    scheme: Scheme,
    authority: Authority,
}

impl Transport {
    /// A client of `target` that dials by `dialer`. Connects only when the first request is sent.
    ///
    /// # Errors
    /// [`TargetError`] when host or TLS options cannot be used.
    pub fn new(target: Target, dialer: Dialer, options: &TransportOptions) -> Result<Self, TargetError> {
        let scheme = if target.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = authority(&target.host, target.port)?;
        let settings = Arc::new(Settings {
            tls: target.tls.as_ref().map(|options| secure(options, ALPN_HTTP1)).transpose()?,
            host: target.host,
            port: target.port,
            dialer,
            places: Arc::new(Semaphore::new(options.max_connections)),
            limit: options.connect_timeout,
        });
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.max_idle)
            .build(Connector(settings.clone()));
        Ok(Self { client, settings, scheme, authority })
    }

    /// Sends a request and gives the answer as soon as its head is there; both bodies stream. Of the URI only path
    /// and query count. A `Host` header that is there is kept, else it is the target's.
    ///
    /// The answer to an upgrade carries the connection: `hyper::upgrade::on` takes it.
    ///
    /// # Errors
    /// [`TransportError`], with the phase that failed. A request is sent again only when it is certain that nothing
    /// of it was sent. There is no time limit on the answer: the caller has the request's deadline.
    pub async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = self.absolute(request.uri());
        match self.client.request(request).await {
            Ok(response) => Ok(response.map(Body::stream)),
            Err(error) => Err(self.explain(error)),
        }
    }

    fn absolute(&self, uri: &Uri) -> Uri {
        let root = || PathAndQuery::from_static("/");
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(uri.path_and_query().cloned().unwrap_or_else(root))
            .build()
            .expect("scheme, authority and path, each already valid, make a URI")
    }

    fn explain(&self, error: legacy::Error) -> TransportError {
        match error.source().and_then(|cause| cause.downcast_ref::<TransportError>()) {
            Some(ours) => ours.clone(),
            None => TransportError::Send { target: self.settings.target(), source: Arc::new(error) },
        }
    }
}

pub(crate) fn authority(host: &str, port: u16) -> Result<Authority, TargetError> {
    let bare = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
    let parsed = format!("{bare}:{port}").parse::<Authority>().ok();
    // The parser also takes an empty host and `user@host`.
    parsed
        .filter(|authority| !bare.is_empty() && authority.host() == bare)
        .ok_or_else(|| TargetError::Host { host: host.to_owned() })
}

/// What TLS needs to speak one application protocol.
pub(crate) fn secure(
    options: &TlsOptions,
    protocol: &[u8],
) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let mut config = options.client_config()?;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok((TlsConnector::from(Arc::new(config)), options.server_name()?))
}

#[cfg(test)]
mod tests;
