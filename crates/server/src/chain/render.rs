//! The one place where an error becomes bytes.

use detectviz_api::Status;
use detectviz_core::http::{Body, Response};
use http::{HeaderValue, StatusCode, header};
use uuid::Uuid;

/// The answer to a request that was refused or failed.
pub fn status_response(status: &Status) -> Response {
    let mut response = Response::new(Body::full(status.to_json()));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) =
        status.details.as_ref().map(|details| details.retry_after_seconds).filter(|s| *s > 0)
    {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status.code == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The answer to HEAD: what GET would say, without what it would send. HTTP/2 sends whatever body it is given.
pub(super) fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = http_body::Body::size_hint(&body).exact() {
        head.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    Response::from_parts(head, Body::empty())
}

/// The final answer: errors rendered, and the headers that every answer carries.
pub(super) fn response(outcome: Result<Response, Status>, id: Uuid) -> Response {
    let mut response = outcome.unwrap_or_else(|status| status_response(&status));
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert("audit-id", id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
