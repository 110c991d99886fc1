//! Requests for metadata alone: what a controller needs of objects of any kind, whoever serves them.

use detectviz_api::{Reason, Status};
use detectviz_core::Loopback;
use detectviz_core::http::{Body, Request, Response};
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use std::future::Future;
use std::time::Duration;

/// Asks for the metadata of an object alone, or for the object of who does not have that.
pub(super) const OBJECT: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// The same of a list.
pub(super) const LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
/// The most bytes of an answer.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How long a server may take for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A GET of `path` that accepts `accept`.
pub(super) fn request(path: &str, accept: &str) -> Result<Request, Status> {
    let request = http::Request::builder().uri(path).header(header::ACCEPT, accept);
    request.body(Body::empty()).map_err(Status::internal)
}

/// The body of an answer.
///
/// # Errors
/// The refusal, if it is one.
pub(super) async fn answer(response: Response) -> Result<Body, Status> {
    let code = response.status();
    if code.is_success() {
        return Ok(response.into_body());
    }
    let body = response.into_body().collect(MAX_BYTES).await.unwrap_or_default();
    let unreadable = |_| match code {
        StatusCode::GONE => Status::failure(Reason::Expired, "too old resource version"),
        code => Status::failure(Reason::ServiceUnavailable, format!("unexpected answer: {code}")),
    };
    Err(serde_json::from_slice(&body).unwrap_or_else(unreadable))
}

/// The document at `path`.
pub(super) async fn document<T: DeserializeOwned>(
    loopback: &dyn Loopback,
    path: &str,
    accept: &str,
) -> Result<T, Status> {
    let body = answer(loopback.send(request(path, accept)?).await).await?;
    let bytes = body.collect(MAX_BYTES).await.map_err(Status::internal)?;
    serde_json::from_slice(&bytes).map_err(Status::internal)
}

/// The answer, or that there was none in time.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late =
        |_| Err(Status::failure(Reason::Timeout, format!("no answer within {} s", PATIENCE.as_secs())));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(late)
}
