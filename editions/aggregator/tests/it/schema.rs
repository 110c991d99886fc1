//! Where a backend's OpenAPI document comes from, and how often it is asked for.

use detectviz_api::GroupVersion;
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::hostile::world;
use crate::world::{NAME, ROOT, World};

const LEGACY: &str = r#"{"kind": "APIResourceList", "groupVersion": "example.detectviz.io/v1", "resources": [
    {"name": "flights", "singularName": "flight", "namespaced": true, "kind": "Flight", "verbs": ["get"]}]}"#;
const MISSING: (u16, &str, &str) = (404, "", "404 page not found");
const JSON: &str = "content-type: application/json\r\n";
const PLAIN: &str = "/openapi/v3/apis/example.detectviz.io/v1";

fn schema(world: &World) -> Option<Value> {
    let gv = GroupVersion::new("example.detectviz.io", "v1");
    let snapshot = world.catalog.snapshot();
    snapshot.open_api(&gv).map(|document| serde_json::from_slice(&document.bytes).unwrap())
}

/// Waits until the backend was asked so often for what `asked` counts.
async fn until(world: &World, asked: &'static AtomicUsize, times: usize) {
    world.eventually("it should be asked again", move |_| asked.load(Ordering::SeqCst) >= times).await;
}

#[tokio::test]
async fn an_index_says_where_the_document_is_and_that_it_is_the_same() {
    static PROBES: AtomicUsize = AtomicUsize::new(0);
    static INDEXES: AtomicUsize = AtomicUsize::new(0);
    static DOCUMENTS: AtomicUsize = AtomicUsize::new(0);
    let (world, _tasks, _folder) = world(|path| match path {
        ROOT => {
            PROBES.fetch_add(1, Ordering::SeqCst);
            (200, "", LEGACY)
        }
        "/openapi/v3" => {
            INDEXES.fetch_add(1, Ordering::SeqCst);
            let index = r#"{"paths": {"apis/example.detectviz.io/v1": {"serverRelativeURL": "/openapi/v3/there?hash=A"}}}"#;
            (200, JSON, index)
        }
        "/openapi/v3/there?hash=A" => {
            DOCUMENTS.fetch_add(1, Ordering::SeqCst);
            (200, JSON, r#"{"paths": {"/there": {}}}"#)
        }
        _ => MISSING,
    })
    .await;
    world.until("True", "Passed").await;
    assert!(schema(&world).unwrap()["paths"]["/there"].is_object());
    until(&world, &INDEXES, 5).await;
    assert_eq!(DOCUMENTS.load(Ordering::SeqCst), 1, "what has the same hash is not asked for again");
    // The index is not asked for with every check either.
    assert!(PROBES.load(Ordering::SeqCst) > INDEXES.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_index_cannot_send_us_elsewhere() {
    static ELSEWHERE: AtomicUsize = AtomicUsize::new(0);
    static INDEXES: AtomicUsize = AtomicUsize::new(0);
    let (world, _tasks, _folder) = world(|path| match path {
        ROOT => (200, "", LEGACY),
        "/openapi/v3" => {
            INDEXES.fetch_add(1, Ordering::SeqCst);
            let index =
                r#"{"paths": {"apis/example.detectviz.io/v1": {"serverRelativeURL": "/api/v1/secrets"}}}"#;
            (200, JSON, index)
        }
        "/apis" | PLAIN | "/openapi/v2" => MISSING,
        _ => {
            ELSEWHERE.fetch_add(1, Ordering::SeqCst);
            MISSING
        }
    })
    .await;
    world.until("True", "Passed").await;
    until(&world, &INDEXES, 1).await;
    assert_eq!((schema(&world), ELSEWHERE.load(Ordering::SeqCst)), (None, 0));
}

#[tokio::test]
async fn what_knows_v2_alone_is_described_in_v3() {
    let (world, _tasks, _folder) = world(|path| match path {
        ROOT => (200, "", LEGACY),
        "/openapi/v2" => (
            200,
            JSON,
            r##"{"swagger": "2.0", "paths": {
                "/apis/example.detectviz.io/v1/flights": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/Flight"}}}}},
                "/api/v1/secrets": {}},
                "definitions": {"Flight": {"type": "object"}, "Secret": {"type": "object"}}}"##,
        ),
        _ => MISSING,
    })
    .await;
    world.until("True", "Passed").await;
    let schema = schema(&world).unwrap();
    assert_eq!(schema["components"]["schemas"], serde_json::json!({"Flight": {"type": "object"}}));
    assert_eq!(schema["paths"].as_object().unwrap().len(), 1, "{schema}");
}

#[tokio::test]
async fn a_backend_without_a_schema_is_not_asked_for_it_again_and_again() {
    static PROBES: AtomicUsize = AtomicUsize::new(0);
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let (world, _tasks, _folder) = world(|path| match path {
        ROOT => {
            PROBES.fetch_add(1, Ordering::SeqCst);
            (200, "", LEGACY)
        }
        "/apis" => MISSING,
        _ => {
            ASKED.fetch_add(1, Ordering::SeqCst);
            MISSING
        }
    })
    .await;
    world.until("True", "Passed").await;
    until(&world, &PROBES, 10).await;
    let asked = ASKED.load(Ordering::SeqCst);
    assert_eq!((schema(&world), asked), (None, 3), "the index, the document and v2 of {NAME}, once each");
}

#[tokio::test]
async fn a_document_that_is_none_leaves_the_backend_available() {
    static PROBES: AtomicUsize = AtomicUsize::new(0);
    let (world, _tasks, _folder) = world(|path| match path {
        ROOT => {
            PROBES.fetch_add(1, Ordering::SeqCst);
            (200, "", LEGACY)
        }
        "/openapi/v3" => (500, "", "SECRET"),
        _ => (200, JSON, "<html>"),
    })
    .await;
    world.until("True", "Passed").await;
    until(&world, &PROBES, 3).await;
    world.until("True", "Passed").await;
    assert_eq!(schema(&world), None);
}
