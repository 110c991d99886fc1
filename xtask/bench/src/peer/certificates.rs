//! Certificates for the peers: one CA, one server and one client certificate, as files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::load::Credentials;

/// What a proxy calls its backend: the name of a Service.
pub(crate) const BACKEND: &str = "bench.default.svc";

/// The files of a peer's certificates.
pub(super) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes and writes them; ECDSA on P-256, as the server under test has.
    pub(super) fn create(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let own = Self { folder: folder.to_owned() };
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "benchmark");
        let key = KeyPair::generate().context("make a key")?;
        own.write("ca.crt", &ca.self_signed(&key).context("sign a CA")?.pem())?;
        let issuer = Issuer::new(ca, key);
        own.sign(&issuer, "server", ExtendedKeyUsagePurpose::ServerAuth)?;
        own.sign(&issuer, "client", ExtendedKeyUsagePurpose::ClientAuth)?;
        Ok(own)
    }

    fn sign(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> anyhow::Result<()> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), BACKEND.to_owned()];
        let mut params = CertificateParams::new(names).context("name a certificate")?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().context("make a key")?;
        let certificate = params.signed_by(&key, issuer).context("sign a certificate")?;
        self.write(&format!("{name}.crt"), &certificate.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write(&self, name: &str, pem: &str) -> anyhow::Result<()> {
        std::fs::write(self.file(name), pem).with_context(|| format!("write {name}"))
    }

    /// `ca.crt`, `server.crt`, `server.key`, `client.crt` or `client.key`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a client needs.
    pub(super) fn credentials(&self) -> anyhow::Result<Credentials> {
        Credentials::load(&self.file("ca.crt"), &self.file("client.crt"), &self.file("client.key"))
    }
}
