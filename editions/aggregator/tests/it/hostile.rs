//! Backends that are not what they say: they cost their own group-version, and nothing else.

use detectviz_api::GroupVersion;
use detectviz_core::Catalog;
use detectviz_core::catalog::{GroupVersionEntry, Owner};
use http::StatusCode;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::backend::Backend;
use crate::world::{Ca, FLIGHTS, ROOT, World, elsewhere, get, registered};

const LEGACY: &str = r#"{"kind": "APIResourceList", "groupVersion": "example.detectviz.io/v1", "resources": [
    {"name": "flights", "singularName": "flight", "namespaced": true, "kind": "Flight", "verbs": ["get"]}]}"#;

/// Answers each path as `answer` says: code, further header lines, body.
pub(crate) type Answer = fn(&str) -> (u16, &'static str, &'static str);

/// A world whose backend is `answer`; the backend ends with the set.
pub(crate) async fn world(answer: Answer) -> (World, JoinSet<()>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("ca");
    let (chain, key) = ca.issue(folder.path(), "serving", &["flights.default.svc"]);
    let chain = vec![CertificateDer::from_pem_file(chain).unwrap()];
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let memory = registered(listener.local_addr().unwrap().port(), &ca.pem());
    let client = ca.issue(folder.path(), "client", &[]);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, acceptor, answer));
    (World::start(memory, client, elsewhere(), Catalog::default()).await, tasks, folder)
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, answer: Answer) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut lines = BufReader::new(stream).lines();
            let first = lines.next_line().await.unwrap_or_default().unwrap_or_default();
            while lines.next_line().await.is_ok_and(|line| line.is_some_and(|line| !line.is_empty())) {}
            let (code, fields, body) = answer(first.split(' ').nth(1).unwrap_or_default());
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {code} X\r\ncontent-length: {length}\r\nconnection: close\r\n{fields}\r\n{body}"
            );
            let mut stream = lines.into_inner().into_inner();
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
    }
}

#[tokio::test]
async fn a_backend_with_legacy_discovery_alone_is_available_and_its_redirects_end_here() {
    let (world, _tasks, _folder) = world(|path| match path {
        ROOT => (200, "", LEGACY),
        FLIGHTS => (302, "location: https://elsewhere.invalid/\r\n", "SECRET"),
        _ => (404, "", "404 page not found"),
    })
    .await;
    world.until("True", "Passed").await;
    let gv = GroupVersion::new("example.detectviz.io", "v1");
    assert!(world.catalog.snapshot().open_api(&gv).is_none(), "404 is no schema, not a failure");
    let refusal = world.send(get(FLIGHTS)).await.unwrap_err();
    assert_eq!(refusal.code, 502);
    assert!(!refusal.message.contains("elsewhere") && !refusal.message.contains("SECRET"), "{refusal}");
    assert_eq!(world.send(get(&format!("{FLIGHTS}/none"))).await.unwrap().0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_no_discovery_is_a_failed_check_that_quotes_nothing() {
    let cases: [(Answer, &str); 6] = [
        (|_| (200, "", "<html>SECRET"), "no APIResourceList"),
        (|_| (200, "", ""), "no APIResourceList"),
        (|_| (200, "", r#"{"kind": "SECRET"}"#), "must be of kind APIResourceList"),
        (|_| (500, "", "SECRET"), ": 500"),
        (|_| (301, "location: https://elsewhere.invalid/\r\n", "SECRET"), ": 301"),
        (|_| (200, "content-encoding: x\r\ncontent-length: 99999999\r\n", "SECRET"), "failing or missing"),
    ];
    for (answer, expected) in cases {
        let (world, _tasks, _folder) = world(answer).await;
        let message = world.until("False", "FailedDiscoveryCheck").await;
        assert!(message.contains(expected) && !message.contains("SECRET"), "{expected}: {message}");
        assert_eq!(world.discovery(), json!({"version": "v1", "freshness": "Stale", "resources": []}));
    }
}

#[tokio::test]
async fn malformed_aggregated_discovery_leaves_the_legacy_list() {
    let (world, _tasks, _folder) = world(|path| match path {
        "/apis" => (
            200,
            "",
            r#"{"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "example.detectviz.io"},
            "versions": [{"version": "v1", "resources": [{"resource": "a/b", "scope": "Cluster"}]}]}]}"#,
        ),
        _ => (200, "", LEGACY),
    })
    .await;
    world.until("True", "Passed").await;
    let version = world.discovery();
    assert_eq!(
        (&version["freshness"], &version["resources"][0]["resource"]),
        (&json!("Current"), &json!("flights"))
    );
}

#[tokio::test]
async fn this_server_is_no_backend_of_its_own() {
    let backend = Backend::start().await;
    let memory = registered(backend.port, &backend.serving_ca.pem());
    let own = SocketAddr::from(([127, 0, 0, 1], backend.port));
    let world = World::start(memory, backend.front_proxy_client(), own, Catalog::default()).await;
    let message = world.until("False", "FailedDiscoveryCheck").await;
    assert!(message.contains("is this server's own listener"), "{message}");
}

#[tokio::test]
async fn what_is_served_locally_is_never_given_away() {
    let backend = Backend::start().await;
    let memory = registered(backend.port, &backend.serving_ca.pem());
    let catalog = Catalog::default();
    let group_version = GroupVersion::new("example.detectviz.io", "v1");
    let entry = GroupVersionEntry {
        group_version: group_version.clone(),
        owner: Owner::Local,
        priority: (0, 0),
        resources: Vec::new(),
        open_api: None,
        stale: false,
    };
    catalog.publish(entry).unwrap();
    let world = World::start(memory, backend.front_proxy_client(), elsewhere(), catalog).await;
    let message = world.until("False", "GroupVersionTaken").await;
    assert!(message.starts_with("example.detectviz.io/v1 is served locally"), "{message}");
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap().0, StatusCode::IM_A_TEAPOT);
    world.catalog.withdraw(&group_version, Owner::Local);
    world.until("True", "Passed").await;
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap().0, StatusCode::OK);
}
