//! How a backend proves who it is to us, and we to it. Trust is explicit: a CA bundle, given roots, or a stated
//! refusal to check; there is no fall back to whatever the machine trusts.

mod cache;
pub(crate) mod explain;
mod insecure;
mod trust;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use cache::Cache;

/// A certificate chain and its key, by which we prove who we are to a backend that asks.
pub struct ClientIdentity {
    /// The chain, the end-entity certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

impl ClientIdentity {
    /// When the certificate expires; `None` for one that cannot be read, or that never does.
    pub fn expiry(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(not_after(self.chain.first()?)?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// What we expect of a backend, and what we show it.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// The only CAs that may have signed the backend's certificate, in PEM: `spec.caBundle`.
    pub ca_bundle_pem: Option<Bytes>,
    /// CAs to trust when there is no bundle.
    pub roots: Option<Arc<RootCertStore>>,
    /// The DNS name or IP address that the certificate must be for; also sent as SNI.
    pub server_name: String,
    /// Take any certificate: `spec.insecureSkipTLSVerify`. Whoever sits between us and the backend then reads and
    /// changes everything.
    pub insecure_skip_verify: bool,
    /// Shown to a backend that asks for a client certificate.
    pub client_identity: Option<Arc<ClientIdentity>>,
}

/// Why the options make no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nothing says whom to trust.
    #[error("no CA bundle is given: set one, or skip verification explicitly")]
    NoTrust,
    /// To check and not to check.
    #[error("a CA bundle must not be combined with skipping verification")]
    Contradiction,
    /// The bundle is not PEM.
    #[error("read the CA bundle")]
    Pem(#[source] pem::Error),
    /// The bundle is PEM without any certificate.
    #[error("CA bundle must contain at least one certificate")]
    EmptyBundle,
    /// A certificate of the bundle cannot be a trust anchor.
    #[error("read certificate {position} of the CA bundle")]
    Bundle {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The name is neither a DNS name nor an IP address.
    #[error("server name {name:?} must be a DNS name or an IP address")]
    ServerName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        source: InvalidDnsNameError,
    },
    /// Our own certificate and key do not fit together.
    #[error("use the client certificate")]
    Identity(#[source] rustls::Error),
}

impl TlsOptions {
    /// The configuration for connections to this backend; which protocol is spoken is for the caller to add.
    ///
    /// # Errors
    /// [`TlsError`] when the options contradict each other, or a certificate cannot be read.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for TLS 1.2 and 1.3");
        let builder = match self.trusted(&provider)? {
            Trust::Roots(roots) => builder.with_root_certificates(roots),
            Trust::Those(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
        };
        let mut config = match &self.client_identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Signer::of(identity, &provider)?),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(config)
    }

    /// The name that the backend's certificate must carry.
    ///
    /// # Errors
    /// [`TlsError::ServerName`] when it is neither a DNS name nor an IP address.
    pub fn server_name(&self) -> Result<ServerName<'static>, TlsError> {
        let name = self.server_name.clone();
        ServerName::try_from(name.clone()).map_err(|source| TlsError::ServerName { name, source })
    }

    fn trusted(&self, provider: &Arc<CryptoProvider>) -> Result<Trust, TlsError> {
        match (&self.ca_bundle_pem, &self.roots) {
            (Some(_), _) if self.insecure_skip_verify => Err(TlsError::Contradiction),
            (Some(pem), _) => {
                Ok(Trust::Those(BUNDLES.get(pem.clone(), || trust::Bundle::read(pem, provider))?))
            }
            _ if self.insecure_skip_verify => Ok(Trust::Those(Arc::new(insecure::AnyServer::new(provider)))),
            (None, Some(roots)) => Ok(Trust::Roots(roots.clone())),
            (None, None) => Err(TlsError::NoTrust),
        }
    }
}

enum Trust {
    Roots(Arc<RootCertStore>),
    Those(Arc<dyn ServerCertVerifier>),
}

/// How many sessions of one backend may be resumed: each saves a handshake its signatures.
const SESSIONS: usize = 16;

/// Bundles in use, by their text.
static BUNDLES: Cache<Bytes, trust::Bundle> = Cache::new();
/// Identities in use, by where they are: each keeps its own from being another's place.
static SIGNERS: Cache<usize, Signer> = Cache::new();

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())).clone()
}

/// An identity whose key was read.
#[derive(Debug)]
struct Signer {
    inner: SingleCertAndKey,
    _identity: Arc<ClientIdentity>,
}

impl Signer {
    fn of(identity: &Arc<ClientIdentity>, provider: &CryptoProvider) -> Result<Arc<Self>, TlsError> {
        SIGNERS.get(Arc::as_ptr(identity).addr(), || {
            let key = CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), provider);
            let inner = SingleCertAndKey::from(key.map_err(TlsError::Identity)?);
            Ok(Self { inner, _identity: identity.clone() })
        })
    }
}

impl ResolvesClientCert for Signer {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        ResolvesClientCert::resolve(&self.inner, hints, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Reads a CA bundle. A certificate that cannot be read fails the whole bundle, since dropping it would turn a
/// mistake of today into a failed handshake of later.
///
/// # Errors
/// [`TlsError`] naming the certificate at fault.
pub fn read_bundle(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = certificate.map_err(TlsError::Pem)?;
        roots.add(certificate).map_err(|source| TlsError::Bundle { position: index + 1, source })?;
    }
    if roots.is_empty() { Err(TlsError::EmptyBundle) } else { Ok(roots) }
}

/// When a certificate expires, in seconds since 1970; `None` for one that cannot be read.
pub(crate) fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> TlsOptions {
        TlsOptions { server_name: "backend.test".into(), ..TlsOptions::default() }
    }

    fn with_bundle(pem: &'static str) -> TlsOptions {
        TlsOptions { ca_bundle_pem: Some(Bytes::from_static(pem.as_bytes())), ..options() }
    }

    #[test]
    fn trust_must_be_stated_once() {
        assert!(matches!(options().client_config(), Err(TlsError::NoTrust)));
        let both = TlsOptions { insecure_skip_verify: true, ..with_bundle("") };
        assert!(matches!(both.client_config(), Err(TlsError::Contradiction)));
        assert!(TlsOptions { insecure_skip_verify: true, ..options() }.client_config().is_ok());
        let given = TlsOptions { roots: Some(Arc::new(RootCertStore::empty())), ..options() };
        assert!(given.client_config().is_ok());
    }

    #[test]
    fn a_bundle_must_be_certificates() {
        assert!(matches!(with_bundle("").client_config(), Err(TlsError::EmptyBundle)));
        assert!(matches!(with_bundle("junk").client_config(), Err(TlsError::EmptyBundle)));
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(with_bundle(cut).client_config(), Err(TlsError::Pem(_))));
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(with_bundle(hollow).client_config(), Err(TlsError::Bundle { position: 1, .. })));
    }

    #[test]
    fn equal_bundles_are_read_once() {
        let key = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let options = || TlsOptions { ca_bundle_pem: Some(Bytes::from(key.cert.pem())), ..options() };
        let [Trust::Those(first), Trust::Those(second)] =
            [options(), options()].map(|options| options.trusted(&provider()).unwrap())
        else {
            panic!("a bundle is a verifier")
        };
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_server_name_is_a_dns_name_or_an_address() {
        for name in ["a", "a.b", "127.0.0.1", "::1"] {
            assert!(TlsOptions { server_name: name.into(), ..options() }.server_name().is_ok(), "{name}");
        }
        for name in ["", "a b", "[::1]", "a:443"] {
            assert!(TlsOptions { server_name: name.into(), ..options() }.server_name().is_err(), "{name}");
        }
    }
}
