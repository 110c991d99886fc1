//! HTTP/1.1 to one backend, over connections that are kept and reused. Make one transport a backend and keep it;
//! when the backend changes, make another and drop the old one.
//!
//! Who ends the connection tasks: each serves one connection and ends when the transport is dropped and the
//! answers under way on it are read or dropped. None outlives both.

mod error;

use std::error::Error as _;
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
use crate::dial::Dialer;
use crate::target::{Target, TargetError};
use crate::tls::{TlsError, TlsOptions};

pub use error::{Failed, Phase, TransportError};

/// The only protocol that a transport offers.
const ALPN_HTTP1: &[u8] = b"http/1.1";

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
        let authority = target.address.authority()?;
        let settings = Arc::new(Settings {
            tls: target.tls.as_ref().map(|options| secure(options, ALPN_HTTP1)).transpose()?,
            address: target.address,
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
    /// [`Failed`], with the phase that failed, and the request when it is certain that nothing of it was sent. There is
    /// no time limit on the answer: the caller has the request's deadline.
    pub async fn send(&self, mut request: Request) -> Result<Response, Failed> {
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = self.absolute(request.uri());
        match self.client.request(request).await {
            Ok(response) => Ok(response.map(Body::stream)),
            Err(error) => Err(Failed { error: self.explain(error), request: None }),
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
            None => {
                TransportError::Send { target: self.settings.address.clone(), source: Arc::new(error.into()) }
            }
        }
    }
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
