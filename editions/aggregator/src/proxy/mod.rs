//! The way of a proxied request: refuse what must not travel, rewrite the headers, send, judge the answer's head, and
//! let both bodies stream. Nothing is buffered, nothing is retried once sent.

mod body;
pub(crate) mod headers;
mod response;

use async_trait::async_trait;
use detectviz_api::Status;
use detectviz_client::{Phase, TransportError};
use detectviz_core::http::{Request, Response};
use detectviz_core::{Context, Handler, RunContext};
use http::{Method, Uri};
use std::sync::Arc;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::error::{BAD_GATEWAY, NOT_IMPLEMENTED, refused, try_later};
use crate::metrics::ProxyMetrics;

/// Answers for one remote APIService in one state; another state is another proxy.
pub(crate) struct Proxy {
    /// The APIService's name.
    pub(crate) name: String,
    /// Where requests go, or the reason of its condition.
    pub(crate) backend: Result<Arc<Backend>, &'static str>,
    /// Counts answers.
    pub(crate) metrics: ProxyMetrics,
    /// Told when the backend could not be reached.
    pub(crate) unreachable: Arc<Notify>,
    /// Long answers end with it.
    pub(crate) context: RunContext,
}

#[async_trait]
impl Handler for Proxy {
    async fn handle(&self, context: Arc<Context>, request: Request) -> Result<Response, Status> {
        let answer = self.forward(&context, request).await;
        let code = answer.as_ref().map_or_else(|status| status.code, |response| response.status().as_u16());
        self.metrics.proxied(&self.name, code);
        answer
    }
}

impl Proxy {
    async fn forward(&self, context: &Context, request: Request) -> Result<Response, Status> {
        let backend = self.backend.as_ref().map_err(|reason| self.unavailable(reason))?;
        refuse_upgrade(&request)?;
        let (parts, body) = request.into_parts();
        let (method, mut fields) = (parts.method, parts.headers);
        headers::rewrite(&mut fields, &context.identity, (&backend.host, &backend.hop))?;
        let mut forwarded = Request::new(body::without_forged_trailers(body));
        *forwarded.method_mut() = method.clone();
        *forwarded.uri_mut() = checked_uri(context, parts.uri.query())?;
        *forwarded.headers_mut() = fields;
        let answer = backend.send(forwarded).await.map_err(|why| self.failed(&why, &method))?;
        let end = context.info.is_long_running().then(|| self.context.clone());
        response::accept(&self.name, answer, end)
    }

    fn unavailable(&self, reason: &str) -> Status {
        try_later(format!(
            "the server is currently unable to handle the request: APIService {:?} is not available: {reason}",
            self.name
        ))
    }

    /// No answer came. Only a request that cannot have had an effect is one to try again.
    fn failed(&self, why: &TransportError, method: &Method) -> Status {
        // That all connections are in use says nothing about the backend's health.
        if !matches!(why, TransportError::Busy { .. }) {
            self.unreachable.notify_one();
        }
        let message = format!(
            "the server is currently unable to handle the request: cannot reach APIService {:?}: {}",
            self.name,
            why.report()
        );
        if why.phase() == Phase::Send && !method.is_safe() {
            return refused(BAD_GATEWAY, format!("{message}; it may have been executed"));
        }
        try_later(message)
    }
}

/// The path that was authorized, and the query as sent.
fn checked_uri(context: &Context, query: Option<&str>) -> Result<Uri, Status> {
    let path = &context.info.path;
    let text = query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
    text.parse().map_err(Status::internal)
}

/// An upgraded connection would leave the proxy's control (CVE-2018-1002105); there is no tunnel yet.
fn refuse_upgrade(request: &Request) -> Result<(), Status> {
    if request.method() == Method::CONNECT || request.headers().contains_key(http::header::UPGRADE) {
        let message =
            "connections cannot be upgraded through the aggregator: send the request without Upgrade";
        return Err(refused(NOT_IMPLEMENTED, message));
    }
    Ok(())
}
