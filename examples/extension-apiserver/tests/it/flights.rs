//! The verbs, as a client behind the front proxy meets them.

use crate::support::{Client, Server};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ALL: &str = "/apis/example.detectviz.io/v1/flights";
const DEFAULT: &str = "/apis/example.detectviz.io/v1/namespaces/default/flights";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

async fn start() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.proxy("admin", &["system:masters"]);
    (server, client)
}

fn flight(name: &str) -> Value {
    json!({
        "apiVersion": "example.detectviz.io/v1",
        "kind": "Flight",
        "metadata": {"name": name, "labels": {"fleet": "blue"}},
        "spec": {"origin": "TPE", "destination": "SFO"},
    })
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_life_of_a_flight_over_http1() {
    let (_server, client) = start().await;
    the_life_of_a_flight(&client).await;
}

#[tokio::test]
async fn the_life_of_a_flight_over_http2() {
    let (_server, client) = start().await;
    the_life_of_a_flight(&client.http2()).await;
}

async fn the_life_of_a_flight(client: &Client) {
    let revision = client.get(ALL).await.body["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut events = client.watch(&format!("{ALL}?watch=true&resourceVersion={revision}")).await;

    let created = client.write(Method::POST, DEFAULT, &flight("ci-4")).await;
    assert_eq!(created.code, StatusCode::CREATED);
    assert_eq!(created.body["metadata"]["namespace"], "default");
    assert_eq!(events.next().await.unwrap(), json!({"type": "ADDED", "object": created.body}));
    let again = client.write(Method::POST, DEFAULT, &flight("ci-4")).await;
    assert_eq!((again.code, &again.body["reason"]), (StatusCode::CONFLICT, &json!("AlreadyExists")));

    let path = format!("{DEFAULT}/ci-4");
    let mut changed = client.get(&path).await.body;
    changed["spec"]["gate"] = json!("B7");
    let updated = client.write(Method::PUT, &path, &changed).await;
    assert_eq!((updated.code, &updated.body["metadata"]["generation"]), (StatusCode::OK, &json!(2)));
    assert_eq!(events.next_named().await, ("MODIFIED".to_owned(), "ci-4".to_owned()));
    let stale = client.write(Method::PUT, &path, &changed).await;
    assert_eq!((stale.code, &stale.body["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));

    let gone = client.send(Method::DELETE, &path, "").await.unwrap();
    assert_eq!((gone.code, &gone.body["status"]), (StatusCode::OK, &json!("Success")));
    assert_eq!(events.next_named().await, ("DELETED".to_owned(), "ci-4".to_owned()));
    assert_eq!(client.get(&path).await.body["reason"], "NotFound");
}

#[tokio::test]
async fn patches() {
    let (_server, client) = start().await;
    let path = format!("{DEFAULT}/ci-101");
    let merge = client.clone().with("content-type", "application/merge-patch+json");
    let merged = merge
        .write(Method::PATCH, &path, &json!({"spec": {"gate": null}, "status": {"phase": "Boarding"}}))
        .await;
    assert_eq!(merged.body["spec"], json!({"origin": "TPE", "destination": "NRT"}));
    assert_eq!(merged.body["status"], json!({"phase": "Boarding"}));

    let operations = client.clone().with("content-type", "application/json-patch+json");
    let patch = json!([{"op": "add", "path": "/spec/gate", "value": "C1"}]);
    assert_eq!(operations.write(Method::PATCH, &path, &patch).await.body["spec"]["gate"], "C1");

    let other = client.clone().with("content-type", "application/apply-patch+yaml");
    let refused = other.write(Method::PATCH, &path, &json!({})).await;
    assert_eq!((refused.code.as_u16(), &refused.body["reason"]), (415, &json!("UnsupportedMediaType")));

    let strict = merge
        .write(Method::PATCH, &format!("{path}?fieldValidation=Strict"), &json!({"spec": {"foo": 1}}))
        .await;
    assert_eq!(strict.code, StatusCode::BAD_REQUEST);
    let message = strict.body["message"].as_str().unwrap();
    assert!(message.contains("strict decoding error: unknown field \"spec.foo\""), "{message}");
}

#[tokio::test]
async fn bodies_are_checked() {
    let (_server, client) = start().await;
    let mut unknown = flight("x");
    unknown["spec"]["foo"] = json!(1);
    let warned = client.write(Method::POST, &format!("{DEFAULT}?dryRun=All"), &unknown).await;
    assert_eq!(warned.code, StatusCode::CREATED);
    assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"spec.foo\\\"\"");
    assert_eq!(client.get(&format!("{DEFAULT}/x")).await.code, StatusCode::NOT_FOUND, "dryRun kept it");

    let invalid = client.write(Method::POST, DEFAULT, &json!({"metadata": {"name": "x"}})).await;
    assert_eq!((invalid.code.as_u16(), &invalid.body["reason"]), (422, &json!("Invalid")));
    assert_eq!(invalid.body["details"]["causes"][0]["field"], "spec.origin");

    let huge = client.send(Method::POST, DEFAULT, vec![b' '; 3 * 1024 * 1024 + 1]).await.unwrap();
    assert_eq!((huge.code.as_u16(), &huge.body["reason"]), (413, &json!("RequestEntityTooLarge")));

    let mut generated = flight("");
    generated["metadata"]["generateName"] = json!("gen-");
    let generated = client.write(Method::POST, DEFAULT, &generated).await;
    assert!(generated.body["metadata"]["name"].as_str().unwrap().starts_with("gen-"), "{generated:?}");
}

#[tokio::test]
async fn selections() {
    let (_server, client) = start().await;
    let other = "/apis/example.detectviz.io/v1/namespaces/other/flights";
    client.write(Method::POST, other, &flight("ci-4")).await;
    assert_eq!(names(&client.get(ALL).await.body), ["br-198", "ci-101", "jx-800", "ci-4"]);
    assert_eq!(names(&client.get(other).await.body), ["ci-4"]);
    assert_eq!(names(&client.get(&format!("{ALL}?labelSelector=fleet%20in%20(blue)")).await.body), ["ci-4"]);
    assert_eq!(
        names(&client.get(&format!("{ALL}?fieldSelector=metadata.name%3Djx-800")).await.body),
        ["jx-800"]
    );
    let bad = client.get(&format!("{ALL}?fieldSelector=spec.gate%3DA5")).await;
    assert_eq!((bad.code, &bad.body["reason"]), (StatusCode::BAD_REQUEST, &json!("BadRequest")));

    let cleared = client
        .send(Method::DELETE, &format!("{DEFAULT}?fieldSelector=metadata.name!%3Djx-800"), "")
        .await
        .unwrap();
    assert_eq!(names(&cleared.body), ["br-198", "ci-101"]);
    assert_eq!(names(&client.get(DEFAULT).await.body), ["jx-800"]);
}

#[tokio::test]
async fn a_watch_follows_its_selection() {
    let (_server, client) = start().await;
    let mut events = client.watch(&format!("{DEFAULT}?watch=true&labelSelector=fleet%3Dblue")).await;
    client.write(Method::POST, DEFAULT, &flight("ci-4")).await;
    assert_eq!(events.next_named().await, ("ADDED".to_owned(), "ci-4".to_owned()));
    let merge = client.clone().with("content-type", "application/merge-patch+json");
    let repaint = json!({"metadata": {"labels": {"fleet": "red"}}});
    let repainted = merge.write(Method::PATCH, &format!("{DEFAULT}/ci-4"), &repaint).await;
    let left = events.next().await.unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["labels"]["fleet"], "blue");
    assert_eq!(left["object"]["metadata"]["resourceVersion"], repainted.body["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn watches_end_with_a_bookmark_or_an_error() {
    let (_server, client) = start().await;
    let query = "watch=true&allowWatchBookmarks=true&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut events = client.watch(&format!("{DEFAULT}?{query}")).await;
    for name in ["br-198", "ci-101", "jx-800"] {
        assert_eq!(events.next_named().await, ("ADDED".to_owned(), name.to_owned()));
    }
    let mark = events.next().await.unwrap();
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(events.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(events.next().await, None);

    let merge = client.clone().with("content-type", "application/merge-patch+json");
    for gate in 0..1025 {
        let patch = json!({"spec": {"gate": gate.to_string()}});
        assert_eq!(
            merge.write(Method::PATCH, &format!("{DEFAULT}/jx-800"), &patch).await.code,
            StatusCode::OK
        );
    }
    let mut events = client.watch(&format!("{DEFAULT}?watch=true&resourceVersion=2")).await;
    let error = events.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(error["object"]["reason"], "Expired");
    assert_eq!(events.next().await, None);

    let future = client.get(&format!("{DEFAULT}?resourceVersion=999999")).await;
    assert_eq!((future.code.as_u16(), &future.body["reason"]), (504, &json!("Timeout")));
}

#[tokio::test]
async fn tables() {
    let (_server, client) = start().await;
    let client = client.with("accept", TABLE);
    let table = client.get(DEFAULT).await.body;
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let columns = columns.map(|column| column["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(columns, ["Name", "Origin", "Destination", "Gate", "Age"]);
    assert_eq!(table["rows"][1]["cells"].as_array().unwrap()[..4], ["ci-101", "TPE", "NRT", "A5"]);
    assert_eq!(table["rows"][1]["object"]["kind"], "PartialObjectMetadata");

    let mut events = client.watch(&format!("{DEFAULT}?watch=true")).await;
    let (first, second) = (events.next().await.unwrap(), events.next().await.unwrap());
    assert!(first["object"]["columnDefinitions"].is_array());
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["object"]["metadata"]["name"], "ci-101");
}

#[tokio::test]
async fn finalizers_hold_a_flight_back() {
    let (_server, client) = start().await;
    let mut held = flight("held");
    held["metadata"]["finalizers"] = json!(["example.detectviz.io/tower"]);
    client.write(Method::POST, DEFAULT, &held).await;
    let path = format!("{DEFAULT}/held");
    let dying = client.send(Method::DELETE, &path, "").await.unwrap();
    assert!(dying.body["metadata"]["deletionTimestamp"].is_string(), "{dying:?}");
    let merge = client.clone().with("content-type", "application/merge-patch+json");
    merge.write(Method::PATCH, &path, &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(client.get(&path).await.code, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn discovery_and_openapi() {
    let (_server, client) = start().await;
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let answer = client.clone().with("accept", &format!("{aggregated},application/json")).get("/apis").await;
    assert_eq!(answer.headers["content-type"], aggregated);
    assert_eq!(answer.body["items"][0]["versions"][0]["resources"][0]["resource"], "flights");
    let legacy = client.get("/apis").await;
    assert_eq!(legacy.body["groups"][0]["name"], "example.detectviz.io");
    let known =
        client.clone().with("if-none-match", legacy.headers["etag"].to_str().unwrap()).get("/apis").await;
    assert_eq!(known.code, StatusCode::NOT_MODIFIED);
    assert_eq!(
        client.get("/apis/example.detectviz.io/v1").await.body["resources"][0]["shortNames"],
        json!(["fl"])
    );

    let index = client.get("/openapi/v3").await.body;
    let url =
        index["paths"]["apis/example.detectviz.io/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    assert!(
        client.get(&url).await.body["components"]["schemas"]["io.detectviz.example.v1.Flight"].is_object()
    );
    assert_eq!(client.get("/nowhere").await.body["reason"], "NotFound");
    let post = client.write(Method::POST, ALL, &json!({})).await;
    assert_eq!(post.body["reason"], "MethodNotAllowed");
}

#[tokio::test]
async fn a_stopping_server_ends_its_watches_cleanly() {
    let (server, client) = start().await;
    let path = format!("{DEFAULT}?watch=true&fieldSelector=metadata.name%3Djx-800");
    let mut over_http2 = client.clone().http2().watch(&path).await;
    let mut events = client.watch(&path).await;
    for events in [&mut events, &mut over_http2] {
        assert_eq!(events.next_named().await, ("ADDED".to_owned(), "jx-800".to_owned()));
    }
    let (ended, ended_over_http2, status) =
        tokio::join!(events.next(), over_http2.next(), server.terminate());
    assert_eq!((ended, ended_over_http2), (None, None));
    assert!(status.success(), "{status}");
}
