//! What stands behind a proxy: a server with bodies of fixed sizes that knows next to nothing, so that what a proxy
//! costs is seen. HTTP/1.1 over TLS, which is all that nginx speaks to a backend; a client certificate is required.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificates::{BACKEND, Certificates};
use crate::load::{RequestBody, provider};

/// The group-version that it serves.
const GROUP: &str = "bench.example.com";
/// Where its objects are.
const COLLECTION: &str = "/apis/bench.example.com/v1/namespaces/default/things";
const DISCOVERY: &str = r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"bench.example.com/v1","resources":[
{"name":"things","singularName":"thing","namespaced":true,"kind":"Thing","verbs":["get","list","watch"]}]}"#;
/// The first and only event of a watch.
const EVENT: &str = r#"{"type":"BOOKMARK","object":{"kind":"Thing","apiVersion":"bench.example.com/v1","metadata":{"resourceVersion":"1"}}}
"#;

/// A running backend in this process; it ends when dropped.
pub(crate) struct Backend {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    certificates: Certificates,
    bodies: Bodies,
    _serving: JoinSet<()>,
}

/// The bodies that it has, by the path of the object, and how many were asked for.
#[derive(Clone)]
struct Bodies {
    objects: Arc<Vec<(String, Bytes)>>,
    served: Arc<AtomicU64>,
}

impl Backend {
    /// Starts it with objects of these sizes, for clients whose certificates `client_ca` signed.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub(crate) async fn start(folder: &Path, client_ca: &Path, sizes: &[usize]) -> anyhow::Result<Self> {
        let certificates = Certificates::create(&folder.join("pki"))?;
        let acceptor = TlsAcceptor::from(Arc::new(tls(&certificates, client_ca)?));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen as a backend")?;
        let address = listener.local_addr().context("listen as a backend")?;
        let object = |size: &usize| (format!("{COLLECTION}/{}", name(*size)), vec![b'x'; *size].into());
        let objects = Arc::new(sizes.iter().map(object).collect());
        let bodies = Bodies { objects, served: Arc::default() };
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, acceptor, bodies.clone()));
        Ok(Self { address, certificates, bodies, _serving: serving })
    }

    /// The file of the CA that signed its certificate, which is for [`BACKEND`].
    pub(crate) fn ca(&self) -> std::path::PathBuf {
        self.certificates.file("ca.crt")
    }

    /// How many objects were asked for so far: an answer that did not come from here is no proxy's work.
    pub(crate) fn served(&self) -> u64 {
        self.bodies.served.load(Ordering::Relaxed)
    }

    /// The path of the object of this size.
    pub(crate) fn object(size: usize) -> String {
        format!("{COLLECTION}/{}", name(size))
    }

    /// The path of a watch, which says one word and stays open.
    pub(crate) fn watch() -> String {
        format!("{COLLECTION}?watch=true")
    }

    /// The objects that register it with an aggregator, each with the path that it is created at.
    ///
    /// # Errors
    /// When the CA cannot be read.
    pub(crate) fn registration(&self) -> anyhow::Result<[(&'static str, serde_json::Value); 2]> {
        use base64::Engine as _;
        let ca = std::fs::read(self.ca()).context("read the backend's CA")?;
        let (service, _) = BACKEND.split_once('.').unwrap_or_default();
        Ok([
            (
                "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames",
                serde_json::json!({
                    "apiVersion": "service.grafana.app/v0alpha1", "kind": "ExternalName",
                    "metadata": {"name": service, "namespace": "default"},
                    "spec": {"host": self.address.ip().to_string()},
                }),
            ),
            (
                "/apis/apiregistration.k8s.io/v1/apiservices",
                serde_json::json!({
                    "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                    "metadata": {"name": format!("v1.{GROUP}")},
                    "spec": {
                        "group": GROUP, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
                        "caBundle": base64::engine::general_purpose::STANDARD.encode(ca),
                        "service": {"name": service, "namespace": "default", "port": self.address.port()},
                    },
                }),
            ),
        ])
    }
}

fn name(size: usize) -> String {
    format!("bytes-{size}")
}

fn tls(certificates: &Certificates, client_ca: &Path) -> anyhow::Result<ServerConfig> {
    let read =
        |path: &Path| CertificateDer::from_pem_file(path).with_context(|| format!("read {}", path.display()));
    let mut roots = RootCertStore::empty();
    roots.add(read(client_ca)?).context("trust the proxies' CA")?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
    let key = PrivateKeyDer::from_pem_file(certificates.file("server.key")).context("read a key")?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![read(&certificates.file("server.crt"))?], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, bodies: Bodies) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(serve(stream, acceptor.clone(), bodies.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A proxy that goes away, or cannot shake hands, sees its own errors.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, bodies: Bodies) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let answer = bodies.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    let _ = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

impl Bodies {
    fn answer(&self, request: &Request<Incoming>) -> Response<RequestBody> {
        let path = request.uri().path();
        let object = self.objects.iter().find(|(name, _)| name == path).map(|(_, body)| body.clone());
        self.served.fetch_add(u64::from(object.is_some()), Ordering::Relaxed);
        let body = match path {
            _ if object.is_some() => RequestBody::whole(object),
            COLLECTION => RequestBody::open(Bytes::from_static(EVENT.as_bytes())),
            "/apis/bench.example.com/v1" => RequestBody::whole(Some(DISCOVERY.into())),
            _ => {
                let mut response = Response::new(RequestBody::whole(None));
                *response.status_mut() = StatusCode::NOT_FOUND;
                return response;
            }
        };
        let mut response = Response::new(body);
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
