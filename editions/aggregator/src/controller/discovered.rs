//! What a backend serves of a group-version, as far as it is known: the legacy list that each check brings, made fuller
//! by aggregated discovery.

use detectviz_api::GroupVersion;
use http::HeaderValue;
use std::time::Duration;
use tokio::time::Instant;

use super::availability::MAX_DISCOVERY_BYTES;
use super::discovery::{self, Discovered};
use crate::backend::{Backend, Fetched};
use crate::error::FetchError;

/// Aggregated discovery, else whatever the backend has: it is only a hint what to send, the document says what it is.
const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
/// After how many intervals it is asked for again: where the backend can say that nothing changed, and where not.
const AGAIN: u32 = 2;
const UNTAGGED: u32 = 20;

/// What is known of what a backend serves.
#[derive(Default)]
pub(super) struct Known {
    legacy: Option<Discovered>,
    aggregated: Option<Discovered>,
    etag: Option<HeaderValue>,
    due: Option<Instant>,
}

impl Known {
    /// Whether `legacy` is what was known before.
    pub(super) fn is_same(&self, legacy: &Discovered) -> bool {
        self.legacy.as_ref() == Some(legacy)
    }

    /// Whether it is time to ask for more than `legacy`.
    pub(super) fn is_due(&self, legacy: &Discovered) -> bool {
        !self.is_same(legacy) || self.due.is_none_or(|due| due <= Instant::now())
    }

    /// Asks as soon as there is an occasion.
    pub(super) fn ask_again(&mut self) {
        self.due = None;
    }

    /// Takes down `legacy`, and asks for more, for at most `patience`; `interval` is that of checks.
    pub(super) async fn refresh(
        &mut self,
        legacy: Discovered,
        backend: &Backend,
        gv: &GroupVersion,
        (patience, interval): (Duration, Duration),
    ) {
        let etag = self.etag.as_ref().filter(|_| self.is_same(&legacy));
        let late = Err(FetchError::TimedOut(patience).to_string());
        let asked = tokio::time::timeout(patience, ask(backend, gv, etag)).await.unwrap_or(late);
        match asked {
            Ok(Some(News { aggregated, etag })) => (self.aggregated, self.etag) = (aggregated, etag),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(backend = backend.url, error, "fall back to legacy discovery");
                // What was said of another list is not said of this one.
                if !self.is_same(&legacy) {
                    (self.aggregated, self.etag) = (None, None);
                }
            }
        }
        self.legacy = Some(legacy);
        let intervals = if self.etag.is_some() { AGAIN } else { UNTAGGED };
        self.due = Some(Instant::now() + interval.saturating_mul(intervals));
    }

    /// What the backend serves; `None` as long as nothing is known.
    pub(super) fn best(&self) -> Option<&Discovered> {
        self.aggregated.as_ref().or(self.legacy.as_ref())
    }
}

/// A new answer.
struct News {
    aggregated: Option<Discovered>,
    etag: Option<HeaderValue>,
}

/// What aggregated discovery says of `gv`: nothing when the backend has none that can be read, or not for `gv`. What is
/// wrong with a document about all that a backend serves does not make one group-version unavailable. `None` when nothing
/// changed.
async fn ask(
    backend: &Backend,
    gv: &GroupVersion,
    etag: Option<&HeaderValue>,
) -> Result<Option<News>, String> {
    match backend.fetch("/apis", AGGREGATED, etag, MAX_DISCOVERY_BYTES).await {
        Ok(Fetched::NotModified) => Ok(None),
        Ok(Fetched::Document { bytes, etag }) => {
            let aggregated = discovery::aggregated(&bytes, gv).map_err(|why| why.to_string())?;
            Ok(Some(News { aggregated, etag }))
        }
        Err(FetchError::Code { .. }) => Ok(Some(News { aggregated: None, etag: None })),
        Err(why) => Err(why.to_string()),
    }
}
