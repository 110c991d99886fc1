//! Who is believed: the real binary, asked with every kind of certificate.

use crate::support::{Ca, Client, Server};
use http::{Method, StatusCode};
use serde_json::json;

const ROOT: &str = "/apis/example.detectviz.io/v1";

#[tokio::test]
async fn without_a_certificate_only_probes_are_answered() {
    let server = Server::start().await;
    let client = server.client(None);
    for path in ["/livez", "/readyz", "/healthz", "/version"] {
        assert_eq!(client.get(path).await.code, StatusCode::OK, "{path}");
    }
    for path in
        ["/apis", ROOT, "/openapi/v3", "/nothing", &format!("{ROOT}/flights"), &format!("{ROOT}/whoami")]
    {
        let answer = client.get(path).await;
        assert_eq!(answer.code, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            (&answer.body["kind"], &answer.body["reason"]),
            (&json!("Status"), &json!("Unauthorized"))
        );
    }
}

#[tokio::test]
async fn forged_headers_are_worth_nothing_without_the_proxy_certificate() {
    let server = Server::start().await;
    let forge =
        |client: Client| client.with("x-remote-user", "root").with("x-remote-group", "system:masters");

    let nobody = forge(server.client(None)).get(&format!("{ROOT}/whoami")).await;
    assert_eq!(nobody.code, StatusCode::UNAUTHORIZED);

    let other_name = server.front_proxy.client("someone-else");
    let other_name = forge(server.client(Some(&other_name))).get(&format!("{ROOT}/whoami")).await;
    assert_eq!(other_name.code, StatusCode::UNAUTHORIZED);

    let user = Ca::new("user-ca").client("front-proxy-client");
    let user = forge(server.client(Some(&user))).send(Method::GET, &format!("{ROOT}/whoami"), "").await;
    assert!(user.is_err(), "the handshake should fail: {user:?}");
}

#[tokio::test]
async fn a_certificate_of_another_ca_gets_not_even_a_probe() {
    let server = Server::start().await;
    let user = Ca::new("user-ca").client("jane");
    assert!(server.client(Some(&user)).send(Method::GET, "/livez", "").await.is_err());
}

#[tokio::test]
async fn the_proxy_certificate_needs_a_user() {
    let server = Server::start().await;
    let proxy = server.client(Some(&server.front_proxy.client("front-proxy-client")));
    assert_eq!(proxy.get("/apis").await.code, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoami_mirrors_the_identity_and_the_headers() {
    let server = Server::start().await;
    let client = server
        .proxy("jane", &["crew", "system:authenticated"])
        .with("x-remote-uid", "7")
        .with("x-remote-extra-acme.com%2fteam", "red")
        .with("x-mark", "one")
        .with("x-mark", "two");
    let answer = client.get(&format!("{ROOT}/whoami")).await;
    assert_eq!(answer.code, StatusCode::OK);
    let body = answer.body;
    assert_eq!(body["user"], "jane");
    assert_eq!(body["uid"], "7");
    assert_eq!(body["groups"], json!(["crew", "system:authenticated"]));
    assert_eq!(body["extra"], json!({"acme.com/team": ["red"]}));
    assert_eq!(body["headers"]["x-mark"], json!(["one", "two"]));
    assert_eq!(body["headers"]["x-remote-user"], json!(["jane"]));
}

#[tokio::test]
async fn readers_may_not_write() {
    let server = Server::start().await;
    let reader = server.proxy("jane", &["system:authenticated"]);
    let flights = format!("{ROOT}/namespaces/default/flights");
    assert_eq!(reader.get(&flights).await.code, StatusCode::OK);
    let answer = reader.write(Method::POST, &flights, &json!({})).await;
    assert_eq!(answer.code, StatusCode::FORBIDDEN);
    let message = answer.body["message"].as_str().unwrap();
    assert!(message.contains("User \"jane\" cannot create resource \"flights\""), "{message}");
    assert_eq!(server.proxy("joe", &[]).get(&flights).await.code, StatusCode::FORBIDDEN);
}
