//! Two trust decisions in one place: which certificate we show, and which CA a front proxy must come from.
//!
//! The verifier accepts a client without a certificate, since probes have none, and fails the handshake of a
//! client with a certificate of any other CA. What an absent certificate may do is decided in [`crate::handler`].

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rcgen::{DnType, KeyUsagePurpose, SanType};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::options::Options;

/// What the listener needs, and what a launcher needs to trust it.
pub(crate) struct Serving {
    /// The TLS configuration: HTTP/2 and HTTP/1.1 by ALPN, optional front-proxy client certificate.
    pub(crate) config: Arc<ServerConfig>,
    /// PEM that clients should trust: the CA made at start, or the given certificate file as it is.
    pub(crate) ca_bundle: String,
}

/// A chain, its key, and the PEM that vouches for it.
struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca_bundle: String,
}

/// Builds the TLS configuration from the options, reading or making the serving certificate.
///
/// # Errors
/// Names the file that is missing, empty or not PEM.
pub(crate) fn serving(options: &Options) -> anyhow::Result<Serving> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = front_proxy_verifier(&options.requestheader_client_ca_file, &provider)?;
    let certificate = match (&options.tls_cert_file, &options.tls_private_key_file) {
        (Some(chain), Some(key)) => read_certificate(chain, key)?,
        _ => make_certificate(&options.tls_server_name, options.bind_address)?,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("select TLS versions")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificate.chain, certificate.key)
        .context("use serving certificate")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Serving { config: Arc::new(config), ca_bundle: certificate.ca_bundle })
}

fn front_proxy_verifier(
    ca_file: &Path,
    provider: &Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(ca_file)? {
        roots.add(certificate).with_context(|| format!("trust certificate in {}", ca_file.display()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .context("build front-proxy verifier")
}

fn read_certificate(chain: &Path, key: &Path) -> anyhow::Result<Certificate> {
    let ca_bundle = std::fs::read_to_string(chain)
        .with_context(|| format!("read certificate file {}", chain.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("read private key {}", key.display()))?;
    Ok(Certificate { chain: read_chain(chain)?, key, ca_bundle })
}

fn read_chain(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || format!("read certificate file {}", file.display());
    let chain = CertificateDer::pem_file_iter(file)
        .with_context(read)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(read)?;
    ensure!(!chain.is_empty(), "find a certificate in {}: it holds no PEM CERTIFICATE block", file.display());
    Ok(chain)
}

/// Makes a CA that signs exactly one certificate and whose key is dropped here.
fn make_certificate(server_names: &[String], address: IpAddr) -> anyhow::Result<Certificate> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(DnType::CommonName, "extension-apiserver-ca");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?).context("sign serving CA")?;

    let mut names = vec!["localhost".to_owned()];
    names.extend_from_slice(server_names);
    let mut leaf = CertificateParams::new(names).context("use --tls-server-name")?;
    leaf.distinguished_name.push(DnType::CommonName, "extension-apiserver");
    leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::from([127, 0, 0, 1])));
    if !address.is_unspecified() && !address.is_loopback() {
        leaf.subject_alt_names.push(SanType::IpAddress(address));
    }
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &ca).context("sign serving certificate")?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(Certificate { chain: vec![leaf.der().clone()], key, ca_bundle: ca.pem() })
}
