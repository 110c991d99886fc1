//! The last step of every request: a value becomes bytes with the headers that belong to it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::status::Status;

/// The body of every answer: all at once or as a stream.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Plain JSON, the media type of nearly everything.
pub(crate) const JSON: &str = "application/json";

/// An answer of `bytes`.
pub(crate) fn bytes(code: StatusCode, media_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes.into()).boxed_unsync());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// An answer of one JSON value.
pub(crate) fn json(code: StatusCode, value: &Value) -> Response<Body> {
    bytes(code, JSON, value.to_string())
}

/// An answer that says why not.
pub(crate) fn status(status: &Status) -> Response<Body> {
    json(status.code, &status.to_json())
}

/// A document that changes only with the program: with an `ETag`, and 304 where the client has it.
pub(crate) fn document(request: &HeaderMap, media_type: &'static str, value: &Value) -> Response<Body> {
    let text = value.to_string();
    let tag = format!("\"{}\"", hash(&text));
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        bytes(StatusCode::NOT_MODIFIED, media_type, Bytes::new())
    } else {
        bytes(StatusCode::OK, media_type, text)
    };
    let tag = HeaderValue::from_str(&tag).expect("a hexadecimal hash is a header value");
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// Upper-case hexadecimal SHA-256, as OpenAPI's `hash` parameter has it.
pub(crate) fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02X}").expect("writing to a string cannot fail");
        hex
    })
}

/// Adds `Warning` headers, which kubectl prints.
pub(crate) fn with_warnings(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        // A field name that no header can carry stays out of the header; it is out of the object already.
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
