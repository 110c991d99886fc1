//! The way of a proxied request: refuse what must not travel, rewrite the headers, send, judge the answer's head, and
//! let both bodies stream. Nothing is buffered, nothing is retried once sent.

mod body;
mod caller;
mod expect;
pub(crate) mod headers;
mod response;
mod trace;
mod tunnel;
mod upgrade;

use async_trait::async_trait;
use detectviz_api::Status;
use detectviz_client::{Phase, Upgraded};
use detectviz_core::http::{Request, Response};
use detectviz_core::{Context, Handler, RunContext};
use http::{Method, Uri};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

use crate::backend::{Backend, Hold, SendError};
use crate::error::try_later;
use crate::metrics::{Fault, Numbers};
use response::End;
use trace::Trace;
use tunnel::Tunnel;
use upgrade::Wanted;

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
    /// What is counted of it.
    pub(crate) numbers: Arc<Numbers>,
    /// Told when the backend could not be reached, or gave no answer in time.
    pub(crate) unreachable: Arc<Notify>,
    /// Watches and tunnels end when it begins to stop.
    pub(crate) context: RunContext,
    /// How long tunnels may then go on.
    pub(crate) grace: Duration,
}

#[async_trait]
impl Handler for Proxy {
    async fn handle(&self, context: Arc<Context>, request: Request) -> Result<Response, Status> {
        let mut awaited = Awaited { proxy: self, since: Instant::now(), code: None };
        let answer = self.forward(&context, request).await;
        awaited.code =
            Some(answer.as_ref().map_or_else(|status| status.code, |response| response.status().as_u16()));
        answer
    }
}

/// A request under way. Counted when dropped: the request's deadline, or a client that goes, drops it before its end.
struct Awaited<'a> {
    proxy: &'a Proxy,
    since: Instant,
    code: Option<u16>,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let Proxy { numbers, unreachable, .. } = self.proxy;
        if self.code.is_none() {
            unreachable.notify_one();
            numbers.failed(Fault::GivenUp);
        }
        numbers.answered(self.code.unwrap_or(GATEWAY_TIMEOUT), self.since.elapsed());
    }
}

impl Proxy {
    async fn forward(&self, context: &Context, request: Request) -> Result<Response, Status> {
        let backend = self.backend.as_ref().map_err(|reason| self.unavailable(reason))?;
        let wanted = upgrade::wanted(&request)?;
        let request = self.rewritten(context, request, backend, wanted.as_ref())?;
        let method = request.method().clone();
        if let Some(wanted) = wanted {
            let answer =
                Box::pin(backend.upgrade(request)).await.map_err(|why| self.failed(&why, &method))?;
            return self.switched(&wanted, answer);
        }
        let long_running = context.info.is_long_running();
        let answer = backend.send(request, long_running).await.map_err(|why| self.failed(&why, &method))?;
        self.accept(answer, if long_running { End::With(&self.context) } else { End::Idle(IDLE_LIMIT) })
    }

    /// The request as the backend gets it.
    fn rewritten(
        &self,
        context: &Context,
        request: Request,
        backend: &Backend,
        wanted: Option<&Wanted>,
    ) -> Result<Request, Status> {
        let (parts, body) = request.into_parts();
        let mut fields = parts.headers;
        let trace = Trace::of(&fields, &context.identity);
        let expects = expect::is_asked(&fields);
        headers::rewrite(&mut fields, &context.identity, (&backend.host, &backend.hop))?;
        trace.go_on(&mut fields, &self.name);
        if let Some(wanted) = wanted {
            wanted.ask(&mut fields);
        }
        let mut forwarded = Request::new(body::sent(body, &self.numbers));
        *forwarded.method_mut() = parts.method;
        *forwarded.uri_mut() = checked_uri(context, parts.uri)?;
        *forwarded.headers_mut() = fields;
        if expects {
            expect::ask(&mut forwarded);
        }
        Ok(forwarded)
    }

    /// Judges the answer to a request for another protocol.
    fn switched(
        &self,
        wanted: &Wanted,
        (answer, hold): (Upgraded, Option<Hold>),
    ) -> Result<Response, Status> {
        let (answer, stream) = match answer {
            Upgraded::Switched(answer, stream) => (answer, stream),
            Upgraded::Refused(answer) => return self.accept(answer, End::Idle(IDLE_LIMIT)),
        };
        let tunnel = Tunnel::new(Box::new(stream), &self.numbers, hold, (self.context.clone(), self.grace));
        let accepted = wanted.accept(&self.name, answer.into_parts().0.headers, tunnel);
        accepted.inspect_err(|_| self.numbers.failed(Fault::Refused))
    }

    fn accept(&self, answer: Response, end: End<'_>) -> Result<Response, Status> {
        let accepted = response::accept(&self.name, answer, &self.numbers, end);
        accepted.inspect_err(|_| self.numbers.failed(Fault::Refused))
    }

    fn unavailable(&self, reason: &str) -> Status {
        self.numbers.failed(Fault::Unavailable);
        try_later(format!(
            "the server is currently unable to handle the request: APIService {:?} is not available: {reason}",
            self.name
        ))
    }

    /// No answer came.
    fn failed(&self, why: &SendError, method: &Method) -> Status {
        self.numbers.failed(fault(why));
        tracing::debug!(apiservice = self.name, phase = ?why.phase(), error = %why, "no answer of a backend");
        if !why.is_busy() {
            self.unreachable.notify_one();
        }
        why.status(&self.name, method)
    }
}

fn fault(why: &SendError) -> Fault {
    match why.phase() {
        _ if why.is_busy() => Fault::Busy,
        None => Fault::Busy,
        Some(Phase::Resolve) => Fault::Resolve,
        Some(Phase::Policy) => Fault::Policy,
        Some(Phase::Connect) => Fault::Connect,
        Some(Phase::Tls) => Fault::Tls,
        Some(Phase::Send) => Fault::Send,
    }
}

/// The path that was authorized, and the query as sent.
fn checked_uri(context: &Context, sent: Uri) -> Result<Uri, Status> {
    let path = &context.info.path;
    if sent.path() == &**path && sent.authority().is_none() {
        return Ok(sent);
    }
    let text = sent.query().map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
    text.parse().map_err(Status::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::tests::{at, backends, write_identity};
    use crate::metrics::ProxyMetrics;
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
        let backend = backends(folder.path()).get(&at("127.0.0.1", port)).await;
        let unreachable = Arc::<Notify>::default();
        let proxy = Proxy {
            name: "v1.a".to_owned(),
            backend: backend.map_err(|why| why.reason()),
            numbers: metrics.of("v1.a"),
            unreachable: Arc::clone(&unreachable),
            context: RunContext::new(Arc::default()),
            grace: Duration::ZERO,
        };
        let info = RequestInfo::parse(&Method::GET, "/apis/a/v1/things", None).unwrap();
        let context = Arc::new(Context { info, identity: Identity::authenticated("jane", []).into() });
        let answer = proxy.handle(context, Request::new(Body::empty()));
        assert!(tokio::time::timeout(Duration::ZERO, answer).await.is_err(), "nothing answers");
        let notified = tokio::time::timeout(Duration::from_secs(60), unreachable.notified()).await;
        assert!(notified.is_ok(), "the backend should be checked");
        let text = registry.render();
        assert!(text.contains(r#"detectviz_aggregator_requests_total{name="v1.a",code="504"} 1"#), "{text}");
    }
}
