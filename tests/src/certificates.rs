//! Certificates that a test signs, with its own CA or with one of the server's.

use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A CA that signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
pub struct Certificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A new one that nobody trusts.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("make a key");
        let pem = params.self_signed(&key).expect("sign a CA").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The one in the files `PATH.crt` and `PATH.key`.
    pub fn load(path: &Path) -> Self {
        let read = |ending: &str| {
            let file = path.with_extension(ending);
            std::fs::read_to_string(&file).unwrap_or_else(|fault| panic!("read {}: {fault}", file.display()))
        };
        let key = KeyPair::from_pem(&read("key")).expect("read a CA's key");
        let pem = read("crt");
        Self { issuer: Issuer::from_ca_cert_pem(&pem, key).expect("read a CA"), pem }
    }

    /// The CA's own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The CA's own certificate, in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("read our own CA")
    }

    /// A certificate and its key, both in PEM, for a server of this name.
    pub fn server(&self, name: &str) -> (String, String) {
        self.server_until(name, 365)
    }

    /// Like [`Self::server`], for so many days from now.
    pub fn server_until(&self, name: &str, days: u32) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("use a server name");
        params.not_after = (SystemTime::now() + Duration::from_hours(24 * u64::from(days))).into();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("make a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("sign a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// A client certificate for a user, in a group if one is given.
    pub fn client(&self, user: &str, group: Option<&str>) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("make a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("sign a certificate");
        Certificate {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }
}

impl Certificate {
    /// The certificate and its key, both in PEM.
    pub fn pem(&self) -> (String, String) {
        (pem("CERTIFICATE", &self.chain[0]), pem("PRIVATE KEY", self.key.secret_der()))
    }

    /// The one in the files `PATH.crt` and `PATH.key`.
    pub fn load(path: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(path.with_extension("crt"));
        let key = PrivateKeyDer::from_pem_file(path.with_extension("key"));
        Self { chain: vec![certificate.expect("read a certificate")], key: key.expect("read a key") }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
