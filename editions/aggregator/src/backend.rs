//! A backend is an endpoint with a client kept for it. Backends are made once for equal endpoints and shared; a new
//! certificate of ours, or a changed endpoint, makes a new one while requests under way finish on the old.

use bytes::Bytes;
use detectviz_api::names::check_dns_subdomain;
use detectviz_client::{
    Address, ClientIdentity, Dialer, Failed, Phase, Target, TargetError, TlsOptions, Transport,
    TransportOptions,
};
use detectviz_core::http::{Body, Request, Response};
use http::{HeaderValue, StatusCode, header};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

use crate::error::{BuildError, FetchError, Unavailable};
use crate::front_proxy::FrontProxy;
use crate::proxy::headers::{self, HOP};
use crate::spec::Endpoint;

/// How long a probe or a discovery document may take; upstream's limit for its probe.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections probes and discovery use at most; several APIServices may share a backend.
const OWN_CONNECTIONS: usize = 8;

/// The client of one endpoint.
pub(crate) struct Backend {
    /// Scheme, host and port, for messages.
    pub(crate) url: String,
    /// The `Host` of every request: the name in the backend's certificate.
    pub(crate) host: HeaderValue,
    /// This server's name in [`HOP`] headers.
    pub(crate) hop: HeaderValue,
    transport: Transport,
    /// Connections of watches, each of which keeps one for as long as it lasts.
    watches: Transport,
    /// Connections of our own, so that a backend whose connections are all in use still passes its probe.
    own: Transport,
    identity: Arc<ClientIdentity>,
}

/// A document, or the word that it has not changed.
pub(crate) enum Fetched {
    /// The document, and the entity tag to ask with the next time.
    Document { bytes: Bytes, etag: Option<HeaderValue> },
    /// It is still the one with the entity tag that was sent.
    NotModified,
}

impl Backend {
    /// Sends a request as it is; one that is `long_running` takes no connection from those that are not.
    ///
    /// # Errors
    /// [`Failed`] with the phase that failed.
    pub(crate) async fn send(&self, request: Request, long_running: bool) -> Result<Response, Failed> {
        let transport = if long_running { &self.watches } else { &self.transport };
        transport.send(request).await
    }

    /// The document at `path`, asked for under the aggregator's own identity. Redirects are not followed: they fail
    /// like any status code that is no success.
    ///
    /// # Errors
    /// [`FetchError`]; the text carries nothing of the answer's body.
    pub(crate) async fn fetch(
        &self,
        path: &str,
        accept: &'static str,
        known: Option<&HeaderValue>,
        limit: usize,
    ) -> Result<Fetched, FetchError> {
        let fetch = async {
            let response = self.ask(path, accept, known).await.map_err(|failed| failed.error)?;
            match response.status() {
                StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Fetched::NotModified),
                code if !code.is_success() => {
                    return Err(FetchError::Code { url: format!("{}{path}", self.url), code: code.as_u16() });
                }
                _ => {}
            }
            let etag = response.headers().get(header::ETAG).cloned();
            Ok(Fetched::Document { bytes: response.into_body().collect(limit).await?, etag })
        };
        tokio::time::timeout(FETCH_TIMEOUT, fetch).await.unwrap_or(Err(FetchError::TimedOut(FETCH_TIMEOUT)))
    }

    /// Asks again where a connection broke: the backend may have closed a kept one at that very moment.
    async fn ask(
        &self,
        path: &str,
        accept: &'static str,
        known: Option<&HeaderValue>,
    ) -> Result<Response, Failed> {
        match self.own.send(self.own_request(path, accept, known)).await {
            Err(why) if why.phase() == Phase::Send => {
                self.own.send(self.own_request(path, accept, known)).await
            }
            outcome => outcome,
        }
    }

    fn own_request(&self, path: &str, accept: &'static str, known: Option<&HeaderValue>) -> Request {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a group-version's path is a URI");
        let fields = request.headers_mut();
        fields.insert(header::HOST, self.host.clone());
        fields.insert(header::ACCEPT, HeaderValue::from_static(accept));
        fields.insert(HOP, self.hop.clone());
        fields.extend(known.map(|etag| (header::IF_NONE_MATCH, etag.clone())));
        headers::set_aggregator_identity(fields);
        request
    }
}

/// Makes backends and remembers those in use.
pub(crate) struct Backends {
    dialer: Dialer,
    /// The bounds of each transport.
    options: TransportOptions,
    front_proxy: FrontProxy,
    hop: HeaderValue,
    in_use: Mutex<HashMap<Endpoint, Weak<Backend>>>,
}

impl Backends {
    /// Backends that are dialled by `dialer` and shown the certificate in `files` (certificate, key).
    pub(crate) fn new(dialer: Dialer, files: (PathBuf, PathBuf)) -> Self {
        let hop = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
        Self {
            dialer,
            options: TransportOptions::default(),
            front_proxy: FrontProxy::new(files),
            hop: hop.expect("a UUID is made of visible characters"),
            in_use: Mutex::default(),
        }
    }

    /// The backend at `endpoint`: the one in use, if nothing about it changed.
    ///
    /// # Errors
    /// When the endpoint cannot be a backend, or our own certificate cannot be read.
    pub(crate) async fn get(&self, endpoint: &Endpoint) -> Result<Arc<Backend>, Unavailable> {
        let fail = |why: &BuildError| Unavailable::Backend { url: endpoint.url(), why: why.to_string() };
        let identity = self.front_proxy.load().await.map_err(|why| fail(&why))?;
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(have) = in_use.get(endpoint).and_then(Weak::upgrade)
            && Arc::ptr_eq(&have.identity, &identity)
        {
            return Ok(have);
        }
        let made = Arc::new(self.make(endpoint, identity).map_err(|why| fail(&why))?);
        in_use.retain(|_, backend| backend.strong_count() > 0);
        in_use.insert(endpoint.clone(), Arc::downgrade(&made));
        Ok(made)
    }

    /// Follows the files of our own certificate, for as long as it is polled.
    pub(crate) async fn watch_identity(&self) {
        self.front_proxy.watch().await;
    }

    /// Changes whenever our own certificate was renewed: backends are to be asked for again.
    pub(crate) fn renewals(&self) -> watch::Receiver<u64> {
        self.front_proxy.renewals()
    }

    fn make(&self, endpoint: &Endpoint, identity: Arc<ClientIdentity>) -> Result<Backend, BuildError> {
        let tls = TlsOptions {
            ca_bundle_pem: endpoint.ca_bundle.clone(),
            server_name: endpoint.server_name.clone(),
            insecure_skip_verify: endpoint.insecure,
            client_identity: Some(Arc::clone(&identity)),
            ..TlsOptions::default()
        };
        let address = endpoint.addresses.first().cloned().expect("an endpoint has an address");
        let tls = matches!(address, Address::Tcp { .. }).then_some(tls);
        let target = Target { address, tls };
        let few = TransportOptions { max_connections: OWN_CONNECTIONS, ..self.options.clone() };
        let connect = |options| Transport::new(target.clone(), self.dialer.clone(), options);
        let (transport, watches, own) = (connect(&self.options)?, connect(&self.options)?, connect(&few)?);
        let host = endpoint.server_name.clone();
        if check_dns_subdomain(&host).is_err() {
            return Err(TargetError::Host { host }.into());
        }
        let host = HeaderValue::from_str(&host).expect("a DNS name is made of visible characters");
        Ok(Backend { url: endpoint.url(), host, hop: self.hop.clone(), transport, watches, own, identity })
    }
}

#[cfg(test)]
pub(crate) mod tests;
