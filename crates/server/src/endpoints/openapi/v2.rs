//! OpenAPI v2: what this server and those behind it serve, merged into one document when somebody asks for it, and kept
//! until one of the documents that it was merged from changes. What is wrong with another's document costs that one alone.

use detectviz_api::{GroupVersion, Status, negotiate};
use detectviz_core::catalog::{Document, Owner, Snapshot};
use detectviz_core::http::Response;
use detectviz_schema::openapi::v2;
use http::{HeaderMap, header};
use serde_json::Value;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::super::conditional;
use super::made;

const JSON: &str = "application/json";
/// The encoding of gnostic as kubectl spells it, and as media types have to be spelled, which is how answers name it.
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

#[derive(Clone, Copy)]
enum Encoding {
    Json,
    Protobuf,
}

/// The OpenAPI v2 document, which is made when it is first asked for.
#[derive(Default)]
pub struct MergedOpenApi(Arc<State>);

#[derive(Default)]
struct State {
    kept: Mutex<Option<Arc<Kept>>>,
    /// Held while a document is merged, so that many who ask at once are given one.
    merging: Mutex<()>,
}

/// The document with the hashes of what it was merged from.
struct Kept {
    sources: Vec<(GroupVersion, String)>,
    json: Document,
    /// Made for the first who asks for it.
    protobuf: OnceLock<Document>,
}

impl MergedOpenApi {
    pub(super) async fn page(
        &self,
        snapshot: Arc<Snapshot>,
        request: &HeaderMap,
    ) -> Result<Response, Status> {
        let encoding = encoding(request)?;
        let ready = self.0.ready(&snapshot).and_then(|kept| kept.ready(encoding).cloned());
        let document = match ready {
            Some(ready) => ready,
            None => {
                let state = Arc::clone(&self.0);
                made(move || state.merged(&snapshot).document(encoding).clone()).await?
            }
        };
        let kind = match encoding {
            Encoding::Json => JSON,
            Encoding::Protobuf => PROTOBUF[1],
        };
        Ok(conditional::document(&document, kind, request))
    }
}

fn encoding(request: &HeaderMap) -> Result<Encoding, Status> {
    let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    negotiate::choose(accept, &format!("{JSON}, {}", PROTOBUF[0]), |media| {
        let json = media.covers(JSON).then_some(Encoding::Json);
        json.or_else(|| PROTOBUF.contains(&media.essence).then_some(Encoding::Protobuf))
    })
}

impl State {
    /// What is kept, if it is of this snapshot and finding that out makes no document.
    fn ready(&self, snapshot: &Snapshot) -> Option<Arc<Kept>> {
        let is_made = snapshot.documented().all(|(gv, _)| snapshot.is_open_api_made(gv));
        if is_made { self.kept_of(&sources(snapshot)) } else { None }
    }

    fn kept_of(&self, sources: &[(GroupVersion, String)]) -> Option<Arc<Kept>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.filter(|kept| kept.sources == sources)
    }

    /// What is kept, or else the document merged anew.
    fn merged(&self, snapshot: &Snapshot) -> Arc<Kept> {
        let _one_at_a_time = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = sources(snapshot);
        if let Some(kept) = self.kept_of(&sources) {
            return kept;
        }
        let json = Document::new(merge(snapshot, &sources).to_string().into_bytes());
        let kept = Arc::new(Kept { sources, json, protobuf: OnceLock::new() });
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&kept));
        kept
    }
}

fn sources(snapshot: &Snapshot) -> Vec<(GroupVersion, String)> {
    let documented = snapshot.documented();
    documented.filter_map(|(gv, _)| Some((gv.clone(), snapshot.open_api(gv)?.hash.clone()))).collect()
}

/// The document of all `sources`; this server's own come first, so that no other changes the name of what they define.
fn merge(snapshot: &Snapshot, sources: &[(GroupVersion, String)]) -> Value {
    let mut merge = v2::Merge::default();
    for owner in [Owner::Local, Owner::Aggregated] {
        for (gv, _) in sources.iter().filter(|(gv, _)| snapshot.owner(gv) == Some(owner)) {
            let document = snapshot.open_api(gv).map(|document| serde_json::from_slice(&document.bytes));
            match (owner, document) {
                (Owner::Local, Some(Ok(document))) => merge.add(&document),
                (Owner::Aggregated, Some(Ok(document))) => merge.add_remote(&document, &gv.path()),
                (_, Some(Err(error))) => {
                    tracing::info!(%gv, %error, "leave an OpenAPI document out of the merged one");
                }
                (_, None) => {}
            }
        }
    }
    merge.document()
}

impl Kept {
    fn ready(&self, encoding: Encoding) -> Option<&Document> {
        match encoding {
            Encoding::Json => Some(&self.json),
            Encoding::Protobuf => self.protobuf.get(),
        }
    }

    fn document(&self, encoding: Encoding) -> &Document {
        match encoding {
            Encoding::Json => &self.json,
            Encoding::Protobuf => self.protobuf.get_or_init(|| {
                let document: Value = serde_json::from_slice(&self.json.bytes).unwrap_or_default();
                Document::new(v2::protobuf(&document))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_core::Catalog;
    use detectviz_core::catalog::GroupVersionEntry;
    use serde_json::json;

    fn publish(catalog: &Catalog, gv: &str, owner: Owner) {
        let path = format!("/apis/{gv}/things");
        let document = json!({"paths": {path: {}}, "components": {"schemas": {"Thing": {"type": "object"}}}});
        let entry = GroupVersionEntry {
            group_version: gv.parse().unwrap(),
            owner,
            priority: (0, 0),
            resources: Vec::new(),
            open_api: Some(Arc::new(move || document.to_string().into())),
            stale: false,
        };
        catalog.publish(entry).unwrap();
    }

    #[test]
    fn it_is_merged_anew_only_when_what_this_server_serves_changed() {
        let (catalog, state) = (Catalog::default(), State::default());
        publish(&catalog, "a/v1", Owner::Local);
        assert!(state.ready(&catalog.snapshot()).is_none());
        let first = state.merged(&catalog.snapshot());
        publish(&catalog, "a/v1", Owner::Local);
        let second = state.merged(&catalog.snapshot());
        assert!(Arc::ptr_eq(&first, &second), "the same again changes nothing");
        assert!(state.ready(&catalog.snapshot()).is_some());
        publish(&catalog, "b/v1", Owner::Local);
        assert!(state.ready(&catalog.snapshot()).is_none());
        let third = state.merged(&catalog.snapshot());
        assert_ne!(first.json.hash, third.json.hash);
        let document: Value = serde_json::from_slice(&third.json.bytes).unwrap();
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/apis/a/v1/things", "/apis/b/v1/things"]);
    }

    #[test]
    fn others_are_in_it_and_a_bad_one_harms_nobody() {
        let (catalog, state) = (Catalog::default(), State::default());
        publish(&catalog, "far/v1", Owner::Aggregated);
        publish(&catalog, "local/v1", Owner::Local);
        let nested = "[".repeat(1000) + &"]".repeat(1000);
        let far = catalog.snapshot().open_api(&"far/v1".parse().unwrap()).unwrap().bytes.clone();
        for (gv, text) in [("bad/v1", "{".into()), ("deep/v1", nested.into()), ("thief/v1", far)] {
            let entry = GroupVersionEntry {
                group_version: gv.parse().unwrap(),
                owner: Owner::Aggregated,
                priority: (0, 0),
                resources: Vec::new(),
                open_api: Some(Arc::new(move || text.clone())),
                stale: false,
            };
            catalog.publish(entry).unwrap();
        }
        let merged = state.merged(&catalog.snapshot());
        let document: Value = serde_json::from_slice(&merged.json.bytes).unwrap();
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/apis/far/v1/things", "/apis/local/v1/things"]);
        assert!(!merged.document(Encoding::Protobuf).bytes.is_empty());
    }
}
