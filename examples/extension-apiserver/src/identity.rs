//! Who is asking: the headers of a front proxy, and only those of a front proxy; or whose certificate TLS saw.
//!
//! A pure decision over what TLS proved and what the request says. Nothing here reads the `Authorization` header:
//! whose a token is, only [`crate::delegate`] can tell.

use std::collections::BTreeMap;

use http::HeaderMap;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use crate::query::percent_decode;

const USER: &str = "x-remote-user";
const UID: &str = "x-remote-uid";
const GROUP: &str = "x-remote-group";
const EXTRA_PREFIX: &str = "x-remote-extra-";

/// The user that the front proxy vouches for.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Identity {
    /// The user's name, never empty.
    pub(crate) user: String,
    /// The user's unique id, empty where the front proxy knows none.
    pub(crate) uid: String,
    /// The groups in the order of their headers.
    pub(crate) groups: Vec<String>,
    /// Extra values by lower-case key, percent-decoded.
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

/// Why a request has no identity. The client is told only `Unauthorized`; the log gets this.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The connection has no client certificate.
    #[error("no client certificate")]
    NoCertificate,
    /// The certificate is of the right CA and belongs to someone who is no front proxy.
    #[error("common name {0:?} of the client certificate is not an allowed front proxy")]
    CommonName(Option<String>),
    /// The front proxy sent no user.
    #[error("header {USER} is missing or empty")]
    NoUser,
    /// A header that names one thing came several times: someone appended to what they should have replaced.
    #[error("header {0} is present more than once")]
    Repeated(&'static str),
    /// A header's value is not UTF-8.
    #[error("header {0} is not UTF-8")]
    NotText(String),
}

/// Whose CA signed a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The front proxies'.
    FrontProxy,
    /// The users'.
    Users,
}

/// Who is at the other end of a connection. It is made once a connection.
#[derive(Debug, Clone)]
pub(crate) enum VerifiedPeer {
    /// Who has a client certificate whose chain TLS verified against the front-proxy CA, with this common name.
    FrontProxy(Option<String>),
    /// Who has one that it verified against the users' CA, with this common name and these organizations.
    User(Option<String>, Vec<String>),
    /// Who may open our socket: the file's permissions are the proof.
    Socket,
}

impl VerifiedPeer {
    /// Reads the subject of the certificate that `rustls` verified. A subject with no or several common names has none.
    pub(crate) fn new(certificate: &CertificateDer<'_>, signer: Signer) -> Self {
        let parsed = x509_parser::parse_x509_certificate(certificate).ok().map(|(_, parsed)| parsed);
        let common_name = parsed.as_ref().and_then(|parsed| {
            let mut names = parsed.subject().iter_common_name();
            let name = names.next()?.as_str().ok()?.to_owned();
            names.next().is_none().then_some(name)
        });
        if signer == Signer::FrontProxy {
            return Self::FrontProxy(common_name);
        }
        let organizations = parsed.iter().flat_map(|parsed| parsed.subject().iter_organization());
        let organizations = organizations.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect();
        Self::User(common_name, organizations)
    }
}

/// Which verified certificates are front proxies.
#[derive(Debug)]
pub(crate) struct FrontProxies {
    /// The allowed common names; empty allows every certificate of the CA.
    pub(crate) allowed_names: Vec<String>,
}

impl FrontProxies {
    /// Turns what TLS proved and what the headers say into an identity.
    ///
    /// # Errors
    /// The first reason to refuse, checked before any header is looked at.
    pub(crate) fn identify(
        &self,
        peer: Option<&VerifiedPeer>,
        headers: &HeaderMap,
    ) -> Result<Identity, Refusal> {
        let peer = peer.ok_or(Refusal::NoCertificate)?;
        match peer {
            VerifiedPeer::User(name, organizations) => return user(name.as_ref(), organizations),
            VerifiedPeer::FrontProxy(name) if !self.allows(name.as_ref()) => {
                return Err(Refusal::CommonName(name.clone()));
            }
            VerifiedPeer::FrontProxy(_) | VerifiedPeer::Socket => {}
        }
        let user = single(headers, USER)?.ok_or(Refusal::NoUser)?;
        let uid = single(headers, UID)?.unwrap_or_default();
        Ok(Identity { user, uid, groups: texts(headers, GROUP)?, extra: extra(headers)? })
    }

    fn allows(&self, common_name: Option<&String>) -> bool {
        self.allowed_names.is_empty() || common_name.is_some_and(|name| self.allowed_names.contains(name))
    }
}

/// The user that a certificate names, as Kubernetes reads it.
fn user(common_name: Option<&String>, organizations: &[String]) -> Result<Identity, Refusal> {
    let user = common_name.filter(|name| !name.is_empty()).cloned();
    let user = user.ok_or_else(|| Refusal::CommonName(common_name.cloned()))?;
    let mut groups = organizations.to_vec();
    groups.push("system:authenticated".to_owned());
    Ok(Identity { user, groups, ..Identity::default() })
}

fn single(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    let mut values = texts(headers, name)?;
    let value = values.pop();
    if values.is_empty() { Ok(value) } else { Err(Refusal::Repeated(name)) }
}

/// The values of `name` that are not empty.
fn texts(headers: &HeaderMap, name: &str) -> Result<Vec<String>, Refusal> {
    let text = |value: &http::HeaderValue| {
        std::str::from_utf8(value.as_bytes())
            .map(str::to_owned)
            .map_err(|_| Refusal::NotText(name.to_owned()))
    };
    headers.get_all(name).iter().filter(|value| !value.is_empty()).map(text).collect()
}

fn extra(headers: &HeaderMap) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let mut extra = BTreeMap::<_, Vec<_>>::new();
    for name in headers.keys() {
        let Some(key) = name.as_str().strip_prefix(EXTRA_PREFIX) else { continue };
        let key = percent_decode(key, false).unwrap_or_else(|| key.to_owned());
        extra.entry(key).or_default().extend(texts(headers, name.as_str())?);
    }
    Ok(extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> VerifiedPeer {
        VerifiedPeer::FrontProxy(Some(name.to_owned()))
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn check(
        peer: Option<&VerifiedPeer>,
        lines: &[(&'static str, &'static str)],
    ) -> Result<Identity, Refusal> {
        FrontProxies { allowed_names: vec!["front-proxy-client".to_owned()] }.identify(peer, &headers(lines))
    }

    #[test]
    fn the_front_proxy_speaks_for_the_user() {
        let identity = check(
            Some(&peer("front-proxy-client")),
            &[
                ("x-remote-user", "jane"),
                ("x-remote-uid", "7"),
                ("x-remote-group", "crew"),
                ("x-remote-group", "a, b"),
                ("x-remote-extra-acme.com%2fteam", "red"),
                ("x-remote-extra-acme.com%2fteam", "blue"),
            ],
        );
        let extra = BTreeMap::from([("acme.com/team".to_owned(), vec!["red".to_owned(), "blue".to_owned()])]);
        let groups = vec!["crew".to_owned(), "a, b".to_owned()];
        assert_eq!(identity, Ok(Identity { user: "jane".to_owned(), uid: "7".to_owned(), groups, extra }));
    }

    #[test]
    fn headers_without_a_certificate_are_worth_nothing() {
        assert_eq!(check(None, &[("x-remote-user", "root")]), Err(Refusal::NoCertificate));
    }

    #[test]
    fn another_common_name_of_the_same_ca_is_refused() {
        let refusal = check(Some(&peer("someone")), &[("x-remote-user", "root")]);
        assert_eq!(refusal, Err(Refusal::CommonName(Some("someone".to_owned()))));
    }

    #[test]
    fn an_empty_list_allows_any_certificate_of_the_ca() {
        let any = FrontProxies { allowed_names: Vec::new() };
        assert!(any.identify(Some(&peer("someone")), &headers(&[("x-remote-user", "jane")])).is_ok());
    }

    #[test]
    fn a_missing_or_empty_user_is_refused() {
        let proxy = peer("front-proxy-client");
        assert_eq!(check(Some(&proxy), &[("x-remote-group", "system:masters")]), Err(Refusal::NoUser));
        assert_eq!(check(Some(&proxy), &[("x-remote-user", "")]), Err(Refusal::NoUser));
    }

    #[test]
    fn two_users_are_refused() {
        let lines = [("x-remote-user", "jane"), ("x-remote-user", "root")];
        assert_eq!(check(Some(&peer("front-proxy-client")), &lines), Err(Refusal::Repeated("x-remote-user")));
    }

    #[test]
    fn who_may_open_the_socket_is_believed() {
        let identity = check(Some(&VerifiedPeer::Socket), &[("x-remote-user", "jane")]).unwrap();
        assert_eq!(identity.user, "jane");
        assert!(matches!(check(Some(&VerifiedPeer::Socket), &[]), Err(Refusal::NoUser)));
    }

    #[test]
    fn the_common_name_is_read_from_the_certificate() {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "front-proxy-client");
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let peer = VerifiedPeer::new(certificate.der(), Signer::FrontProxy);
        assert!(matches!(peer, VerifiedPeer::FrontProxy(Some(name)) if name == "front-proxy-client"));
    }

    #[test]
    fn a_user_is_who_the_certificate_names_whatever_the_headers_say() {
        let user = VerifiedPeer::User(Some("front-proxy-client".to_owned()), vec!["crew".to_owned()]);
        let identity = check(Some(&user), &[("x-remote-user", "root"), ("x-remote-group", "system:masters")]);
        let groups = vec!["crew".to_owned(), "system:authenticated".to_owned()];
        let expected = Identity { user: "front-proxy-client".to_owned(), groups, ..Identity::default() };
        assert_eq!(identity, Ok(expected));
        let nobody = VerifiedPeer::User(None, Vec::new());
        assert_eq!(check(Some(&nobody), &[]), Err(Refusal::CommonName(None)));
    }
}
