//! A verified client certificate's subject is the identity: CN is the user, each O is a group.

use detectviz_api::Identity;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::x509::AttributeTypeAndValue;

/// The subject attribute that carries the user's uid, as upstream's x509 authenticator reads it.
const UID_OID: &str = "1.3.6.1.4.1.57683.2";

/// Why a certificate names no user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not one whole DER certificate.
    #[error("certificate is not one DER-encoded X.509 certificate")]
    Malformed,
    /// The subject has no, or an empty, common name.
    #[error("subject must have a common name (CN): it is the user name")]
    NoCommonName,
    /// The subject has an attribute twice that may be there once; which one counts would be a guess.
    #[error("subject must have only one {0}")]
    Repeated(&'static str),
    /// An attribute is not UTF-8, printable or IA5 text. Leaving it out could drop a group that a rule denies.
    #[error("subject's {0} must be text")]
    NotText(&'static str),
}

/// The identity that the certificate `der` speaks for: CN = name, every O = a group, the attribute
/// 1.3.6.1.4.1.57683.2 = uid. Rule: upstream's `CommonNameUserConversion`, stricter where that would guess.
///
/// Signature, dates and key usage are the TLS layer's to check, before this is called.
///
/// # Errors
/// [`CertificateError`] when the subject does not name exactly one user.
pub fn identity_from_certificate(der: &[u8]) -> Result<Identity, CertificateError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
    if !rest.is_empty() {
        return Err(CertificateError::Malformed);
    }
    let subject = certificate.subject();
    let name = at_most_one(subject.iter_common_name(), "common name (CN)")?
        .filter(|name| !name.is_empty())
        .ok_or(CertificateError::NoCommonName)?;
    let groups = subject
        .iter_organization()
        .map(|attribute| text(attribute, "organization (O)").map(str::to_owned))
        .collect::<Result<Vec<_>, _>>()?;
    let mut identity = Identity::authenticated(name, groups);
    identity.uid = at_most_one(uids(subject), "uid")?.unwrap_or_default().to_owned();
    Ok(identity)
}

fn uids<'a>(subject: &'a X509Name<'a>) -> impl Iterator<Item = &'a AttributeTypeAndValue<'a>> {
    subject.iter_attributes().filter(|attribute| attribute.attr_type().to_id_string() == UID_OID)
}

fn at_most_one<'a>(
    mut attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
    what: &'static str,
) -> Result<Option<&'a str>, CertificateError> {
    let first = attributes.next().map(|attribute| text(attribute, what)).transpose()?;
    if attributes.next().is_some() {
        return Err(CertificateError::Repeated(what));
    }
    Ok(first)
}

fn text<'a>(
    attribute: &'a AttributeTypeAndValue<'a>,
    what: &'static str,
) -> Result<&'a str, CertificateError> {
    attribute.as_str().map_err(|_| CertificateError::NotText(what))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    /// A self-signed certificate with this subject. rcgen keeps one attribute a type, hence custom types.
    pub(crate) fn certificate(subject: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (attribute, value) in subject {
            params.distinguished_name.push(attribute.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn organization() -> DnType {
        DnType::CustomDnType(vec![2, 5, 4, 10])
    }

    #[test]
    fn the_subject_is_the_identity() {
        let der = certificate(&[
            (DnType::OrganizationName, "dev"),
            (organization(), "ops"),
            (DnType::CommonName, "alice"),
            (DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 57683, 2]), "u-1"),
        ]);
        let identity = identity_from_certificate(&der).unwrap();
        assert_eq!((identity.name.as_str(), identity.uid.as_str()), ("alice", "u-1"));
        assert_eq!(identity.groups, ["dev", "ops", "system:authenticated"]);
    }

    #[test]
    fn a_subject_without_exactly_one_user_is_refused() {
        let second_name = DnType::CustomDnType(vec![2, 5, 4, 3]);
        let cases: [(&[(DnType, &str)], CertificateError); 3] = [
            (&[(DnType::OrganizationName, "dev")], CertificateError::NoCommonName),
            (&[(DnType::CommonName, "")], CertificateError::NoCommonName),
            (
                &[(DnType::CommonName, "a"), (second_name, "b")],
                CertificateError::Repeated("common name (CN)"),
            ),
        ];
        for (subject, why) in cases {
            assert_eq!(identity_from_certificate(&certificate(subject)), Err(why), "{subject:?}");
        }
    }

    #[test]
    fn what_is_not_one_certificate_is_refused() {
        let mut two = certificate(&[(DnType::CommonName, "a")]);
        two.push(0);
        for der in [&two[..], b"", b"junk"] {
            assert_eq!(identity_from_certificate(der), Err(CertificateError::Malformed));
        }
    }
}
