//! A client of the API server that we delegate to: one JSON request, one answer, within bounds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::kubeconfig::Kubeconfig;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes an answer may have.
const MAX_ANSWER: usize = 3 * 1024 * 1024;

/// Asks the API server that a kubeconfig names. A question has a connection of its own: there are few.
pub(super) struct Client {
    config: Kubeconfig,
    tls: TlsConnector,
}

impl Client {
    pub(super) fn new(config: Kubeconfig) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&config.certificate_authority) {
            roots.add(certificate.context("read certificate-authority-data")?)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let tls = match &config.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(key).context("read client-key-data")?;
                builder.with_client_auth_cert(chain.context("read client-certificate-data")?, key)?
            }
        };
        Ok(Self { config, tls: TlsConnector::from(Arc::new(tls)) })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn create(&self, path: &str, object: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, object.to_string().into()).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
        let answer = tokio::time::timeout(TIMEOUT, self.send(method, path, body)).await;
        answer
            .context("wait for the answer")
            .flatten()
            .with_context(|| format!("ask {}{path}", self.config.server))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a server of its own, which asks the one that its kubeconfig names"
    )]
    async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
        let server = &self.config.server;
        let host = server.host().context("find a host in the server's URL")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, server.port_u16().unwrap_or(443))).await.context("connect")?;
        let name = ServerName::try_from(host.to_owned()).context("use the host as a TLS name")?;
        let stream = self.tls.connect(name, stream).await.context("shake hands")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("begin HTTP")?;
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        request = request
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.config.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).context("make the request")?;
        let answered = async {
            let answer = sender.send_request(request).await.context("send")?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            let Ok(body) = body else { bail!("read the answer: it ends early, or is too long") };
            ensure!(status.is_success(), "the answer is {status}");
            serde_json::from_slice(&body.to_bytes()).context("read the answer as JSON")
        };
        tokio::select! {
            answer = answered => answer,
            Err(error) = connection => Err(error).context("keep the connection"),
        }
    }
}
