//! OpenAPI v3: an index with the hash of each group-version's document, and the documents.

use detectviz_api::{GroupVersion, RequestInfo, Status, negotiate};
use detectviz_core::catalog::{Document, Snapshot};
use detectviz_core::http::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::conditional;
use super::made;

const JSON: &str = "application/json";

/// How long a document that is asked for by its hash may be kept: upstream's year.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) async fn page(
    snapshot: Arc<Snapshot>,
    path: &[&str],
    info: &RequestInfo,
    request: &HeaderMap,
) -> Result<Option<Response>, Status> {
    let gv = match path {
        [] => return index(snapshot, request).await.map(Some),
        ["api", version] => GroupVersion::new("", *version),
        ["apis", group, version] => GroupVersion::new(*group, *version),
        _ => return Ok(None),
    };
    let Some(document) = document(snapshot, &gv).await? else { return Ok(None) };
    let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    negotiate::choose(accept, JSON, |media| media.covers(JSON).then_some(()))?;
    Ok(Some(match info.query.get("hash").filter(|hash| !hash.is_empty()) {
        Some(hash) if hash != document.hash => moved(&gv, &document.hash),
        Some(_) => immutable(conditional::document(&document, JSON, request)),
        None => conditional::document(&document, JSON, request),
    }))
}

async fn index(snapshot: Arc<Snapshot>, request: &HeaderMap) -> Result<Response, Status> {
    let index = match snapshot.is_open_api_index_made() {
        true => snapshot.open_api_index().clone(),
        false => made(move || snapshot.open_api_index().clone()).await?,
    };
    Ok(conditional::document(&index, JSON, request))
}

async fn document(snapshot: Arc<Snapshot>, gv: &GroupVersion) -> Result<Option<Document>, Status> {
    if snapshot.is_open_api_made(gv) {
        return Ok(snapshot.open_api(gv).cloned());
    }
    let gv = gv.clone();
    made(move || snapshot.open_api(&gv).cloned()).await
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
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    let end = time::OffsetDateTime::from(SystemTime::now() + FOR_EVER);
    let form = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    if let Some(end) = end.format(form).ok().and_then(|end| HeaderValue::try_from(end).ok()) {
        headers.insert(header::EXPIRES, end);
    }
    response
}
