//! TLS as every client of an API server expects it: our serving certificate, and client certificates if they like. Both
//! may be replaced while connections are open: a new connection sees what is new, an old one keeps what it has, for as
//! long as what its client has proved still counts.

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

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

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read, or is no PEM.
    #[error("read {what} {}: {why}", file.display())]
    Read {
        /// What is in the file.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        why: pem::Error,
    },
    /// It holds something else.
    #[error("{} must hold {expected} in PEM", file.display())]
    Lacks {
        /// The file.
        file: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// The key does not fit the certificate, or cannot be used.
    #[error("use {} with the key {}: {}", certificate.display(), key.display(), unfit(why))]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        why: rustls::Error,
    },
}

fn unfit(why: &rustls::Error) -> String {
    match why {
        rustls::Error::InconsistentKeys(_) => {
            "the key is another certificate's; while both are being replaced, this ends with the second"
                .to_owned()
        }
        why => why.to_string(),
    }
}

/// A certificate, what stands between it and its CA, and its key.
pub struct PemPair {
    /// In the order of a handshake.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

impl PemPair {
    /// The pair in two files.
    ///
    /// # Errors
    /// When a file cannot be read, or the key does not fit.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, FileError> {
        let chain = read_certificates(certificate, "the certificate")?;
        let read = |why| FileError::Read { what: "the key", file: key.to_owned(), why };
        let pair = Self { chain, key: PrivateKeyDer::from_pem_file(key).map_err(read)? };
        let fits = certified(pair.copy(), &rustls::crypto::aws_lc_rs::default_provider());
        fits.map_err(|why| FileError::Unfit {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            why,
        })?;
        Ok(pair)
    }

    /// The same once more.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// The CAs in a file.
///
/// # Errors
/// When it cannot be read, has no certificate, or one that is no CA's.
pub fn read_client_cas(file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let cas = read_certificates(file, "the client CAs")?;
    match cas.iter().all(crate::pki::is_ca) {
        true => Ok(cas),
        false => Err(FileError::Lacks { file: file.to_owned(), expected: "certificates of CAs alone" }),
    }
}

fn read_certificates(file: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let read = |why| FileError::Read { what, file: file.to_owned(), why };
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(read)?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(FileError::Lacks { file: file.to_owned(), expected: "a certificate" }),
    }
}

/// What the listener shows, and whom it believes.
pub struct Credentials {
    /// The certificate of this server's own CA.
    pub own: PemPair,
    /// The certificate that somebody gave the server. It is shown unless a client asks by a name that only
    /// [`Self::own`] has.
    pub given: Option<PemPair>,
    /// The CAs of clients' certificates. A client without a certificate may still bring a token; one with a certificate
    /// of another CA is refused.
    pub client_cas: Vec<CertificateDer<'static>>,
}

/// The listener's TLS, as it is now and changes.
pub struct ListenerTls(watch::Sender<Arc<Trust>>);

/// TLS at one moment.
pub(super) struct Trust {
    pub(super) config: Arc<ServerConfig>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl ListenerTls {
    /// TLS with `credentials`.
    ///
    /// # Errors
    /// When a certificate or key cannot be used.
    pub fn new(credentials: Credentials) -> Result<Self, TlsError> {
        Ok(Self(watch::Sender::new(Arc::new(Trust::new(credentials)?))))
    }

    /// New connections meet `credentials`; those whose client's certificate counts no longer are ended.
    ///
    /// # Errors
    /// When a certificate or key cannot be used; all stays as it is then.
    pub fn replace(&self, credentials: Credentials) -> Result<(), TlsError> {
        self.0.send_replace(Arc::new(Trust::new(credentials)?));
        Ok(())
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Trust>> {
        self.0.subscribe()
    }
}

impl Trust {
    fn new(credentials: Credentials) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for ca in credentials.client_cas {
            roots.add(ca)?;
        }
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
        let shown = Certificates {
            own: certified(credentials.own, &provider)?,
            given: credentials.given.map(|given| certified(given, &provider)).transpose()?,
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::clone(&clients))
            .with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), clients })
    }

    /// Whether a handshake with this certificate chain would succeed now.
    pub(super) fn believes(&self, chain: &[CertificateDer<'static>]) -> bool {
        let Some((leaf, intermediates)) = chain.split_first() else { return true };
        self.clients.verify_client_cert(leaf, intermediates, UnixTime::now()).is_ok()
    }
}

/// The key fits the certificate, or this fails.
fn certified(shown: PemPair, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, rustls::Error> {
    CertifiedKey::from_der(shown.chain, shown.key, provider).map(Arc::new)
}

#[derive(Debug)]
struct Certificates {
    own: Arc<CertifiedKey>,
    given: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let given = self.given.as_ref().unwrap_or(&self.own);
        let only_own =
            client.server_name().is_some_and(|name| !covers(given, name) && covers(&self.own, name));
        Some(Arc::clone(if only_own { &self.own } else { given }))
    }
}

fn covers(key: &CertifiedKey, name: &str) -> bool {
    let (Ok(leaf), Ok(name)) = (key.end_entity_cert(), ServerName::try_from(name)) else { return false };
    ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
}
