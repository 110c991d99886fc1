//! A front proxy in miniature: certificates of two CAs, the real binary, and a client that shows what it is told to.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Long enough that only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A CA that signs client certificates.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn client(&self, common_name: &str) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        ClientCertificate { chain: vec![certificate.der().clone()], key: key.serialize_der() }
    }
}

pub(crate) struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

/// The running binary; it is killed with the value.
pub(crate) struct Server {
    child: Child,
    port: u16,
    roots: Arc<RootCertStore>,
    pub(crate) front_proxy: Ca,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts the binary, which trusts `front-proxy-client` of its own front-proxy CA, with three flights in it.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let front_proxy = Ca::new("front-proxy-ca");
        let (ca, info) = (folder.path().join("ca.pem"), folder.path().join("info.json"));
        std::fs::write(&ca, front_proxy.0.pem()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_extension-apiserver"))
            .args(["--requestheader-allowed-names", "front-proxy-client", "--seed"])
            .args(["--tls-server-name", "flights.default.svc"])
            .arg("--requestheader-client-ca-file")
            .arg(&ca)
            .arg("--write-info")
            .arg(&info)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let info = wait_for_info(&info, &mut child).await;
        let bundle =
            base64::engine::general_purpose::STANDARD.decode(info["caBundle"].as_str().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&bundle).unwrap()).unwrap();
        let port = u16::try_from(info["port"].as_u64().unwrap()).unwrap();
        Self { child, port, roots: Arc::new(roots), front_proxy, _folder: folder }
    }

    /// A client with this certificate, or with none.
    pub(crate) fn client(&self, certificate: Option<&ClientCertificate>) -> Client {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots));
        let config = match certificate {
            None => config.with_no_client_auth(),
            Some(certificate) => {
                let key = PrivateKeyDer::Pkcs8(certificate.key.clone().into());
                config.with_client_auth_cert(certificate.chain.clone(), key).unwrap()
            }
        };
        Client { port: self.port, tls: Arc::new(config), headers: Vec::new() }
    }

    /// A front proxy that speaks for a user in these groups.
    pub(crate) fn proxy(&self, user: &str, groups: &[&str]) -> Client {
        let mut client = self.client(Some(&self.front_proxy.client("front-proxy-client")));
        client.headers.push(("x-remote-user".to_owned(), user.to_owned()));
        client.headers.extend(groups.iter().map(|group| ("x-remote-group".to_owned(), (*group).to_owned())));
        client
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) async fn terminate(mut self) -> std::process::ExitStatus {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        tokio::time::timeout(HANG, self.child.wait()).await.expect("the server should stop").unwrap()
    }
}

async fn wait_for_info(file: &Path, child: &mut Child) -> Value {
    loop {
        if let Ok(text) = std::fs::read_to_string(file) {
            return serde_json::from_str(&text).unwrap();
        }
        assert_eq!(child.try_wait().unwrap(), None, "the server should be running");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One connection a request, with fixed headers.
#[derive(Clone)]
pub(crate) struct Client {
    port: u16,
    tls: Arc<ClientConfig>,
    pub(crate) headers: Vec<(String, String)>,
}

/// What came back, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same client over HTTP/2.
    pub(crate) fn http2(mut self) -> Self {
        Arc::make_mut(&mut self.tls).alpn_protocols = vec![b"h2".to_vec()];
        self
    }

    /// Sends the request and returns the answer's head with a body that is still open.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("https://flights.default.svc{path}"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = self.exchange(request.body(Full::new(body.into()))?);
        tokio::time::timeout(HANG, answer).await?
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        #[allow(
            clippy::disallowed_methods,
            reason = "this is a test peer, independent of the platform's dial policy"
        )]
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = ServerName::try_from("flights.default.svc")?;
        let stream = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        // Either connection ends with its sender and the answer's body.
        if http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            return Ok(sender.send_request(request).await?);
        }
        request.headers_mut().insert("host", "flights.default.svc".parse()?);
        *request.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse()?;
        let (mut sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }

    /// Sends the request and reads the answer whole, as JSON where it is.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Failure> {
        let (head, body) = self.open(method, path, body).await?.into_parts();
        let body = tokio::time::timeout(HANG, body.collect()).await??.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer { code: head.status, headers: head.headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await.unwrap()
    }

    pub(crate) async fn write(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(method, path, body.to_string()).await.unwrap()
    }

    pub(crate) async fn watch(&self, path: &str) -> Events {
        let answer = self.open(Method::GET, path, "").await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Events { body: answer.into_body(), buffer: Vec::new() }
    }
}

/// The events of a watch.
pub(crate) struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event, or `None` once the server has ended the watch cleanly.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.drain(..=end).collect::<Vec<_>>();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(HANG, self.body.frame()).await.expect("an event or an end");
            self.buffer.extend_from_slice(&frame?.unwrap().into_data().unwrap());
        }
    }

    /// The next event's type and the name of its object.
    pub(crate) async fn next_named(&mut self) -> (String, String) {
        let event = self.next().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}
