//! A backend is what one APIService asks for: a cluster of endpoints, which APIServices that ask for the same share, and
//! bounds of its own. A change makes a new one while requests under way finish on the old; connections to endpoints that
//! stay are kept, unless our certificate is a new one.

mod backends;
mod refusal;
mod told;

use bytes::Bytes;
use detectviz_client::cluster::{Bounds, Lease, Place};
use detectviz_client::{Class, ClientIdentity, Cluster, Upgraded};
use detectviz_core::BackendPolicy;
use detectviz_core::http::{Body, Held, Request, Response};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::FetchError;
use crate::proxy::headers::{self, HOP};
use backends::Key;

pub(crate) use backends::Backends;
pub(crate) use refusal::SendError;
pub(crate) use told::BackendMetrics;

/// How long a probe or a discovery document may take; upstream's limit for its probe.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// What requests to one APIService are sent to.
pub(crate) struct Backend {
    /// Scheme, host and port, for messages.
    pub(crate) url: String,
    /// The `Host` of every request: the name in the backend's certificate.
    pub(crate) host: HeaderValue,
    /// This server's name in [`HOP`] headers.
    pub(crate) hop: HeaderValue,
    shared: Arc<Shared>,
    policy: BackendPolicy,
    bounds: Arc<Bounds>,
}

/// What backends that ask for the same have in common.
struct Shared {
    key: Key,
    identity: Arc<ClientIdentity>,
    cluster: Cluster,
}

/// The places of a request at the backend and at one of its endpoints.
pub(crate) type Hold = (Place, Lease);

/// A document, or the word that it has not changed.
pub(crate) enum Fetched {
    /// The document, and the entity tag to ask with the next time.
    Document { bytes: Bytes, etag: Option<HeaderValue> },
    /// It is still the one with the entity tag that was sent.
    NotModified,
}

impl Backend {
    /// Sends a request as it is, within the bounds of the APIService; one that is `long_running` takes no connection and
    /// no place from those that are not. The place is held until the answer has been read, or dropped.
    ///
    /// # Errors
    /// [`SendError`], which says whether the request can have had an effect.
    pub(crate) async fn send(&self, request: Request, long_running: bool) -> Result<Response, SendError> {
        let class = if long_running { Class::Stream } else { Class::Request };
        let place = self.bounds.enter(class).await?;
        let exchange = self.shared.cluster.exchange(request, class);
        let outcome = match self.policy.timeout {
            Some(limit) => timeout(limit, exchange).await.map_err(|_| SendError::TimedOut(limit))?,
            None => exchange.await,
        };
        let (answer, lease) = outcome?;
        Ok(answer.map(|body| held(body, (place, lease))))
    }

    /// When the first of the certificates expires that the endpoints have shown, and the one that is shown to them.
    pub(crate) fn expiries(&self) -> [Option<SystemTime>; 2] {
        let endpoints = self.shared.cluster.state().endpoints;
        let shown = endpoints.iter().filter_map(|endpoint| endpoint.certificate_expiry).min();
        [shown, self.shared.identity.expiry()]
    }

    /// Whether any endpoint can be reached, and word of each change, from what requests meet with.
    pub(crate) fn reachable(&self) -> watch::Receiver<bool> {
        self.shared.cluster.reachable()
    }

    /// Sends a request for another protocol over a connection of its own, which is never used for anything else. What comes
    /// with a tunnel is its place, which it holds as long as it lasts.
    ///
    /// # Errors
    /// [`SendError`], which says whether the request can have had an effect.
    pub(crate) async fn upgrade(&self, request: Request) -> Result<(Upgraded, Option<Hold>), SendError> {
        let place = self.bounds.enter(Class::Stream).await?;
        let asked = self.shared.cluster.upgrade(request);
        let outcome = match self.policy.timeout {
            Some(limit) => timeout(limit, asked).await.map_err(|_| SendError::TimedOut(limit))?,
            None => asked.await,
        };
        let (answer, lease) = outcome?;
        Ok(match answer {
            Upgraded::Refused(answer) => {
                (Upgraded::Refused(answer.map(|body| held(body, (place, lease)))), None)
            }
            switched @ Upgraded::Switched(..) => (switched, Some((place, lease))),
        })
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
            let request = self.own_request(path, accept, known);
            let (response, _lease) = self.shared.cluster.exchange(request, Class::Own).await?;
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

/// The body, which keeps `kept` until it has been read and dropped; or as it is, when the backend has no more to do for it.
fn held(body: Body, kept: impl Send + Unpin + 'static) -> Body {
    if body.ready().is_some() { body } else { Body::stream(Held::new(body, kept)) }
}

#[cfg(test)]
pub(crate) mod tests;
