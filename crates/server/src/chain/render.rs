//! The one place where an error becomes bytes.

use detectviz_api::negotiate::{self, status_form};
use detectviz_api::query::Query;
use detectviz_api::{RequestInfo, Status};
use detectviz_core::http::{Body, Request, Response};
use http::{HeaderValue, StatusCode, Uri, header};
use uuid::Uuid;

use crate::encode::Encoder;

/// How a client wants to be told of a failure: what is kept of its request until there is one.
#[derive(Default)]
pub(super) struct Asked {
    accept: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    uri: Uri,
    /// The methods that the path may take.
    allowed: Option<&'static str>,
}

impl Asked {
    pub(super) fn by(request: &Request) -> Self {
        let header = |name| request.headers().get(name).cloned();
        Self {
            accept: header(header::ACCEPT),
            user_agent: header(header::USER_AGENT),
            uri: request.uri().clone(),
            allowed: None,
        }
    }

    /// Takes note of what the request turned out to be about.
    pub(super) fn about(&mut self, info: &RequestInfo) {
        self.allowed = Some(allowed(info));
    }

    /// The status as the client reads it best.
    fn response(&self, status: &Status) -> Response {
        let text = |value: &'_ Option<HeaderValue>| {
            value.as_ref().and_then(|value| value.to_str().ok().map(str::to_owned))
        };
        let form = status_form(text(&self.accept).as_deref());
        let query = Query::parse(self.uri.query()).unwrap_or_default();
        let pretty = form.pretty || negotiate::pretty(&query, text(&self.user_agent).as_deref());
        let body = Encoder::new(form.encoding, pretty).encode(status.to_json().into());
        respond(status, body.into(), form.encoding.media_type())
    }
}

/// The answer to a request that was refused or failed, in JSON.
pub fn status_response(status: &Status) -> Response {
    respond(status, status.to_json(), negotiate::JSON)
}

fn respond(status: &Status, body: Vec<u8>, kind: &'static str) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
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

/// The methods that a path of this shape may take, for those who used another.
fn allowed(info: &RequestInfo) -> &'static str {
    match &info.resource {
        None => "GET, HEAD",
        Some(_) if info.is_watch_path() => "GET, HEAD",
        Some(resource) if resource.name.is_empty() => "GET, HEAD, POST",
        Some(resource) if resource.subresource.is_empty() => "DELETE, GET, HEAD, PATCH, PUT",
        Some(_) => "GET, HEAD, PATCH, PUT",
    }
}

/// The answer to HEAD: what GET would say, without what it would send. HTTP/2 sends whatever body it is given. What has
/// no body to GET either (204, 304) has no length, which would be that of another answer.
pub(super) fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(length) = http_body::Body::size_hint(&body).exact().filter(|_| !bodiless) {
        head.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    Response::from_parts(head, Body::empty())
}

/// The final answer: errors rendered as they were asked for, and the headers that every answer carries.
pub(super) fn response(outcome: Result<Response, Status>, id: Uuid, asked: &Asked) -> Response {
    let mut response = outcome.unwrap_or_else(|status| asked.response(&status));
    let refused = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    if let Some(allowed) = asked.allowed.filter(|_| refused) {
        headers.entry(header::ALLOW).or_insert(HeaderValue::from_static(allowed));
    }
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert("audit-id", id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_head_has_the_length_of_gets_body_if_that_has_one() {
        for (code, body, length) in
            [(200, "four", Some("4")), (404, "", Some("0")), (304, "", None), (204, "", None)]
        {
            let mut response = Response::new(Body::full(body));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            let head = without_body(response);
            let told = head.headers().get(header::CONTENT_LENGTH).map(|value| value.to_str().unwrap());
            assert_eq!(told, length, "{code}");
            assert!(http_body::Body::is_end_stream(head.body()));
        }
    }
}
