//! The server's own pages, which are no resources: health, version, metrics, status, discovery, OpenAPI.

mod discovery;
mod health;
mod openapi;
mod statusz;
mod version;

pub use statusz::StatusPage;
pub use version::Version;

use detectviz_api::{RequestInfo, Status, Verb};
use detectviz_core::Catalog;
use detectviz_core::catalog::Document;
use detectviz_core::health::Checks;
use detectviz_core::http::{Body, Request, Response};
use detectviz_core::metrics::Metrics;
use http::{HeaderMap, HeaderValue, StatusCode, header};
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
}

impl Endpoints {
    /// The page that `info` names; `None` when it names none and the delegates should be asked.
    ///
    /// # Errors
    /// 405 for a method that pages do not know, 406 for an `Accept` that they cannot answer.
    pub fn answer(&self, info: &RequestInfo, request: &Request) -> Result<Option<Response>, Status> {
        let path: Vec<&str> = info.path.trim_start_matches('/').split('/').collect();
        let Some(page) = self.page(&path, info, request) else { return Ok(None) };
        match info.verb {
            Verb::Get | Verb::Head | Verb::List => page.map(Some),
            _ => Err(Status::method_not_allowed()),
        }
    }

    fn page(&self, path: &[&str], info: &RequestInfo, request: &Request) -> Option<Result<Response, Status>> {
        match path {
            [kind @ ("livez" | "readyz" | "healthz"), rest @ ..] => {
                Some(health::page(&self.checks, kind, &rest.join("/"), &info.query))
            }
            ["version"] => Some(Ok(json(&self.version.to_json()))),
            ["metrics"] => Some(Ok(text(METRICS_TYPE, self.metrics.render()))),
            ["statusz"] => Some(self.status.page(request.headers())),
            ["openapi", "v2"] => Some(openapi::v2(request.headers())),
            ["openapi", "v3", rest @ ..] => openapi::page(&self.catalog, rest, info, request.headers()),
            ["" | "api" | "apis", ..] => discovery::page(&self.catalog, path, request.headers()),
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

/// A document with its entity tag, or 304 when the client has it.
fn document(document: &Document, kind: &'static str, request: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", document.hash);
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|have| have.as_bytes() == tag.as_bytes());
    let body = if known { Body::empty() } else { Body::full(document.bytes.clone()) };
    let mut response = Response::new(body);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    headers
        .insert(header::ETAG, HeaderValue::from_str(&tag).expect("a hash in hexadecimal is a header value"));
    response
}
