//! Who the backend sees: the caller and nobody else, and us only by our certificate.

use detectviz_core::Catalog;
use http::HeaderName;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::world::{Ca, ROOT, World, elsewhere, get, registered};

#[tokio::test]
async fn the_backend_sees_exactly_the_authenticated_identity() {
    let backend = Backend::start().await;
    let memory = registered(backend.port, &backend.serving_ca.pem());
    let world = World::start(memory, backend.front_proxy_client(), elsewhere(), Catalog::default()).await;
    world.until("True", "Passed").await;

    let mut request = get(&format!("{ROOT}/whoami"));
    for (name, value) in [
        ("X-Remote-User", "root"),
        ("x_remote_user", "root"),
        ("X-Remote_Group", "system:masters"),
        ("X-REMOTE-GROUP", "system:masters"),
        ("X-Remote-Group", "system:masters"),
        ("X-Remote-Uid", "0"),
        ("X-Remote-Extra-Scopes", "all"),
        ("X_Remote_Extra_Scopes", "all"),
        ("Impersonate-User", "root"),
        ("Authorization", "Bearer secret"),
        ("Cookie", "session=secret"),
        ("Connection", "X-Remote-Group, x-remote-user"),
        ("Connection", "X-Mark"),
        ("X-Mark", "dropped"),
        ("X-Kept", "1"),
    ] {
        request.headers_mut().append::<HeaderName>(name.parse().unwrap(), value.parse().unwrap());
    }
    let answer = world.open(request, &["crew"]).await.unwrap();
    let seen: Value = serde_json::from_slice(&answer.into_body().collect(1 << 20).await.unwrap()).unwrap();
    assert_eq!(seen["user"], "jane");
    assert_eq!(seen["groups"], json!(["crew", "system:authenticated"]));
    assert_eq!((&seen["uid"], &seen["extra"]), (&json!(""), &json!({})));
    let names: Vec<&String> = seen["headers"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["content-type", "detectviz-hop", "host", "x-kept", "x-remote-group", "x-remote-user"],
        "{seen}"
    );
    assert_eq!(seen["headers"]["host"], json!(["flights.default.svc"]));
}

#[tokio::test]
async fn a_request_that_came_from_us_is_not_sent_again() {
    let backend = Backend::start().await;
    let memory = registered(backend.port, &backend.serving_ca.pem());
    let world = World::start(memory, backend.front_proxy_client(), elsewhere(), Catalog::default()).await;
    world.until("True", "Passed").await;
    let (_, seen) = world.send(get(&format!("{ROOT}/whoami"))).await.unwrap();
    let mut again = get(&format!("{ROOT}/whoami"));
    let hop = seen["headers"]["detectviz-hop"][0].as_str().unwrap();
    again.headers_mut().insert("detectviz-hop", hop.parse().unwrap());
    again.headers_mut().insert("connection", "detectviz-hop".parse().unwrap());
    assert_eq!(world.send(again).await.unwrap_err().code, 508);
}

#[tokio::test]
async fn a_backend_that_does_not_believe_our_certificate_is_unavailable() {
    let backend = Backend::start().await;
    let memory = registered(backend.port, &backend.serving_ca.pem());
    let user = Ca::new("user-ca").issue(backend.folder(), "front-proxy-client", &[]);
    let world = World::start(memory, user, elsewhere(), Catalog::default()).await;
    let message = world.until("False", "FailedDiscoveryCheck").await;
    assert!(message.starts_with("failing or missing response from https://127.0.0.1:"), "{message}");
    assert_eq!(world.discovery(), json!({"version": "v1", "freshness": "Stale", "resources": []}));

    // Once we are believed, the new certificate is used without a restart.
    backend.front_proxy_client();
    world.until("True", "Passed").await;
}

#[tokio::test]
async fn a_backend_whose_certificate_is_of_another_ca_is_unavailable() {
    let backend = Backend::start().await;
    let memory = registered(backend.port, &Ca::new("another").pem());
    let world = World::start(memory, backend.front_proxy_client(), elsewhere(), Catalog::default()).await;
    let message = world.until("False", "FailedDiscoveryCheck").await;
    assert!(message.contains("negotiate TLS with 127.0.0.1:"), "{message}");
}
