//! A certificate that a CA of ours signed: reused while a verifier would still accept it in 30 days, else made anew.
//!
//! The question "is it still good" is put to the verifier that will be asked in earnest, so expiry, chain, usage and
//! names cannot be judged differently here and there.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, UnixTime};
use time::OffsetDateTime;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, X509Certificate};

use super::authority::{Authority, CLOCK_SKEW};
use super::error::PkiError;
use super::files;

const VALIDITY: Duration = Duration::from_hours(24 * 365);
/// A certificate that ends this soon is renewed at the start. A server that runs longer than that without a restart
/// is the rotation's business.
const RENEW_BEFORE: Duration = Duration::from_hours(24 * 30);

/// What a leaf certificate is for.
pub(super) struct Purpose<'a> {
    /// The files' name without ending.
    pub(super) file: &'a str,
    pub(super) common_name: &'a str,
    pub(super) organization: Option<&'a str>,
    pub(super) usage: Usage<'a>,
}

/// Which side of a connection shows the certificate.
pub(super) enum Usage<'a> {
    Server { names: &'a [String], ips: &'a [IpAddr] },
    Client,
}

/// A certificate and its key.
pub struct Leaf {
    certificate_path: PathBuf,
    key_path: PathBuf,
    certificate_pem: String,
    key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Leaf {
    pub(super) fn load_or_issue(
        dir: &Path,
        purpose: &Purpose<'_>,
        authority: &Authority,
    ) -> Result<Self, PkiError> {
        let certificate_path = dir.join(format!("{}.crt", purpose.file));
        let key_path = dir.join(format!("{}.key", purpose.file));
        let (certificate, key) = (files::read(&certificate_path)?, files::read_private(&key_path)?);
        if let (Some(certificate), Some(key)) = (certificate, key)
            && let Some(leaf) = Self::from_pem(certificate_path.clone(), key_path.clone(), certificate, key)
            && leaf.is_good_for(purpose, authority)
        {
            return Ok(leaf);
        }
        Self::issue(certificate_path, key_path, purpose, authority)
    }

    /// Key first: a crash in between leaves a pair that does not match, which the next start renews.
    fn issue(
        certificate_path: PathBuf,
        key_path: PathBuf,
        purpose: &Purpose<'_>,
        authority: &Authority,
    ) -> Result<Self, PkiError> {
        let (certificate, key) = sign(purpose, authority)
            .map_err(|source| PkiError::Issue { path: certificate_path.clone(), source })?;
        files::write(&key_path, &key, files::PRIVATE)?;
        files::write(&certificate_path, &certificate, files::PUBLIC)?;
        let malformed =
            PkiError::Malformed { path: certificate_path.clone(), expected: "a certificate in PEM" };
        Self::from_pem(certificate_path, key_path, certificate, key).ok_or(malformed)
    }

    fn from_pem(
        certificate_path: PathBuf,
        key_path: PathBuf,
        certificate_pem: String,
        key_pem: String,
    ) -> Option<Self> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).collect::<Result<_, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).ok()?;
        Some(Self { certificate_path, key_path, certificate_pem, key_pem, chain, key })
    }

    fn is_good_for(&self, purpose: &Purpose<'_>, authority: &Authority) -> bool {
        let now = Duration::from_secs(UnixTime::now().as_secs());
        let soon = UnixTime::since_unix_epoch(now + RENEW_BEFORE);
        let Some((leaf, intermediates)) = self.chain.split_first() else { return false };
        let key_fits =
            CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), &aws_lc_rs::default_provider());
        key_fits.is_ok()
            && has_subject(leaf, purpose)
            && match purpose.usage {
                Usage::Client => is_client(leaf, intermediates, authority, soon),
                Usage::Server { names, ips } => {
                    is_server(leaf, intermediates, authority, soon, &server_names(names, ips))
                }
            }
    }

    /// The file of the certificate.
    pub fn certificate_path(&self) -> &Path {
        &self.certificate_path
    }

    /// The file of the key, mode 600.
    pub fn key_path(&self) -> &Path {
        &self.key_path
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The key in PEM (PKCS#8). For files of mode 600 only, never for a log.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The certificate with whatever stands between it and the CA, in the order of a handshake.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

fn has_subject(leaf: &CertificateDer<'_>, purpose: &Purpose<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return false };
    let subject = parsed.subject();
    let names = subject.iter_common_name().map(AttributeTypeAndValue::as_str);
    let organizations = subject.iter_organization().map(AttributeTypeAndValue::as_str);
    names.flatten().eq([purpose.common_name]) && organizations.flatten().eq(purpose.organization)
}

fn is_client(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authority: &Authority,
    at: UnixTime,
) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(authority.roots(), provider)
        .build()
        .is_ok_and(|verifier| verifier.verify_client_cert(leaf, intermediates, at).is_ok())
}

fn is_server(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authority: &Authority,
    at: UnixTime,
    names: &[Result<ServerName<'static>, InvalidDnsNameError>],
) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else { return false };
    let known = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let (roots, covers) =
        (authority.roots(), |name: &ServerName<'_>| verify_server_name(&parsed, name).is_ok());
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, at, known).is_ok()
        && names.iter().all(|name| name.as_ref().is_ok_and(covers))
}

fn server_names(names: &[String], ips: &[IpAddr]) -> Vec<Result<ServerName<'static>, InvalidDnsNameError>> {
    let ips = ips.iter().map(|ip| Ok(ServerName::from(*ip)));
    names.iter().map(|name| ServerName::try_from(name.clone())).chain(ips).collect()
}

/// The certificate and its new key, both in PEM.
fn sign(purpose: &Purpose<'_>, authority: &Authority) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = parameters(purpose)?.signed_by(&key, authority.issuer())?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn parameters(purpose: &Purpose<'_>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - CLOCK_SKEW, now + VALIDITY);
    params.distinguished_name = DistinguishedName::new();
    if let Some(organization) = purpose.organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, purpose.common_name);
    // States CA:FALSE instead of leaving it out.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![match purpose.usage {
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        Usage::Server { .. } => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    if let Usage::Server { names, ips } = purpose.usage {
        let names = names.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
        let ips = ips.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
        params.subject_alt_names = names.chain(ips).collect::<Result<_, rcgen::Error>>()?;
    }
    Ok(params)
}
