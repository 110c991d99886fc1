//! The folder as a whole: what is made, what is kept, what is refused, and who can pose as whom.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::{WebPkiServerVerifier, danger::ServerCertVerifier as _};
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{ServerName, UnixTime};
use tempfile::TempDir;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;

const CAS: [&str; 3] = ["serving-ca", "client-ca", "front-proxy-ca"];
const LEAVES: [&str; 3] = ["serving", "admin", "front-proxy-client"];

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn load(folder: &TempDir) -> Result<Pki, PkiError> {
    Pki::load_or_create(&folder.path().join("pki"), &PkiRequest::default())
}

fn path(folder: &TempDir, file: &str) -> std::path::PathBuf {
    folder.path().join("pki").join(file)
}

/// Every file with its content and when it was last written.
fn contents(folder: &TempDir) -> BTreeMap<String, (String, std::time::SystemTime)> {
    let entries = fs::read_dir(folder.path().join("pki")).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let (text, modified) =
                (fs::read_to_string(entry.path()).unwrap(), entry.metadata().unwrap().modified().unwrap());
            (entry.file_name().into_string().unwrap(), (text, modified))
        })
        .collect()
}

fn changed(before: &BTreeMap<String, (String, std::time::SystemTime)>, folder: &TempDir) -> Vec<String> {
    let after = contents(folder);
    after.into_iter().filter(|(name, found)| before.get(name) != Some(found)).map(|(name, _)| name).collect()
}

fn accepts_client(authority: &Authority, leaf: &Leaf) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider).build().unwrap();
    verifier.verify_client_cert(&leaf.chain()[0], &leaf.chain()[1..], UnixTime::now()).is_ok()
}

fn accepts_server(authority: &Authority, leaf: &Leaf, name: &str) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(authority.roots(), provider).build().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&leaf.chain()[0], &[], &name, &[], UnixTime::now()).is_ok()
}

/// Replaces a leaf by one of the same key and subject that ends in `days` from now.
fn let_end_in(folder: &TempDir, pki: &Pki, file: &str, days: i64) {
    let certificate = fs::read(path(folder, &format!("{file}.crt"))).unwrap();
    let key = KeyPair::from_pem(&fs::read_to_string(path(folder, &format!("{file}.key"))).unwrap()).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&certificate).unwrap();
    let (_, parsed) = X509Certificate::from_der(&pem.contents).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (rcgen::DnType::OrganizationName, parsed.subject().iter_organization().next()),
        (rcgen::DnType::CommonName, parsed.subject().iter_common_name().next()),
    ] {
        if let Some(value) = value {
            params.distinguished_name.push(kind, value.as_str().unwrap());
        }
    }
    params.not_after = OffsetDateTime::now_utc() + time::Duration::days(days);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let again = params.signed_by(&key, pki.client_ca().issuer()).unwrap();
    fs::write(path(folder, &format!("{file}.crt")), again.pem()).unwrap();
}

#[test]
fn a_first_start_makes_everything_and_closes_the_keys() {
    let folder = folder();
    load(&folder).unwrap();
    let mode = |file: &str| fs::metadata(path(&folder, file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in CAS.iter().chain(&LEAVES) {
        assert_eq!((mode(&format!("{name}.key")), mode(&format!("{name}.crt"))), (0o600, 0o644), "{name}");
        let key = fs::read_to_string(path(&folder, &format!("{name}.key"))).unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "{name} must be PKCS#8");
    }
    assert_eq!(contents(&folder).len(), 12, "nothing temporary may stay");
}

#[test]
fn a_second_start_writes_nothing() {
    let folder = folder();
    let first = load(&folder).unwrap();
    let before = contents(&folder);
    let second = load(&folder).unwrap();
    assert_eq!(changed(&before, &folder), [""; 0]);
    assert_eq!(first.client_ca_fingerprint(), second.client_ca_fingerprint());
    assert_eq!(first.client_ca_fingerprint().len(), 64);
}

#[test]
fn no_ca_vouches_for_what_another_signed() {
    let pki = load(&folder()).unwrap();
    let (admin, proxy, serving) = (pki.admin(), pki.front_proxy_client(), pki.serving());
    assert!(accepts_client(pki.client_ca(), admin));
    assert!(accepts_client(pki.front_proxy_ca(), proxy));
    for (authority, leaf) in [
        (pki.front_proxy_ca(), admin),
        (pki.serving_ca(), admin),
        (pki.client_ca(), proxy),
        (pki.serving_ca(), proxy),
        (pki.client_ca(), serving),
        // The right CA, but a certificate for the other side of a connection.
        (pki.serving_ca(), serving),
    ] {
        assert!(!accepts_client(authority, leaf), "{}", leaf.certificate_path().display());
    }
    assert!(accepts_server(pki.serving_ca(), serving, "localhost"));
    assert!(!accepts_server(pki.client_ca(), serving, "localhost"));
    assert!(!accepts_server(pki.client_ca(), admin, "admin"));
}

#[test]
fn the_administrator_is_a_master() {
    let pki = load(&folder()).unwrap();
    let identity = detectviz_auth::authenticate::identity_from_certificate(&pki.admin().chain()[0]).unwrap();
    assert_eq!((identity.name.as_str(), identity.is_in(SYSTEM_MASTERS)), ("admin", true));
}

#[test]
fn the_serving_certificate_covers_what_is_asked() {
    let folder = folder();
    let pki = load(&folder).unwrap();
    for name in ["localhost", "kubernetes", "kubernetes.default.svc", "127.0.0.1", "::1"] {
        assert!(accepts_server(pki.serving_ca(), pki.serving(), name), "{name}");
    }
    assert!(!accepts_server(pki.serving_ca(), pki.serving(), "192.0.2.7"));
    let before = contents(&folder);
    let request = PkiRequest {
        serving_names: vec!["api.test".into()],
        serving_ips: vec!["192.0.2.7".parse().unwrap(), "127.0.0.1".parse().unwrap()],
    };
    let pki = Pki::load_or_create(&folder.path().join("pki"), &request).unwrap();
    assert_eq!(changed(&before, &folder), ["serving.crt", "serving.key"]);
    for name in ["localhost", "192.0.2.7", "api.test"] {
        assert!(accepts_server(pki.serving_ca(), pki.serving(), name), "{name}");
    }
    let before = contents(&folder);
    load(&folder).unwrap();
    assert_eq!(changed(&before, &folder), [""; 0], "a certificate that covers more is good");
}

#[test]
fn a_leaf_that_ends_soon_is_renewed() {
    let folder = folder();
    let pki = load(&folder).unwrap();
    for (days, renewed) in
        [(40, &[][..]), (20, &["admin.crt", "admin.key"]), (-1, &["admin.crt", "admin.key"])]
    {
        let_end_in(&folder, &pki, "admin", days);
        let before = contents(&folder);
        load(&folder).unwrap();
        assert_eq!(changed(&before, &folder), renewed, "{days} days left");
    }
}

#[test]
fn a_leaf_that_is_damaged_or_somebody_elses_is_renewed() {
    let folder = folder();
    load(&folder).unwrap();
    for (file, content) in [
        ("admin.crt", "junk".to_owned()),
        ("admin.key", KeyPair::generate().unwrap().serialize_pem()),
        ("admin.crt", fs::read_to_string(path(&folder, "front-proxy-client.crt")).unwrap()),
    ] {
        fs::write(path(&folder, file), content).unwrap();
        let before = contents(&folder);
        let pki = load(&folder).unwrap();
        assert_eq!(changed(&before, &folder), ["admin.crt", "admin.key"], "{file}");
        assert!(accepts_client(pki.client_ca(), pki.admin()));
    }
}

#[test]
fn a_ca_is_never_replaced() {
    type Damage = fn(&TempDir);
    let cases: [(Damage, &str, &str); 6] = [
        (|f| fs::write(path(f, "client-ca.crt"), "junk").unwrap(), "client-ca.crt", "one CA certificate"),
        (|f| fs::write(path(f, "client-ca.key"), "junk").unwrap(), "client-ca.key", "a private key"),
        (|f| fs::remove_file(path(f, "client-ca.key")).unwrap(), "client-ca.key", "missing"),
        (
            |f| fs::copy(path(f, "serving-ca.key"), path(f, "client-ca.key")).map(drop).unwrap(),
            "client-ca.key",
            "is not the key of",
        ),
        (
            |f| {
                fs::copy(path(f, "admin.crt"), path(f, "client-ca.crt")).unwrap();
                fs::copy(path(f, "admin.key"), path(f, "client-ca.key")).unwrap();
            },
            "client-ca.crt",
            "one CA certificate",
        ),
        (
            |f| {
                let open = fs::Permissions::from_mode(0o644);
                fs::set_permissions(path(f, "client-ca.key"), open).unwrap();
            },
            "client-ca.key",
            "open to others (mode 644)",
        ),
    ];
    for (damage, file, why) in cases {
        let folder = folder();
        load(&folder).unwrap();
        damage(&folder);
        let before = contents(&folder);
        let error = load(&folder).err().unwrap().to_string();
        assert!(error.contains(file) && error.contains(why), "{error}");
        assert_eq!(changed(&before, &folder), [""; 0], "{why}");
    }
}

#[test]
fn a_ca_takes_over_from_the_one_before_it() {
    let (folder, other) = (folder(), self::folder());
    let (before, after) = (load(&folder).unwrap(), load(&other).unwrap());
    let both = format!("{}{}", after.client_ca().certificate_pem(), before.client_ca().certificate_pem());
    fs::write(path(&folder, "client-ca.crt"), both).unwrap();
    fs::copy(path(&other, "client-ca.key"), path(&folder, "client-ca.key")).unwrap();
    let during = load(&folder).unwrap();
    assert_eq!(during.client_ca().certificates().count(), 2);
    assert_eq!(during.client_ca_fingerprint(), after.client_ca_fingerprint(), "the first one signs");
    assert!(
        accepts_client(during.client_ca(), before.admin())
            && accepts_client(during.client_ca(), after.admin())
    );
    fs::write(path(&folder, "client-ca.crt"), after.client_ca().certificate_pem()).unwrap();
    let alone = load(&folder).unwrap();
    assert!(!accepts_client(alone.client_ca(), before.admin()), "what the old one signed is worth nothing");
    assert!(accepts_client(alone.client_ca(), alone.admin()), "and was signed anew");
}

#[test]
fn a_ca_whose_making_was_cut_short_keeps_its_key() {
    let folder = folder();
    load(&folder).unwrap();
    let admin = fs::read_to_string(path(&folder, "admin.crt")).unwrap();
    fs::remove_file(path(&folder, "client-ca.crt")).unwrap();
    let pki = load(&folder).unwrap();
    assert_eq!(pki.admin().certificate_pem(), admin, "what the key signed stays good");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = folder();
    fs::write(folder.path().join("pki"), "a file").unwrap();
    let error = load(&folder).err().unwrap();
    assert!(matches!(&error, PkiError::Write { path, .. } if path.ends_with("pki")), "{error}");
}

#[test]
fn a_kubeconfig_is_private_and_written_only_when_it_changes() {
    let folder = folder();
    let pki = load(&folder).unwrap();
    let file = folder.path().join("admin.kubeconfig");
    assert!(ensure_admin_kubeconfig(&file, &pki, "https://127.0.0.1:6443", None).unwrap());
    assert!(!ensure_admin_kubeconfig(&file, &pki, "https://127.0.0.1:6443", None).unwrap());
    assert!(ensure_admin_kubeconfig(&file, &pki, "https://[::1]:7", Some("own")).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\n    server: \"https://[::1]:7\"\n    tls-server-name: \"own\"\n"), "{text}");
}
