//! The server's own pages, which are no resources: health, version, metrics, status, discovery, OpenAPI.

mod conditional;
mod discovery;
mod health;
mod openapi;
mod statusz;
mod version;

pub use openapi::MergedOpenApi;
pub use statusz::StatusPage;
pub use version::Version;

use detectviz_api::{RequestInfo, Status, Verb};
use detectviz_core::Catalog;
use detectviz_core::health::Checks;
use detectviz_core::http::{Body, Response};
use detectviz_core::metrics::Metrics;
use http::{HeaderMap, HeaderValue, header};
use std::net::SocketAddr;
use std::sync::Arc;

/// Answers the server's own pages.
pub struct Endpoints {
    /// What `/livez` and `/readyz` ask.
    pub checks: Arc<Checks>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What discovery and OpenAPI show.
    pub catalog: Arc<Catalog>,
    /// What `/version` says.
    pub version: Version,
    /// What `/statusz` says.
    pub status: StatusPage,
    /// Where the server listens.
    pub address: SocketAddr,
    /// What `/openapi/v2` shows, made of the catalog.
    pub merged_open_api: MergedOpenApi,
}

impl Endpoints {
    /// The page that `info` names; `None` when it names none and the delegates should be asked.
    ///
    /// # Errors
    /// 405 for a method that pages do not know, 406 for an `Accept` that they cannot answer.
    pub async fn answer(&self, info: &RequestInfo, request: &HeaderMap) -> Result<Option<Response>, Status> {
        // No page lies where resources do.
        if info.resource.is_some() {
            return Ok(None);
        }
        let path: Vec<&str> = info.path.trim_start_matches('/').split('/').collect();
        let page = match path.as_slice() {
            ["openapi", rest @ ..] => {
                Box::pin(openapi::page(&self.catalog, &self.merged_open_api, rest, info, request)).await
            }
            path => self.page(path, info, request),
        };
        let Some(page) = page else { return Ok(None) };
        match info.verb {
            Verb::Get | Verb::Head | Verb::List => page.map(Some),
            _ => Err(Status::method_not_allowed()),
        }
    }

    fn page(
        &self,
        path: &[&str],
        info: &RequestInfo,
        request: &HeaderMap,
    ) -> Option<Result<Response, Status>> {
        match path {
            [kind @ ("livez" | "readyz" | "healthz"), rest @ ..] => {
                Some(health::page(&self.checks, kind, &rest.join("/"), &info.query))
            }
            ["version"] => Some(Ok(json(&self.version.to_json()))),
            ["metrics"] => Some(Ok(text(METRICS_TYPE, self.metrics.render()))),
            ["statusz"] => Some(self.status.page(request)),
            ["" | "api" | "apis", ..] => {
                discovery::page(&self.catalog.snapshot(), self.address, path, request)
            }
            _ => None,
        }
    }
}

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn text(kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::full(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json(value: &serde_json::Value) -> Response {
    text("application/json", value.to_string())
}
