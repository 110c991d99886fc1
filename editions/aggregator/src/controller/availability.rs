//! One check of a backend: does it answer for its group-version? A backend that answers but not as an API server does is
//! as unavailable as one that is silent.

use detectviz_api::GroupVersion;
use std::time::Duration;

use super::discovery::{self, Discovered};
use crate::backend::{Backend, Fetched};
use crate::error::{FetchError, Unavailable};

/// The most bytes of a discovery document.
pub(super) const MAX_DISCOVERY_BYTES: usize = 4 * 1024 * 1024;

pub(super) const JSON: &str = "application/json";

/// Asks `backend` for its legacy discovery of `gv`, for so long.
///
/// # Errors
/// [`Unavailable::Discovery`] when it does not answer, or not with discovery of `gv`.
pub(super) async fn probe(
    backend: &Backend,
    gv: &GroupVersion,
    patience: Duration,
) -> Result<Discovered, Unavailable> {
    let path = gv.path();
    let answer = backend.fetch(&path, JSON, None, MAX_DISCOVERY_BYTES);
    let answer = tokio::time::timeout(patience, answer).await;
    let found = match answer.unwrap_or(Err(FetchError::TimedOut(patience))) {
        Ok(Fetched::Document { bytes, .. }) => discovery::legacy(&bytes, gv).map_err(|why| why.to_string()),
        // It was not asked whether anything changed.
        Ok(Fetched::NotModified) => Err("the answer is no document".to_owned()),
        Err(why) => Err(why.to_string()),
    };
    found.map_err(|why| Unavailable::Discovery { url: format!("{}{path}", backend.url), why })
}
