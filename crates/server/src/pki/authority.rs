//! A CA: made once, then only ever read. Replacing one would lock out everyone who trusts it, so whatever is wrong
//! with its files is an error for a person, not a reason to begin anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::PkiError;
use super::files;

/// Ten years: a CA's end is an outage that somebody must plan.
const VALIDITY: Duration = Duration::from_hours(24 * 3653);
/// Clocks differ a little; a certificate is valid from a little before it was made.
pub(super) const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// One CA, its certificate, and its key to sign with. Behind the certificate its file may hold those of CAs that are to be
/// believed as well: the one before it, until nothing that it signed is in use.
pub struct Authority {
    certificate_path: PathBuf,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The CA in `DIR/NAME.crt` and `DIR/NAME.key`.
    ///
    /// The key is written before the certificate. A crash in between leaves a key alone, and the certificate is
    /// made for it then: whoever might trust that key keeps doing so.
    pub(super) fn load_or_create(dir: &Path, name: &str) -> Result<Self, PkiError> {
        let (certificate_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        let (pem, key) = (files::read(&certificate_path)?, files::read_private(&key_path)?);
        match (pem, key) {
            (Some(_), None) => Err(PkiError::KeyMissing { path: key_path }),
            (Some(pem), Some(key)) => {
                Self::open(certificate_path, pem, read_key(&key_path, &key)?, &key_path)
            }
            (None, Some(key)) => Self::create(certificate_path, name, read_key(&key_path, &key)?, &key_path),
            (None, None) => {
                let issue = |source| PkiError::Issue { path: key_path.clone(), source };
                let key = KeyPair::generate().map_err(issue)?;
                files::write(&key_path, &key.serialize_pem(), files::PRIVATE)?;
                Self::create(certificate_path, name, key, &key_path)
            }
        }
    }

    fn create(path: PathBuf, name: &str, key: KeyPair, key_path: &Path) -> Result<Self, PkiError> {
        let made = parameters(name).self_signed(&key);
        let pem = made.map_err(|source| PkiError::Issue { path: path.clone(), source })?.pem();
        files::write(&path, &pem, files::PUBLIC)?;
        Self::open(path, pem, key, key_path)
    }

    fn open(path: PathBuf, pem: String, key: KeyPair, key_path: &Path) -> Result<Self, PkiError> {
        let expected = "one CA certificate in PEM, and behind it perhaps those that it takes over from";
        let malformed = || PkiError::Malformed { path: path.clone(), expected };
        let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let mut others = all.map_err(|_| malformed())?;
        if others.is_empty() || !others.iter().all(is_ca) {
            return Err(malformed());
        }
        let certificate = others.remove(0);
        {
            let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| malformed())?;
            if parsed.public_key().raw != key.subject_public_key_info() {
                return Err(PkiError::Mismatch { key: key_path.to_owned(), certificate: path });
            }
            if parsed.validity().not_after.to_datetime() <= OffsetDateTime::now_utc() {
                return Err(PkiError::Expired { path });
            }
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| malformed())?;
        Ok(Self { certificate_path: path, certificate_pem: pem, certificate, others, issuer })
    }

    /// The file of the CA's certificate.
    pub fn certificate_path(&self) -> &Path {
        &self.certificate_path
    }

    /// The CA's file, in PEM: what a `caBundle` or a kubeconfig holds.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's certificate in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// All certificates in its file: its own, and those of CAs that are believed as well.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        [&self.certificate].into_iter().chain(&self.others)
    }

    /// Trust in what is in its file, and in nothing else.
    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates() {
            roots.add(certificate.clone()).expect("it was read as a CA's when it was loaded");
        }
        Arc::new(roots)
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

/// Whether the certificate is a CA's.
pub fn is_ca(certificate: &CertificateDer<'static>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.is_ca())
}

fn read_key(path: &Path, pem: &str) -> Result<KeyPair, PkiError> {
    let expected = "a private key in PEM (PKCS#8)";
    KeyPair::from_pem(pem).map_err(|_| PkiError::Malformed { path: path.to_owned(), expected })
}

fn parameters(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - CLOCK_SKEW, now + VALIDITY);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("detectviz-{name}"));
    // It signs end entities only: nobody below it can sign in its name.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
