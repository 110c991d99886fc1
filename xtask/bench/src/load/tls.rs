//! TLS with a client certificate, as an administrator's client has it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Protocol;

/// One cipher suite, so that nobody is faster by the choice of another.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384];
    Arc::new(CryptoProvider { cipher_suites: suites, ..aws_lc_rs::default_provider() })
}

/// Whom to trust, and who we are.
#[derive(Clone)]
pub(crate) struct Credentials(ClientConfig);

impl Credentials {
    /// Reads PEM files: the CA of the server, and the certificate and key of the client.
    ///
    /// # Errors
    /// When a file cannot be read, or does not fit the others.
    pub(crate) fn load(ca: &Path, certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            CertificateDer::from_pem_file(path).with_context(|| format!("read {}", path.display()))
        };
        let mut roots = RootCertStore::empty();
        roots.add(read(ca)?).context("trust the server's CA")?;
        let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("read {}", key.display()))?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![read(certificate)?], key)
            .context("use the client certificate")?;
        // Each connection costs the server what a first one does.
        config.resumption = Resumption::disabled();
        Ok(Self(config))
    }

    /// The configuration for connections of one protocol.
    pub(super) fn speaking(&self, protocol: Protocol) -> Arc<ClientConfig> {
        let mut config = self.0.clone();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        Arc::new(config)
    }
}
