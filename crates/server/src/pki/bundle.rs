//! Bundles of CAs that several writers add to: what was trusted stays so until it ends.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::time::Duration;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How long after its end a certificate is still passed on; clocks differ. Upstream's slack.
const SLACK: Duration = Duration::from_mins(5);

/// The certificates of `there` and then those of `ours`, in PEM: each once, and none that ended before `now`. Whatever
/// is no certificate is left out.
pub fn merged_bundle(there: &str, ours: &str, now: OffsetDateTime) -> String {
    let mut kept: Vec<CertificateDer<'_>> = Vec::new();
    let mut merged = String::new();
    for bundle in [there, ours] {
        for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()).flatten() {
            if !kept.contains(&certificate) && lasts(&certificate, now) {
                merged.push_str(&pem(&certificate));
                kept.push(certificate);
            }
        }
    }
    merged
}

/// These certificates in PEM, one behind the other.
pub fn pem_bundle(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|certificate| pem(certificate)).collect()
}

fn lasts(certificate: &[u8], now: OffsetDateTime) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.validity().not_after.to_datetime() + SLACK > now)
}

fn pem(certificate: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn certificate(days: i64) -> String {
        let mut params = CertificateParams::default();
        params.not_after = OffsetDateTime::now_utc() + time::Duration::days(days);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn count(bundle: &str) -> usize {
        CertificateDer::pem_slice_iter(bundle.as_bytes()).count()
    }

    #[test]
    fn what_was_trusted_stays_until_it_ends() {
        let (old, new, ended) = (certificate(1), certificate(2), certificate(-1));
        let now = OffsetDateTime::now_utc();
        let merged = merged_bundle(&format!("{ended}{old}"), &new, now);
        assert_eq!(count(&merged), 2);
        assert_eq!(merged_bundle(&merged, &new, now), merged, "to merge twice is to merge once");
        assert_eq!(merged_bundle("no PEM", &old, now), merged_bundle("", &format!("{old}{old}"), now));
        assert_eq!(merged_bundle(&ended, "", now), "");
    }
}
