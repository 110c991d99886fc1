//! TLS as every client of an API server expects it: our serving certificate, and client certificates if they like.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// The certificates do not make a server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The serving certificate or its key is no good.
    #[error("use the serving certificate: {0}")]
    Serving(#[from] rustls::Error),
    /// The client CA is no good.
    #[error("use the client CA: {0}")]
    ClientCa(#[from] rustls::server::VerifierBuilderError),
}

/// A configuration that shows `chain`, and verifies the certificate of a client that has one against `client_ca`.
///
/// A client without a certificate may still bring a token; one with a certificate of another CA is refused.
///
/// # Errors
/// When a certificate or key cannot be used.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_ca: CertificateDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(client_ca)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
