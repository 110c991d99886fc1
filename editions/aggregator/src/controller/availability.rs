//! One check of a backend: does it answer for its group-version, and with what? A backend that answers but not as an
//! API server does is as unavailable as one that is silent.

use bytes::Bytes;
use detectviz_api::GroupVersion;
use http::HeaderValue;
use serde::de::IgnoredAny;
use std::sync::Arc;

use super::discovery::{self, Discovered};
use crate::backend::{Backend, Fetched};
use crate::error::{FetchError, Unavailable};

/// The most bytes of a discovery document.
const MAX_DISCOVERY_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes of an OpenAPI document.
const MAX_OPEN_API_BYTES: usize = 16 * 1024 * 1024;

const JSON: &str = "application/json";
/// Aggregated discovery, else whatever the backend has: it is only a hint what to send, the document says what it is.
const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// What a backend that passed serves.
pub(super) struct Checked {
    pub(super) backend: Arc<Backend>,
    pub(super) discovered: Discovered,
    pub(super) open_api: Option<Schema>,
}

/// A backend's OpenAPI document.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) bytes: Bytes,
    etag: Option<HeaderValue>,
}

/// Asks `backend` what it serves of `gv`; `known` is the OpenAPI document of the last check.
///
/// # Errors
/// [`Unavailable::Discovery`] when it does not answer, or not with discovery of `gv`.
pub(super) async fn check(
    backend: Arc<Backend>,
    gv: &GroupVersion,
    known: Option<&Schema>,
) -> Result<Checked, Unavailable> {
    let path = gv.path();
    let fail = |why: String| Unavailable::Discovery { url: format!("{}{path}", backend.url), why };
    let bytes = document(&backend, &path, JSON).await.map_err(|why| fail(why.to_string()))?;
    let legacy = discovery::legacy(&bytes, gv).map_err(|why| fail(why.to_string()))?;
    let (aggregated, open_api) = tokio::join!(aggregated(&backend, gv), open_api(&backend, gv, known));
    Ok(Checked { backend, discovered: aggregated.unwrap_or(legacy), open_api })
}

async fn document(backend: &Backend, path: &str, accept: &'static str) -> Result<Bytes, FetchError> {
    match backend.fetch(path, accept, None, MAX_DISCOVERY_BYTES).await? {
        Fetched::Document { bytes, .. } => Ok(bytes),
        Fetched::NotModified => Ok(Bytes::new()),
    }
}

/// What aggregated discovery says of `gv`; `None` when the backend has none that can be read, or not for `gv`. What is
/// wrong with a document about all that a backend serves does not make one group-version unavailable.
async fn aggregated(backend: &Backend, gv: &GroupVersion) -> Option<Discovered> {
    let found = match document(backend, "/apis", AGGREGATED).await {
        Ok(bytes) => discovery::aggregated(&bytes, gv).map_err(|why| why.to_string()),
        Err(FetchError::Code { .. }) => Ok(None),
        Err(why) => Err(why.to_string()),
    };
    found.unwrap_or_else(|error| {
        tracing::debug!(backend = backend.url, error, "fall back to legacy discovery");
        None
    })
}

/// The OpenAPI document. A backend without one is available all the same, and one that fails to send it today keeps
/// the one of yesterday.
async fn open_api(backend: &Backend, gv: &GroupVersion, known: Option<&Schema>) -> Option<Schema> {
    let path = format!("/openapi/v3{}", gv.path());
    let etag = known.and_then(|known| known.etag.as_ref());
    match backend.fetch(&path, JSON, etag, MAX_OPEN_API_BYTES).await {
        Ok(Fetched::Document { bytes, .. }) if known.is_some_and(|known| known.bytes == bytes) => {
            known.cloned()
        }
        Ok(Fetched::Document { bytes, etag }) if is_json_object(&bytes) => Some(Schema { bytes, etag }),
        Ok(Fetched::NotModified) => known.cloned(),
        Err(FetchError::Code { code: 404, .. }) => None,
        Ok(Fetched::Document { .. }) => {
            tracing::debug!(backend = backend.url, path, "ignore an OpenAPI document that is no JSON object");
            None
        }
        Err(why) => {
            tracing::debug!(backend = backend.url, path, error = %why, "keep the last OpenAPI document");
            known.cloned()
        }
    }
}

fn is_json_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_must_be_a_json_object() {
        assert!(is_json_object(b" {\"paths\": {}}"));
        for junk in [&b"[]"[..], b"{", b"<html>", b"", b"\xff"] {
            assert!(!is_json_object(junk), "{junk:?}");
        }
    }
}
