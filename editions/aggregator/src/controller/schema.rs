//! A backend's OpenAPI document of one group-version: from its v3 index, from where v3 documents are, or made of its v2
//! document. Asked for when the backend came back or serves something else, and now and then; a backend without one is
//! left alone for long.

use bytes::Bytes;
use detectviz_api::GroupVersion;
use detectviz_core::catalog::OpenApi;
use detectviz_schema::openapi::v3;
use http::HeaderValue;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::availability::JSON;
use super::pace;
use crate::backend::{Backend, Fetched};
use crate::error::FetchError;

/// The most bytes of an OpenAPI document, and of the index of them.
const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_INDEX_BYTES: usize = 1024 * 1024;
/// After how many intervals it is asked for again: where the backend can say that nothing changed, where it cannot, and
/// where there is none. With the default interval these are a minute, ten minutes and an hour.
const AGAIN: u32 = 2;
const UNTAGGED: u32 = 20;
const ABSENT: u32 = 120;

/// What is known of a backend's schema.
#[derive(Default)]
pub(super) struct Schema {
    known: Option<Known>,
    /// What was said of it last, so that it is said once.
    said: Option<Said>,
    failures: u32,
    due: Option<Instant>,
}

struct Known {
    bytes: Bytes,
    open_api: OpenApi,
    /// Where it was found, and how the backend tells it from others.
    path: String,
    etag: Option<HeaderValue>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Absent,
    Failed,
}

/// What came of asking.
enum Answer {
    Document { bytes: Bytes, path: String, etag: Option<HeaderValue> },
    Same,
    Absent,
    Failed(String),
}

/// `/openapi/v3`.
#[derive(Deserialize)]
struct Index {
    paths: BTreeMap<String, Place>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    #[serde(rename = "serverRelativeURL")]
    server_relative_url: String,
}

impl Schema {
    /// The document, as the catalog wants it: the same value for as long as it is the same document.
    pub(super) fn open_api(&self) -> Option<&OpenApi> {
        self.known.as_ref().map(|known| &known.open_api)
    }

    /// Whether it is time to ask.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_none_or(|due| due <= Instant::now())
    }

    /// Asks as soon as there is an occasion.
    pub(super) fn ask_again(&mut self) {
        (self.due, self.failures) = (None, 0);
    }

    /// Asks for the document, for at most `patience`; `interval` is that of checks. A backend without one is available all the same, and one that fails to send
    /// it today keeps the one of yesterday.
    pub(super) async fn refresh(
        &mut self,
        backend: &Backend,
        gv: &GroupVersion,
        (patience, interval): (Duration, Duration),
    ) {
        let late = Answer::Failed(format!("no answer within {} s", patience.as_secs()));
        let answer = tokio::time::timeout(patience, self.ask(backend, gv)).await.unwrap_or(late);
        self.log(backend, gv, &answer);
        let intervals = match answer {
            Answer::Same => self.intervals(),
            Answer::Document { bytes, path, etag } => {
                self.learn(bytes, path, etag);
                self.intervals()
            }
            Answer::Absent => {
                self.known = None;
                ABSENT
            }
            Answer::Failed(_) => {
                self.failures = self.failures.saturating_add(1);
                let (first, last) = (Duration::from_secs(1), Duration::from_secs(ABSENT.into()));
                pace::doubled((first, last), self.failures).as_secs().try_into().unwrap_or(ABSENT)
            }
        };
        self.due = Some(Instant::now() + interval.saturating_mul(intervals));
    }

    fn intervals(&mut self) -> u32 {
        self.failures = 0;
        let tagged = |known: &Known| known.etag.is_some() || is_hashed(&known.path);
        if self.known.as_ref().is_some_and(tagged) { AGAIN } else { UNTAGGED }
    }

    fn learn(&mut self, bytes: Bytes, path: String, etag: Option<HeaderValue>) {
        if let Some(known) = self.known.as_mut().filter(|known| known.bytes == bytes) {
            (known.path, known.etag) = (path, etag);
            return;
        }
        let shared = bytes.clone();
        self.known = Some(Known { bytes, open_api: Arc::new(move || shared.clone()), path, etag });
    }

    /// One line a change of state.
    fn log(&mut self, backend: &Backend, gv: &GroupVersion, answer: &Answer) {
        let (said, gv) = (self.said, gv.to_string());
        self.said = match answer {
            Answer::Document { .. } | Answer::Same => None,
            Answer::Absent => Some(Said::Absent),
            Answer::Failed(_) => Some(Said::Failed),
        };
        match answer {
            _ if self.said == said => {}
            Answer::Document { .. } | Answer::Same => {}
            Answer::Absent => {
                tracing::info!(backend = backend.url, gv, "backend has no OpenAPI document");
            }
            Answer::Failed(error) => {
                let kept = self.known.is_some();
                tracing::info!(backend = backend.url, gv, error, kept, "get no OpenAPI document");
            }
        }
    }

    async fn ask(&self, backend: &Backend, gv: &GroupVersion) -> Answer {
        let plain = format!("/openapi/v3{}", gv.path());
        match indexed(backend, gv).await {
            Ok(Some(path)) if is_hashed(&path) && self.is_from(&path) => Answer::Same,
            Ok(Some(path)) => self.document(backend, &path).await,
            Ok(None) => Answer::Absent,
            // No index: an old server, or a plain tree of files.
            Err(why) if is_absent(&why) => match self.document(backend, &plain).await {
                Answer::Absent => self.converted(backend, gv).await,
                answer => answer,
            },
            Err(why) => Answer::Failed(why.to_string()),
        }
    }

    fn is_from(&self, path: &str) -> bool {
        self.known.as_ref().is_some_and(|known| known.path == path)
    }

    async fn document(&self, backend: &Backend, path: &str) -> Answer {
        let known = self.known.as_ref().filter(|known| known.path == path);
        let etag = known.and_then(|known| known.etag.as_ref());
        match backend.fetch(path, JSON, etag, MAX_BYTES).await {
            Ok(Fetched::NotModified) => Answer::Same,
            Ok(Fetched::Document { bytes, etag }) if is_json_object(&bytes) => {
                Answer::Document { bytes, path: path.to_owned(), etag }
            }
            Ok(Fetched::Document { .. }) => Answer::Failed("the document is no JSON object".to_owned()),
            Err(why) if is_absent(&why) => Answer::Absent,
            Err(why) => Answer::Failed(why.to_string()),
        }
    }

    /// What a v2 document says of `gv`, as v3.
    async fn converted(&self, backend: &Backend, gv: &GroupVersion) -> Answer {
        const PATH: &str = "/openapi/v2";
        let (bytes, etag) = match self.document(backend, PATH).await {
            Answer::Document { bytes, etag, .. } => (bytes, etag),
            answer => return answer,
        };
        let base = gv.path();
        let made = tokio::task::spawn_blocking(move || {
            let document: Value = serde_json::from_slice(&bytes).ok()?;
            v3::of_v2(&document, &base).map(|document| document.to_string())
        });
        match made.await {
            Ok(Some(text)) => Answer::Document { bytes: text.into(), path: PATH.to_owned(), etag },
            Ok(None) => Answer::Absent,
            Err(_) => Answer::Failed("the OpenAPI v2 document cannot be converted".to_owned()),
        }
    }
}

/// Where the v3 index has the document of `gv`; `None` when it has none.
async fn indexed(backend: &Backend, gv: &GroupVersion) -> Result<Option<String>, FetchError> {
    let fetched = backend.fetch("/openapi/v3", JSON, None, MAX_INDEX_BYTES).await?;
    let Fetched::Document { bytes, .. } = fetched else { return Ok(None) };
    // Servers of before 1.24 have another index; their documents are where ours are.
    let Ok(index) = serde_json::from_slice::<Index>(&bytes) else {
        return Ok(Some(format!("/openapi/v3{}", gv.path())));
    };
    let place = index.paths.get(gv.path().trim_start_matches('/'));
    Ok(place.map(|place| place.server_relative_url.clone()).filter(|url| is_below_open_api(url)))
}

/// An index sends us to its own documents, and nowhere else.
fn is_below_open_api(url: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    url.starts_with("/openapi/v3/")
        && url.len() <= 1024
        && url.bytes().all(plain)
        && !url.split(['/', '?']).any(|segment| segment == "..")
        && url.parse::<http::Uri>().is_ok()
}

fn is_hashed(path: &str) -> bool {
    path.split_once('?').is_some_and(|(_, query)| query.split('&').any(|part| part.starts_with("hash=")))
}

/// Whether the failure says that there is no such document, or none for us.
fn is_absent(why: &FetchError) -> bool {
    matches!(why, FetchError::Code { code: 400..=499, .. })
        && !matches!(why, FetchError::Code { code: 408 | 429, .. })
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

    #[test]
    fn an_index_points_to_its_own_documents() {
        assert!(is_below_open_api("/openapi/v3/apis/a.b/v1?hash=AB"));
        for url in [
            "https://elsewhere.invalid/openapi/v3/x",
            "//elsewhere.invalid/openapi/v3/x",
            "/openapi/v3/../../api/v1/secrets",
            "/api/v1/secrets",
            "/openapi/v3/a b",
            "/openapi/v3/a#b",
            "",
        ] {
            assert!(!is_below_open_api(url), "{url}");
        }
        assert!(is_hashed("/openapi/v3/a?x=1&hash=AB"));
        assert!(!is_hashed("/openapi/v3/a"));
    }

    #[test]
    fn the_same_document_stays_the_same_value() {
        let mut schema = Schema::default();
        assert!(schema.is_due());
        schema.learn("{}".into(), "/a".to_owned(), None);
        let first = Arc::clone(schema.open_api().unwrap());
        schema.learn("{}".into(), "/b".to_owned(), None);
        assert!(Arc::ptr_eq(&first, schema.open_api().unwrap()));
        schema.learn("{ }".into(), "/b".to_owned(), None);
        assert!(!Arc::ptr_eq(&first, schema.open_api().unwrap()));
    }
}
