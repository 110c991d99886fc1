//! The way of a proxied request: refuse what must not travel, rewrite the headers, send, judge the answer's head, and
//! let both bodies stream. Nothing is buffered, nothing is retried once sent.

mod body;
pub(crate) mod headers;
mod response;

use async_trait::async_trait;
use detectviz_api::Status;
use detectviz_core::http::{Request, Response};
use detectviz_core::{Context, Handler, RunContext};
use http::{Method, Uri};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

use crate::backend::{Backend, SendError};
use crate::error::{NOT_IMPLEMENTED, refused, try_later};
use crate::metrics::ProxyMetrics;
use response::End;

/// How long a backend may be silent in the middle of an answer.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// What is counted of a request that nobody waits for any longer.
const GATEWAY_TIMEOUT: u16 = 504;

/// Answers for one remote APIService in one state; another state is another proxy.
pub(crate) struct Proxy {
    /// The APIService's name.
    pub(crate) name: String,
    /// Where requests go, or the reason of its condition.
    pub(crate) backend: Result<Arc<Backend>, &'static str>,
    /// Counts answers.
    pub(crate) metrics: ProxyMetrics,
    /// Told when the backend could not be reached, or gave no answer in time.
    pub(crate) unreachable: Arc<Notify>,
    /// Watches end when it begins to stop.
    pub(crate) context: RunContext,
}

#[async_trait]
impl Handler for Proxy {
    async fn handle(&self, context: Arc<Context>, request: Request) -> Result<Response, Status> {
        let mut awaited = Awaited { proxy: self, code: None };
        let answer = self.forward(&context, request).await;
        awaited.code =
            Some(answer.as_ref().map_or_else(|status| status.code, |response| response.status().as_u16()));
        answer
    }
}

/// A request under way. Counted when dropped: the request's deadline, or a client that goes, drops it before its end.
struct Awaited<'a> {
    proxy: &'a Proxy,
    code: Option<u16>,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if self.code.is_none() {
            self.proxy.unreachable.notify_one();
        }
        self.proxy.metrics.proxied(&self.proxy.name, self.code.unwrap_or(GATEWAY_TIMEOUT));
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
        let long_running = context.info.is_long_running();
        let answer = backend.send(forwarded, long_running).await.map_err(|why| self.failed(&why, &method))?;
        let end = if long_running { End::With(self.context.clone()) } else { End::Idle(IDLE_LIMIT) };
        response::accept(&self.name, answer, end)
    }

    fn unavailable(&self, reason: &str) -> Status {
        try_later(format!(
            "the server is currently unable to handle the request: APIService {:?} is not available: {reason}",
            self.name
        ))
    }

    /// No answer came.
    fn failed(&self, why: &SendError, method: &Method) -> Status {
        tracing::debug!(apiservice = self.name, phase = ?why.phase(), error = %why, "no answer of a backend");
        if !why.is_busy() {
            self.unreachable.notify_one();
        }
        why.status(&self.name, method)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::tests::{at, backends, write_identity};
    use detectviz_api::{Identity, RequestInfo};
    use detectviz_core::http::Body;
    use detectviz_core::metrics::Metrics;

    #[tokio::test]
    async fn a_request_that_is_given_up_is_counted_and_has_the_backend_checked() {
        let folder = tempfile::tempdir().unwrap();
        write_identity(folder.path());
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let registry = Metrics::default();
        let metrics = ProxyMetrics::register(&registry);
        metrics.available("v1.a", true);
        let backend = backends(folder.path()).get(&at("127.0.0.1", port)).await;
        let unreachable = Arc::<Notify>::default();
        let proxy = Proxy {
            name: "v1.a".to_owned(),
            backend: backend.map_err(|why| why.reason()),
            metrics,
            unreachable: Arc::clone(&unreachable),
            context: RunContext::new(Arc::default()),
        };
        let info = RequestInfo::parse(&Method::GET, "/apis/a/v1/things", None).unwrap();
        let context = Arc::new(Context { info, identity: Identity::authenticated("jane", []) });
        let answer = proxy.handle(context, Request::new(Body::empty()));
        assert!(tokio::time::timeout(Duration::ZERO, answer).await.is_err(), "nothing answers");
        let notified = tokio::time::timeout(Duration::from_secs(60), unreachable.notified()).await;
        assert!(notified.is_ok(), "the backend should be checked");
        let text = registry.render();
        assert!(text.contains(r#"aggregator_proxied_requests_total{name="v1.a",code="504"} 1"#), "{text}");
    }
}
