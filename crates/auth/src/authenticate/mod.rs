//! A request's proofs become one [`Identity`], or the request is refused; a bad proof never counts as none.

mod token;
mod x509;

use arc_swap::ArcSwap;
use detectviz_api::Identity;
use std::sync::Arc;

pub use token::{Fault, TokenTable, bearer_token};
pub use x509::{CertificateError, identity_from_certificate};

/// What a request brought along to prove who sends it.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The client's end-entity certificate in DER. The TLS layer has already verified its signature, dates and
    /// usage against the **client** CA; without that it proves nothing.
    pub peer_certificate: Option<&'a [u8]>,
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a str>,
}

/// The proof was no good: 401. The text never contains the proof.
#[derive(Debug, thiserror::Error)]
pub enum Unauthorized {
    /// The certificate verified, but it names no user.
    #[error("cannot read an identity from the client certificate")]
    Certificate(#[from] CertificateError),
    /// The bearer token is not one of ours.
    #[error("bearer token is not known")]
    Token,
}

/// Every way to prove an identity, tried in one fixed order.
#[derive(Default)]
pub struct Authenticator {
    tokens: ArcSwap<TokenTable>,
}

impl Authenticator {
    /// Accepts client certificates and the tokens of `tokens`.
    pub fn new(tokens: TokenTable) -> Self {
        Self { tokens: ArcSwap::from_pointee(tokens) }
    }

    /// Accepts the tokens of `tokens` from now on, and no other.
    pub fn set_tokens(&self, tokens: TokenTable) {
        self.tokens.store(Arc::new(tokens));
    }

    /// The caller's identity: by certificate, else by bearer token, else anonymous.
    ///
    /// An `Authorization` of another scheme than `Bearer` is not ours to judge and counts as nothing, as
    /// upstream has it.
    ///
    /// # Errors
    /// [`Unauthorized`] when a proof was presented and is no good. It is never read as "anonymous": a caller
    /// with a mistyped token must learn that, instead of being told what anonymous may not do.
    pub fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Identity, Unauthorized> {
        if let Some(der) = credentials.peer_certificate {
            return Ok(identity_from_certificate(der)?);
        }
        match credentials.authorization.and_then(bearer_token) {
            Some(token) => self.tokens.load().lookup(token).ok_or(Unauthorized::Token),
            None => Ok(Identity::anonymous()),
        }
    }

    /// Whose bearer token this is, for somebody else who was shown it; `None` where no token can be anybody's.
    ///
    /// # Errors
    /// When it is nobody's.
    pub fn review_token(&self, token: &str) -> Result<Option<Identity>, Unauthorized> {
        let tokens = self.tokens.load();
        if tokens.is_empty() {
            return Ok(None);
        }
        tokens.lookup(token).map(Some).ok_or(Unauthorized::Token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticator() -> Authenticator {
        Authenticator::new(TokenTable::parse("t0k3n,alice,u1,dev").unwrap())
    }

    fn by_header(authorization: &str) -> Result<Identity, Unauthorized> {
        authenticator()
            .authenticate(&Credentials { peer_certificate: None, authorization: Some(authorization) })
    }

    #[test]
    fn nothing_presented_is_anonymous() {
        assert!(authenticator().authenticate(&Credentials::default()).unwrap().is_anonymous());
        assert!(by_header("Basic dTpw").unwrap().is_anonymous());
    }

    #[test]
    fn a_bad_token_is_refused_rather_than_anonymous() {
        assert_eq!(by_header("Bearer t0k3n").unwrap().name, "alice");
        for bad in ["Bearer wrong", "Bearer", "bearer ", "Bearer t0k3n t0k3n"] {
            let refused = by_header(bad).unwrap_err();
            assert!(matches!(refused, Unauthorized::Token), "{bad}");
            assert!(!refused.to_string().contains("t0k3n"));
        }
    }

    #[test]
    fn other_tokens_count_at_once() {
        let authenticator = authenticator();
        let who = |token: &str| {
            let header = format!("Bearer {token}");
            let asked = Credentials { peer_certificate: None, authorization: Some(&header) };
            authenticator.authenticate(&asked).ok().map(|identity| identity.name)
        };
        assert_eq!((who("t0k3n"), who("new")), (Some("alice".to_owned()), None));
        authenticator.set_tokens(TokenTable::parse("new,bob,").ok().unwrap());
        assert_eq!((who("t0k3n"), who("new")), (None, Some("bob".to_owned())));
    }

    #[test]
    fn a_token_can_be_reviewed_where_there_are_any() {
        assert_eq!(authenticator().review_token("t0k3n").unwrap().unwrap().name, "alice");
        assert!(matches!(authenticator().review_token("wrong"), Err(Unauthorized::Token)));
        assert!(matches!(Authenticator::default().review_token("t0k3n"), Ok(None)));
    }

    #[test]
    fn a_certificate_is_read_before_a_token() {
        let der = x509::tests::certificate(&[(rcgen::DnType::CommonName, "bob")]);
        let both = Credentials { peer_certificate: Some(&der), authorization: Some("Bearer t0k3n") };
        assert_eq!(authenticator().authenticate(&both).unwrap().name, "bob");

        let nameless = x509::tests::certificate(&[(rcgen::DnType::OrganizationName, "dev")]);
        let both = Credentials { peer_certificate: Some(&nameless), ..both };
        assert!(matches!(authenticator().authenticate(&both), Err(Unauthorized::Certificate(_))));
    }
}
