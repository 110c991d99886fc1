//! Against a small real server in this process: TLS, trust, identity, streaming, reuse, bounds, redirects.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use detectviz_core::http::Body;
use http::{Method, StatusCode, header};
use http_body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::Address;
use crate::policy::{DialPolicy, Refused};
use crate::tls::{ClientIdentity, TlsOptions};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(
    ca: &Ca,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let certificate = params.signed_by(&key, ca).unwrap();
    (vec![certificate.into()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

fn server_config(serving: &Ca, clients: &Ca) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let (chain, key) = leaf(serving, "backend.test", ExtendedKeyUsagePurpose::ServerAuth);
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap()
}

/// A server that tells what it saw; it ends with the test that holds it.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(tls: Option<rustls::ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (acceptor, count) = (tls.map(|tls| TlsAcceptor::from(Arc::new(tls))), accepted.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Some(acceptor) = acceptor else { return serve(tcp, 0).await };
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
                    serve(stream, shown).await;
                });
            }
        });
        Self { address, accepted, _tasks: tasks }
    }

    fn transport(&self, tls: Option<TlsOptions>) -> Transport {
        let target = Target { address: Address::tcp("127.0.0.1", self.address.port()), tls };
        Transport::new(target, dialer(), &TransportOptions::default()).unwrap()
    }
}

async fn serve(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, shown: usize) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| answer(request, shown));
    // A client that hangs up is part of what is tested.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: hyper::Request<hyper::body::Incoming>,
    shown: usize,
) -> Result<hyper::Response<Body>, Infallible> {
    let host = request.headers()[header::HOST].to_str().unwrap().to_owned();
    let response = match request.uri().path() {
        "/redirect" => hyper::Response::builder().status(302).header(header::LOCATION, "/elsewhere"),
        _ => hyper::Response::builder().header("x-host", host).header("x-certificates", shown),
    };
    let body = match request.uri().path() {
        "/echo" => Body::stream(request.into_body()),
        path => Body::full(path.to_owned()),
    };
    Ok(response.body(body).unwrap())
}

/// A body that the test feeds piece by piece.
struct Fed(mpsc::Receiver<Bytes>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn dialer() -> Dialer {
    Dialer::new(Arc::new(DialPolicy::new()), Duration::from_secs(20))
}

fn get(path: &str) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    request
}

async fn text(response: Response) -> Bytes {
    response.into_body().collect(1 << 20).await.unwrap()
}

fn trusting(ca: &Ca) -> TlsOptions {
    let server_name = "backend.test".to_owned();
    TlsOptions { ca_bundle_pem: Some(Bytes::from(ca.pem())), server_name, ..TlsOptions::default() }
}

async fn outcome(server: &Server, options: TlsOptions) -> Result<(), Phase> {
    let sent = server.transport(Some(options)).send(get("/")).await;
    sent.map(drop).map_err(|error| error.phase())
}

#[tokio::test]
async fn a_backend_must_be_signed_by_the_bundle_and_carry_the_name() {
    let (serving, other) = (ca("serving"), ca("other"));
    let server = Server::start(Some(server_config(&serving, &other))).await;
    assert_eq!(outcome(&server, trusting(&serving)).await, Ok(()));
    assert_eq!(outcome(&server, trusting(&other)).await, Err(Phase::Tls));
    let renamed = TlsOptions { server_name: "other.test".into(), ..trusting(&serving) };
    assert_eq!(outcome(&server, renamed.clone()).await, Err(Phase::Tls));
    let unchecked = TlsOptions { ca_bundle_pem: None, insecure_skip_verify: true, ..renamed };
    assert_eq!(outcome(&server, unchecked).await, Ok(()));
}

#[tokio::test]
async fn an_untrusted_backend_never_sees_the_request_and_the_error_says_why() {
    let (serving, other) = (ca("serving"), ca("other"));
    let server = Server::start(Some(server_config(&serving, &other))).await;
    let error = server.transport(Some(trusting(&other))).send(get("/secret")).await.err().unwrap().error;
    let report = error.report();
    assert!(report.starts_with(&format!("negotiate TLS with {}: ", server.address)), "{report}");
    assert!(report.contains("UnknownIssuer") || report.contains("BadSignature"), "{report}");
}

#[tokio::test]
async fn our_certificate_is_shown_to_a_backend_that_asks() {
    let (serving, front_proxy) = (ca("serving"), ca("front-proxy"));
    let server = Server::start(Some(server_config(&serving, &front_proxy))).await;
    let (chain, key) = leaf(&front_proxy, "front-proxy-client", ExtendedKeyUsagePurpose::ClientAuth);
    let identity = Some(Arc::new(ClientIdentity { chain, key }));
    for (client_identity, shown) in [(None, "0"), (identity, "1")] {
        let options = TlsOptions { client_identity, ..trusting(&serving) };
        let response = server.transport(Some(options)).send(get("/")).await.unwrap();
        assert_eq!(response.headers()["x-certificates"], shown);
    }
}

#[tokio::test]
async fn only_path_and_query_of_the_uri_count() {
    let server = Server::start(None).await;
    let transport = server.transport(None);
    for uri in ["/a", "https://169.254.169.254/a", "http://elsewhere.test:1/a"] {
        let mut request = get(uri);
        *request.version_mut() = Version::HTTP_2;
        let response = transport.send(request).await.unwrap();
        assert_eq!(response.headers()["x-host"], server.address.to_string());
        assert_eq!(text(response).await, "/a");
    }
    assert_eq!(server.accepted.load(Ordering::SeqCst), 1, "a connection must be reused");
}

#[tokio::test]
async fn a_redirect_is_handed_back() {
    let server = Server::start(None).await;
    let response = server.transport(None).send(get("/redirect")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let server = Server::start(None).await;
    let (sender, body) = mpsc::channel(1);
    let mut request = get("/echo");
    *request.method_mut() = Method::POST;
    *request.body_mut() = Body::stream(Fed(body));
    sender.send(Bytes::from_static(b"one")).await.unwrap();
    let mut response = server.transport(None).send(request).await.unwrap().into_body();
    // The answer's first part is here while the request is not finished.
    assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    sender.send(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    drop(sender);
    assert!(response.frame().await.is_none());
}

#[tokio::test]
async fn connections_are_bounded_and_come_back() {
    let server = Server::start(None).await;
    let target = Target { address: Address::tcp("127.0.0.1", server.address.port()), tls: None };
    let options = TransportOptions {
        max_connections: 1,
        connect_timeout: Duration::from_millis(50),
        ..TransportOptions::default()
    };
    let transport = Transport::new(target, dialer(), &options).unwrap();
    let (_open, body) = mpsc::channel(1);
    let mut request = get("/echo");
    *request.method_mut() = Method::POST;
    *request.body_mut() = Body::stream(Fed(body));
    let held = transport.send(request).await.unwrap();
    let error = transport.send(get("/")).await.err().unwrap().error;
    assert!(matches!(error, TransportError::Busy { .. }), "{error:?}");
    drop(held);
    while transport.send(get("/")).await.is_err() {}
}

#[tokio::test]
async fn each_failure_to_connect_has_its_phase() {
    let policy = Arc::new(DialPolicy::new());
    let server = Server::start(None).await;
    policy.deny_listener(server.address);
    let phase = async |host: &str, port: u16| {
        let target = Target { address: Address::tcp(host, port), tls: None };
        let dialer = Dialer::new(policy.clone(), Duration::from_secs(20));
        let transport = Transport::new(target, dialer, &TransportOptions::default()).unwrap();
        transport.send(get("/")).await.err().unwrap().error
    };
    let refused = phase("127.0.0.1", server.address.port()).await;
    assert_eq!(refused.phase(), Phase::Policy);
    assert!(refused.report().contains(&Refused::OwnListener(server.address).to_string()));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(phase("127.0.0.1", free).await.phase(), Phase::Connect);
    // A server that hangs up instead of answering.
    let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = rude.local_addr().unwrap().port();
    let (error, _) = tokio::join!(phase("127.0.0.1", port), async { drop(rude.accept().await.unwrap()) });
    assert_eq!(error.phase(), Phase::Send);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_not_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target =
        Target { address: Address::tcp("127.0.0.1", listener.local_addr().unwrap().port()), tls: None };
    let transport = Transport::new(target, dialer(), &TransportOptions::default()).unwrap();
    let short = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        assert!(tcp.read(&mut [0; 1024]).await.unwrap() > 0);
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    };
    let (response, ()) = tokio::join!(transport.send(get("/")), short);
    assert!(response.unwrap().into_body().collect(9).await.is_err());
}

#[tokio::test]
async fn an_upgrade_hands_over_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target =
        Target { address: Address::tcp("127.0.0.1", listener.local_addr().unwrap().port()), tls: None };
    let transport = Transport::new(target, dialer(), &TransportOptions::default()).unwrap();
    let backend = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        assert!(tcp.read(&mut [0; 1024]).await.unwrap() > 0);
        let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        tcp.write_all(head).await.unwrap();
        let mut said = [0; 4];
        tcp.read_exact(&mut said).await.unwrap();
        tcp.write_all(&said).await.unwrap();
    };
    let caller = async {
        let mut request = get("/");
        request.headers_mut().insert(header::CONNECTION, "Upgrade".parse().unwrap());
        request.headers_mut().insert(header::UPGRADE, "echo".parse().unwrap());
        let Ok(Upgraded::Switched(response, mut link)) = transport.upgrade(request).await else { panic!() };
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        link.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        link.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
    };
    tokio::join!(backend, caller);
}
