//! The way of a request, top to bottom: probe, identify, route, authorize, read the body, serve; a failure anywhere
//! becomes a `Status` in one place.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::delegate::{Access, Delegate};
use crate::identity::{Identity, Refusal, VerifiedPeer};
use crate::negotiate::{self, Representation};
use crate::query::Query;
use crate::respond::{self, Body};
use crate::rest::{self, Call};
use crate::route::{Route, Target, Verb};
use crate::status::Status;
use crate::store::Store;
use crate::tls::Trust;
use crate::{authorize, discovery, openapi, whoami};

/// How many bytes a body may have: 3 MiB, as upstream.
pub(crate) const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// How many bytes beyond that are read before the connection is given up.
const EXCESS_LIMIT: usize = 8 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that a request needs; shared by all connections.
pub(crate) struct App {
    /// Who may speak for users.
    pub(crate) trust: watch::Receiver<Arc<Trust>>,
    /// Whom to ask about tokens and permissions; without one there are no tokens, and permissions are our own rules.
    pub(crate) delegate: Option<Delegate>,
    /// The flights.
    pub(crate) store: Arc<Store>,
    /// Cancelled when the server stops.
    pub(crate) shutdown: CancellationToken,
}

impl App {
    /// Answers one request of a connection whose client certificate, if any, TLS has verified.
    pub(crate) async fn handle(
        &self,
        peer: Option<&VerifiedPeer>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let response =
            self.respond(peer, &parts, body).await.unwrap_or_else(|status| respond::status(&status));
        tracing::debug!(method = %parts.method, path = parts.uri.path(), code = response.status().as_u16(), "answered");
        response
    }

    async fn respond(
        &self,
        peer: Option<&VerifiedPeer>,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Status> {
        let route = Route::parse(parts.uri.path());
        if let Some(response) = public(route, &parts.method) {
            return response;
        }
        let identity = self.identify(peer, parts).await?;
        match route.ok_or_else(Status::no_such_path)? {
            Route::Flights(target) => self.flights(&identity, target, parts, body).await,
            route => {
                if let Some(delegate) = self.delegate.as_ref().filter(|_| route != Route::WhoAmI) {
                    delegate.authorize(&identity, Access::Path(parts.uri.path())).await?;
                }
                document(route, &identity, parts)
            }
        }
    }

    /// Who asks: by the certificate, or by a token that the API server knows.
    async fn identify(&self, peer: Option<&VerifiedPeer>, parts: &Parts) -> Result<Identity, Status> {
        let trust = Arc::clone(&self.trust.borrow());
        let refusal = match trust.front_proxies.identify(peer, &parts.headers) {
            Ok(identity) => return Ok(identity),
            Err(refusal) => refusal,
        };
        if let (Some(delegate), Refusal::NoCertificate, Some(token)) =
            (&self.delegate, &refusal, bearer(&parts.headers))
        {
            match delegate.review_token(token).await {
                Ok(Some(identity)) => return Ok(identity),
                Ok(None) => {}
                Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot ask whose a token is"),
            }
        }
        tracing::info!(path = parts.uri.path(), %refusal, "refused a request without an identity");
        Err(Status::unauthorized())
    }

    async fn flights(
        &self,
        identity: &Identity,
        target: Target<'_>,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Status> {
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let verb =
            Verb::of(&parts.method, target, query.flag("watch")).ok_or_else(Status::method_not_allowed)?;
        match &self.delegate {
            None => authorize::flights(identity, verb, target)?,
            Some(delegate) => {
                let Target { namespace, name } = target;
                delegate.authorize(identity, Access::Flights { verb: verb.name(), namespace, name }).await?;
            }
        }
        let body = if verb.is_read() { Bytes::new() } else { read_body(body).await? };
        let (store, shutdown) = (&self.store, &self.shutdown);
        rest::serve(verb, &Call { store, shutdown, target, query: &query, headers: &parts.headers, body })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// What anyone may read, certificate or not: is it alive, and what is it.
fn public(route: Option<Route<'_>>, method: &Method) -> Option<Result<Response<Body>, Status>> {
    let response = match route? {
        Route::Health => respond::bytes(StatusCode::OK, "text/plain; charset=utf-8", "ok"),
        Route::Version => respond::json(StatusCode::OK, &discovery::version()),
        _ => return None,
    };
    Some(if method == Method::GET { Ok(response) } else { Err(Status::method_not_allowed()) })
}

/// Everything that is read whole and is no flight.
fn document(route: Route<'_>, identity: &Identity, parts: &Parts) -> Result<Response<Body>, Status> {
    if parts.method != Method::GET {
        return Err(Status::method_not_allowed());
    }
    let headers = &parts.headers;
    if route == Route::WhoAmI {
        return Ok(respond::json(StatusCode::OK, &whoami::whoami(identity, headers)));
    }
    authorize::discovery(identity, parts.uri.path())?;
    let value = match route {
        Route::Groups => return groups(parts),
        Route::Group => discovery::group(),
        Route::Resources => discovery::resources(),
        Route::OpenApiIndex => openapi::index(),
        Route::OpenApiDocument => openapi::document(),
        Route::Health | Route::Version | Route::WhoAmI | Route::Flights(_) => {
            return Err(Status::no_such_path());
        }
    };
    Ok(respond::document(headers, respond::JSON, &value))
}

fn groups(parts: &Parts) -> Result<Response<Body>, Status> {
    let offered = [Representation::Discovery, Representation::Object];
    Ok(match negotiate::accept(&parts.headers, &offered)? {
        Representation::Discovery => {
            respond::document(&parts.headers, discovery::AGGREGATED, &discovery::aggregated())
        }
        _ => respond::document(&parts.headers, respond::JSON, &discovery::groups()),
    })
}

/// Reads a body within both limits.
async fn read_body(body: Incoming) -> Result<Bytes, Status> {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |size| size > BODY_LIMIT + EXCESS_LIMIT) {
        return Err(Status::too_large(BODY_LIMIT));
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(body)).await.unwrap_or_else(|_| Err(Status::body_too_slow()))
}

/// Keeps what is within the limit, and reads a bounded excess only to throw it away: an HTTP/1.1 client that is
/// still sending when the connection closes sees a broken pipe instead of the answer.
async fn collect(mut body: Incoming) -> Result<Bytes, Status> {
    let mut kept = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::bad_request(format!("read body: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        size += data.len();
        if size <= BODY_LIMIT {
            kept.extend_from_slice(data);
        } else if size > BODY_LIMIT + EXCESS_LIMIT {
            break;
        }
    }
    if size > BODY_LIMIT { Err(Status::too_large(BODY_LIMIT)) } else { Ok(kept.freeze()) }
}
