//! The way of a request, in execution order. [`Chain::answer`] reads like a table of contents; each layer is a step with
//! a reason, and no step is repeated elsewhere.

mod flow;
mod in_process;
mod layers;
mod measure;
mod render;

pub use flow::{FlowControl, FlowLimits};
pub use in_process::InProcess;
pub use measure::RequestMetrics;
pub use render::status_response;

use detectviz_api::{Identity, RequestInfo, Status};
use detectviz_auth::authenticate::Authenticator;
use detectviz_auth::authorize::Authorizer;
use detectviz_core::http::{Body, Request, Response};
use detectviz_core::tunnel::Upgradable;
use detectviz_core::{Context, Delegate, RunContext};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

use crate::endpoints::Endpoints;

/// What a connection proved before its first request.
pub struct Peer {
    /// The client's certificate in DER, verified against the client CA.
    pub certificate: Option<Vec<u8>>,
    identity: std::sync::OnceLock<Result<Arc<Identity>, Status>>,
    /// The connection's: when it drains, what goes on for as long as a client listens ends.
    context: RunContext,
}

impl Peer {
    /// A peer with or without a verified certificate, whose connection is `context`.
    pub fn new(certificate: Option<Vec<u8>>, context: RunContext) -> Self {
        Self { certificate, identity: std::sync::OnceLock::new(), context }
    }

    /// The body of an answer that has no end of its own, which ends with what the peer proved. Without a certificate it
    /// proved nothing that could end: the body stays as it is.
    fn while_believed(&self, body: Body) -> Body {
        let context = self.context.clone();
        if self.certificate.is_none() { body } else { body.until(async move { context.draining().await }) }
    }
}

/// Everything that a request passes.
pub struct Chain {
    /// Finds out who asks.
    pub authenticator: Arc<Authenticator>,
    /// Decides whether they may.
    pub authorizer: Arc<dyn Authorizer>,
    /// The server's own pages: health, version, discovery, OpenAPI.
    pub endpoints: Endpoints,
    /// The delegates: dataplane, aggregator, core groups, extensions.
    pub delegates: Arc<dyn Delegate>,
    /// What is measured of requests.
    pub metrics: RequestMetrics,
    /// How much may go on at once.
    pub flow: FlowControl,
    /// How long a request may take.
    pub request_timeout: Duration,
}

impl Chain {
    /// Answers a request that came in over a connection. Never fails: every error has become a `Status`.
    pub async fn answer(&self, peer: &Peer, mut request: Request) -> Response {
        let id = layers::request_id();
        let span = tracing::debug_span!("request", id = %id, method = %request.method(), path = request.uri().path());
        let measured = self.metrics.start();
        let head = request.method() == http::Method::HEAD;
        let mut asked = render::Asked::by(&request);
        let mut verb = None;
        let answer = async {
            layers::refuse_two_hosts(&request)?;
            // Parsed once: what is authorized below is what is executed.
            let info = layers::request_info(&request)?;
            verb = Some(info.verb);
            asked.about(&info);
            // Before anything is decided by the caller's name.
            let identity = layers::authenticate(&self.authenticator, peer, &request)?;
            // No header may say who somebody is: identity comes from credentials alone (CVE-2026-61682).
            layers::strip_identity_headers(&mut request);
            layers::refuse_impersonation(&request)?;
            // Before it costs more than its head, and after the caller is known; upstream's order.
            let _place = self.flow.admit(&info)?;
            layers::authorize(&*self.authorizer, &identity, &info)?;
            // A tunnel lasts as a watch does; whether there will be one is not known yet.
            if !info.is_long_running() && request.extensions().get::<Upgradable>().is_none() {
                return self.execute(info, identity, request).await;
            }
            let watch = self.flow.watch(&identity)?;
            Ok(self
                .execute(info, identity, request)
                .await?
                .map(|body| watch.until_end_of(peer.while_believed(body))))
        };
        let outcome = layers::guard_panics(answer).instrument(span).await;
        let response = render::response(outcome, id, &asked);
        let response = if head { render::without_body(response) } else { response };
        measured.finish(verb, response.status());
        response
    }

    /// Answers a request of this server to itself, under an identity that needs no proof.
    pub async fn answer_as(&self, identity: Identity, request: Request) -> Response {
        let (id, asked) = (layers::request_id(), render::Asked::by(&request));
        let answer = async {
            let info = layers::request_info(&request)?;
            layers::authorize(&*self.authorizer, &identity, &info)?;
            self.execute(info, Arc::new(identity), request).await
        };
        render::response(layers::guard_panics(answer).await, id, &asked)
    }

    async fn execute(
        &self,
        info: RequestInfo,
        identity: Arc<Identity>,
        request: Request,
    ) -> Result<Response, Status> {
        if let Some(page) = self.endpoints.answer(&info, request.headers()).await? {
            return Ok(page);
        }
        let timeout = layers::timeout(&info, self.request_timeout)?;
        let handler = self.delegates.route(&info).ok_or_else(Status::no_such_path)?;
        let exempt = info.is_long_running();
        let answer = handler.handle(Arc::new(Context { info, identity }), request);
        if exempt { answer.await } else { layers::deadline(timeout, answer).await }
    }
}
