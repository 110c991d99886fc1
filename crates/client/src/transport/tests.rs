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

mod exchange;
mod http2;
mod reuse;
mod trust;
mod upgrades;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn leaf_params(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    params
}

fn leaf(ca: &Ca, name: &str, usage: ExtendedKeyUsagePurpose) -> Shown {
    signed(ca, &leaf_params(name, usage))
}

fn signed(ca: &Ca, params: &CertificateParams) -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    (vec![certificate.into()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

fn server_config(serving: &Ca, clients: &Ca) -> rustls::ServerConfig {
    showing(leaf(serving, "backend.test", ExtendedKeyUsagePurpose::ServerAuth), clients)
}

fn showing((chain, key): Shown, clients: &Ca) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
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
    /// Handshakes that went on from an earlier one.
    resumed: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(tls: Option<rustls::ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (acceptor, count) = (tls.map(|tls| TlsAcceptor::from(Arc::new(tls))), accepted.clone());
        let resumed = Arc::<AtomicUsize>::default();
        let again = resumed.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, again) = (acceptor.clone(), again.clone());
                connections.spawn(async move {
                    let Some(acceptor) = acceptor else { return serve(tcp, 0).await };
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
                    if stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
                        again.fetch_add(1, Ordering::SeqCst);
                    }
                    serve(stream, shown).await;
                });
            }
        });
        Self { address, accepted, resumed, _tasks: tasks }
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
        path if path.starts_with("/close/") => hyper::Response::builder().header(header::CONNECTION, "close"),
        "/echo" => hyper::Response::builder().header(header::TRAILER, "x-trail"),
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

/// A body of these frames, last first.
struct WithTrailers(Vec<Frame<Bytes>>);

impl http_body::Body for WithTrailers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }
}

fn trailers() -> http::HeaderMap {
    [(http::HeaderName::from_static("x-trail"), http::HeaderValue::from_static("er"))].into_iter().collect()
}
