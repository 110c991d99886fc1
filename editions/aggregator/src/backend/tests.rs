use super::*;
use crate::error::Unavailable;
use crate::spec::Endpoint;
use detectviz_client::{Address, DialPolicy, Dialer};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(crate) fn endpoint() -> Endpoint {
    at("127.0.0.1", 1)
}

/// A backend at one address, whose certificate goes unchecked.
pub(crate) fn at(host: &str, port: u16) -> Endpoint {
    Endpoint {
        addresses: vec![Address::tcp(host, port)],
        server_name: "svc.ns.svc".into(),
        ca_bundle: None,
        insecure: true,
    }
}

pub(crate) fn write_identity(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    std::fs::write(folder.join("crt"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key"), key.serialize_pem()).unwrap();
}

impl Backends {
    /// The backend of an APIService that asks for nothing more.
    pub(crate) async fn get(&self, endpoint: &Endpoint) -> Result<Arc<Backend>, Unavailable> {
        self.of("v1.a", endpoint, &BackendPolicy::default()).await
    }
}

pub(crate) fn backends(folder: &Path) -> Backends {
    let dialer = Dialer::new(Arc::new(DialPolicy::new()), FETCH_TIMEOUT);
    Backends::new(dialer, (folder.join("crt"), folder.join("key")))
}

#[tokio::test]
async fn a_backend_is_remade_only_when_something_changed() {
    let folder = tempfile::tempdir().unwrap();
    write_identity(folder.path());
    let backends = backends(folder.path());
    let first = backends.get(&endpoint()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &backends.get(&endpoint()).await.unwrap()));
    let other = backends.get(&at("127.0.0.1", 2)).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &other));
    write_identity(folder.path());
    assert!(!Arc::ptr_eq(&first, &backends.get(&endpoint()).await.unwrap()), "our certificate was renewed");
}

#[tokio::test]
async fn what_is_wrong_with_an_endpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let backends = backends(folder.path());
    let why = async |endpoint: Endpoint| backends.get(&endpoint).await.err().unwrap().to_string();
    assert!(why(endpoint()).await.contains("read the front-proxy client certificate"));
    write_identity(folder.path());
    assert!(why(Endpoint { insecure: false, ..endpoint() }).await.contains("no CA bundle is given"));
    let junk = Some(Bytes::from_static(b"junk"));
    let junk = Endpoint { insecure: false, ca_bundle: junk, ..endpoint() };
    assert!(why(junk).await.contains("must contain at least one certificate"));
    for host in ["user@host", "a/b", "a b", ""] {
        assert!(why(at(host, 1)).await.contains("must be a DNS name"), "{host}");
    }
}

/// Answers each request with a head and a body that never ends, as a watch without events is.
async fn watch_for_ever(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let mut stream = BufReader::new(acceptor.accept(stream).await.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > "\r\n".len() {}
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        });
    }
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(folder.join("crt")).unwrap()];
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(folder.join("key")).unwrap());
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

#[tokio::test]
async fn watches_take_no_connection_from_other_requests() {
    let folder = tempfile::tempdir().unwrap();
    write_identity(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_for_ever(listener, acceptor(folder.path())));

    let policy = BackendPolicy { max_connections: 1, ..BackendPolicy::default() };
    let backend = backends(folder.path()).of("v1.a", &at("127.0.0.1", port), &policy).await.unwrap();
    let watch = backend.send(Request::new(Body::empty()), true).await.unwrap();
    let other = backend.send(Request::new(Body::empty()), false).await.unwrap();
    assert_eq!((watch.status(), other.status()), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn backends_that_ask_for_the_same_share_what_is_connected_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    write_identity(folder.path());
    let backends = backends(folder.path());
    let policy = BackendPolicy::default();
    let one = backends.of("v1.a", &endpoint(), &policy).await.unwrap();
    let other = backends.of("v2.a", &endpoint(), &policy).await.unwrap();
    assert!(Arc::ptr_eq(&one.shared, &other.shared) && !Arc::ptr_eq(&one.bounds, &other.bounds));
    let few = BackendPolicy { max_requests: 1, ..policy.clone() };
    let fewer = backends.of("v1.a", &endpoint(), &few).await.unwrap();
    assert!(Arc::ptr_eq(&one.shared, &fewer.shared) && !Arc::ptr_eq(&one.bounds, &fewer.bounds));
    let sooner = BackendPolicy { connect_timeout: Duration::from_secs(1), ..policy.clone() };
    assert!(!Arc::ptr_eq(&one.shared, &backends.of("v1.a", &endpoint(), &sooner).await.unwrap().shared));

    // Bounds are kept while addresses come and go, and so are places that are taken.
    let place = other.bounds.enter(Class::Request).await;
    let moved = backends.of("v2.a", &at("127.0.0.1", 2), &policy).await.unwrap();
    assert!(!Arc::ptr_eq(&other.shared, &moved.shared) && Arc::ptr_eq(&other.bounds, &moved.bounds));
    drop(place);
}

#[tokio::test]
async fn what_backends_are_like_is_shown_for_as_long_as_they_are_there() {
    let folder = tempfile::tempdir().unwrap();
    write_identity(folder.path());
    let registry = detectviz_core::metrics::Metrics::default();
    let backends = backends(folder.path()).told_by(&BackendMetrics::register(&registry));
    let backend = backends.get(&endpoint()).await.unwrap();
    assert!(backend.fetch("/apis", "application/json", None, 9).await.is_err(), "nobody listens");
    let text = registry.render();
    for line in [
        r#"detectviz_aggregator_ejections_total{name="v1.a"} 1"#,
        r#"detectviz_aggregator_retries_total{name="v1.a"} 0"#,
        r#"detectviz_aggregator_backend_under_way{name="v1.a"} 0"#,
        r#"detectviz_aggregator_addresses{name="v1.a",standing="unreachable"} 1"#,
        r#"detectviz_aggregator_addresses{name="v1.a",standing="healthy"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains(r#"detectviz_aggregator_breaker_state{name="v1.a"} 0"#), "{text}");
    drop(backend);
    assert!(!registry.render().contains("v1.a"));
}
