//! `/openapi/v3`: the index, and a document a group-version; a document asked for by its hash may be kept for ever.

use detectviz_api::{GroupVersion, RequestInfo, Status, negotiate};
use detectviz_core::Catalog;
use detectviz_core::http::Body;
use detectviz_core::http::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

pub(super) fn page(
    catalog: &Catalog,
    path: &[&str],
    info: &RequestInfo,
    request: &HeaderMap,
) -> Option<Result<Response, Status>> {
    let snapshot = catalog.snapshot();
    let gv = match path {
        [] => return Some(Ok(super::document(snapshot.open_api_index(), "application/json", request))),
        ["api", version] => GroupVersion::new("", *version),
        ["apis", group, version] => GroupVersion::new(*group, *version),
        _ => return None,
    };
    let document = snapshot.open_api(&gv)?;
    Some(Ok(match info.query.get("hash") {
        Some(hash) if hash != document.hash => moved(&gv, &document.hash),
        Some(_) => immutable(super::document(document, "application/json", request)),
        None => super::document(document, "application/json", request),
    }))
}

/// OpenAPI v2 in protobuf, as clients ask for it, and as the answer names it.
const V2_PROTOBUF: (&str, &str) = (
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
);
/// The same document as the JSON below: `Document { swagger, info { title, version }, paths }`.
const V2_DOCUMENT: &[u8] = b"\x0a\x032.0\x12\x12\x0a\x09Detectviz\x12\x050.1.0\x42\x00";

/// `/openapi/v2`: a document without schemas. kubectl asks for it where it does not know v3, and takes a kind that is
/// not in it as one that the server validates.
pub(super) fn v2(request: &HeaderMap) -> Result<Response, Status> {
    let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let offered = format!("application/json, {}", V2_PROTOBUF.0);
    let protobuf = negotiate::choose(accept, &offered, |media| match () {
        () if media.essence == V2_PROTOBUF.0 || media.essence == V2_PROTOBUF.1 => Some(true),
        () if media.covers("application/json") => Some(false),
        () => None,
    })?;
    if !protobuf {
        let info = json!({"title": "Detectviz", "version": "0.1.0"});
        return Ok(super::json(&json!({"swagger": "2.0", "info": info, "paths": {}})));
    }
    let mut response = Response::new(Body::full(V2_DOCUMENT));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(V2_PROTOBUF.1));
    Ok(response)
}

/// The document has changed since: the client is sent to the present one.
fn moved(gv: &GroupVersion, hash: &str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let location = HeaderValue::from_str(&format!("/openapi/v3{}?hash={hash}", gv.path()));
    response
        .headers_mut()
        .insert(header::LOCATION, location.expect("a served group-version is a header value"));
    response
}

fn immutable(mut response: Response) -> Response {
    let forever = HeaderValue::from_static("public, immutable, max-age=31536000");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response
}
