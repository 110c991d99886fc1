//! `/openapi/v3`: the index, and a document a group-version; one asked for by its hash may be kept for ever. `/openapi/v2`:
//! all in one, for clients that do not know v3.

mod v2;
mod v3;

pub use v2::MergedOpenApi;

use detectviz_api::{RequestInfo, Status};
use detectviz_core::Catalog;
use detectviz_core::http::Response;
use http::HeaderMap;

/// The OpenAPI document at `path`, below `/openapi`; `None` when there is none.
pub(super) async fn page(
    catalog: &Catalog,
    merged: &MergedOpenApi,
    path: &[&str],
    info: &RequestInfo,
    request: &HeaderMap,
) -> Option<Result<Response, Status>> {
    match path {
        ["v2"] => Some(merged.page(catalog.snapshot(), request).await),
        ["v3", rest @ ..] => v3::page(catalog.snapshot(), rest, info, request).await.transpose(),
        _ => None,
    }
}

/// Makes a document on a thread for work that takes long, so that requests go on meanwhile.
async fn made<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(make).await.map_err(|_| Status::internal("make an OpenAPI document"))
}
