//! `/openapi/v3`: the index, and a document a group-version; a document asked for by its hash may be kept for ever.

use detectviz_api::{GroupVersion, RequestInfo, Status};
use detectviz_core::Catalog;
use detectviz_core::http::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

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
