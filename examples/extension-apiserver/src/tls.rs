//! Two trust decisions in one place: which certificate we show, and which CA a front proxy, or a user, must come from.
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
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::delegate::Believed;
use crate::identity::{FrontProxies, Signer, VerifiedPeer};
use crate::options::Options;

/// What does not change while the server runs: the certificate that it shows.
pub(crate) struct Serving {
    certificate: Certificate,
    provider: Arc<CryptoProvider>,
}

/// A chain, its key, and the PEM that vouches for it.
struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca_bundle: String,
}

/// Whom the server believes, and how it speaks to them.
pub(crate) struct Trust {
    /// The TLS configuration: HTTP/2 and HTTP/1.1 by ALPN, optional client certificate of a CA that is believed.
    pub(crate) config: Arc<ServerConfig>,
    /// The front proxies among those who have a certificate.
    pub(crate) front_proxies: FrontProxies,
    front_proxy_verifier: Arc<dyn ClientCertVerifier>,
}

impl Serving {
    /// Reads or makes the serving certificate.
    ///
    /// # Errors
    /// Names the file that is missing, empty or not PEM.
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let certificate = match (&options.tls_cert_file, &options.tls_private_key_file) {
            (Some(chain), Some(key)) => read_certificate(chain, key)?,
            _ => make_certificate(&options.tls_server_name, options.bind_address)?,
        };
        Ok(Self { certificate, provider: Arc::new(aws_lc_rs::default_provider()) })
    }

    /// PEM that clients should trust: the CA made at start, or the given certificate file as it is.
    pub(crate) fn ca_bundle(&self) -> &str {
        &self.certificate.ca_bundle
    }

    /// Believes these, and no others.
    ///
    /// # Errors
    /// When a CA is none, or there is no CA of front proxies.
    pub(crate) fn trust(&self, believed: &Believed) -> anyhow::Result<Trust> {
        let front_proxy_verifier =
            self.verifier(&[&believed.front_proxy_ca]).context("trust front proxies")?;
        let verifier =
            self.verifier(&[&believed.front_proxy_ca, &believed.client_ca]).context("trust users")?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .context("select TLS versions")?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.certificate.chain.clone(), self.certificate.key.clone_key())
            .context("use serving certificate")?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let front_proxies = FrontProxies { allowed_names: believed.front_proxy_names.clone() };
        Ok(Trust { config: Arc::new(config), front_proxies, front_proxy_verifier })
    }

    fn verifier(&self, bundles: &[&str]) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        for certificate in bundles.iter().flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes())) {
            roots.add(certificate.context("read PEM")?).context("add CA certificate")?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .allow_unauthenticated()
            .build()
            .context("build verifier")
    }
}

impl Trust {
    /// Who is at the other end, if TLS verified a certificate.
    pub(crate) fn peer(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<VerifiedPeer> {
        let (leaf, between) = chain?.split_first()?;
        let verified = self.front_proxy_verifier.verify_client_cert(leaf, between, UnixTime::now());
        let signer = if verified.is_ok() { Signer::FrontProxy } else { Signer::Users };
        Some(VerifiedPeer::new(leaf, signer))
    }
}

/// Whom the options say to believe.
///
/// # Errors
/// Names the file that cannot be read.
pub(crate) fn believed(options: &Options) -> anyhow::Result<Believed> {
    let file =
        options.requestheader_client_ca_file.as_ref().context("read --requestheader-client-ca-file")?;
    // Read as a chain first: what is wrong with it is told with its name.
    read_chain(file)?;
    let front_proxy_ca =
        std::fs::read_to_string(file).with_context(|| format!("read certificate file {}", file.display()))?;
    let front_proxy_names = options.requestheader_allowed_names.clone();
    Ok(Believed { client_ca: String::new(), front_proxy_ca, front_proxy_names })
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
