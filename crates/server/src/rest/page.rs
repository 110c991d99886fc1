//! Pages of a list: all of one snapshot, whatever is written between them. A token says where the next page begins and
//! of which revision; it is only a hint, since a page never leaves the keys that its own path is about.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use detectviz_api::options::{ListOptions, VersionMatch};
use detectviz_api::{Reason, Status};
use detectviz_storage::cache::{CacheError, Listing};
use serde::{Deserialize, Serialize};

use super::{Call, cache_fault};

/// What a token carries.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    v: String,
    /// The snapshot's revision.
    rv: u64,
    /// The key behind which the page begins, below the list's own.
    after: String,
}

/// The version of the token's form.
const FORM: &str = "detectviz.io/v1";

/// A snapshot, and where in it the list begins.
pub(super) struct Page {
    pub(super) listing: Listing,
    /// The key behind which it begins; empty for the first page.
    pub(super) after: String,
}

impl Call {
    /// The page that `options` ask for.
    ///
    /// # Errors
    /// 400 for a token that is none, 410 for a snapshot that is gone, 504 for a version that does not exist yet.
    pub(super) async fn page(&self, options: &ListOptions) -> Result<Page, Status> {
        let within = self.within();
        if let Some(text) = &options.continue_token {
            let token = Token::parse(text)?;
            self.reach(Some(token.rv)).await?;
            let listing = self.listing_at(&within, token.rv).map_err(too_old)?;
            return Ok(Page { listing, after: within + &token.after });
        }
        self.reach(options.resource_version).await?;
        let exact = options.resource_version.filter(|_| options.version_match == Some(VersionMatch::Exact));
        let listing = match exact {
            Some(version) => self.listing_at(&within, version).map_err(cache_fault)?,
            None => self.resource.backend.cache.list(&self.resource.prefix, &within),
        };
        Ok(Page { listing, after: String::new() })
    }

    fn listing_at(&self, within: &str, revision: u64) -> Result<Listing, CacheError> {
        self.resource.backend.cache.list_at(&self.resource.prefix, within, revision)
    }
}

/// The token of the page that begins behind `key` of the snapshot `revision`; `within` is what the list is about.
pub(super) fn next_page(within: &str, key: &str, revision: u64) -> String {
    let after = key.strip_prefix(within).unwrap_or_default().to_owned();
    let token = Token { v: FORM.to_owned(), rv: revision, after };
    URL_SAFE_NO_PAD.encode(serde_json::json!(token).to_string())
}

impl Token {
    fn parse(text: &str) -> Result<Self, Status> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|fault| invalid(&fault))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|fault| invalid(&fault))?;
        if token.v != FORM {
            return Err(invalid(&format!("its form is {:?}, {FORM:?} is known", token.v)));
        }
        Ok(token)
    }
}

fn invalid(why: &dyn std::fmt::Display) -> Status {
    Status::bad_request(format!("continue key is not valid: {why}"))
}

/// The snapshot of the first page is gone.
fn too_old(fault: CacheError) -> Status {
    match fault {
        CacheError::Expired { .. } => Status::failure(
            Reason::Expired,
            "The provided continue parameter is too old to display a consistent list result. You must start a new list \
             without the continue parameter.",
        ),
        other => cache_fault(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_nothing_else_is_one() {
        let text = next_page(
            "/registry/core/configmaps/root/default/",
            "/registry/core/configmaps/root/default/a",
            7,
        );
        assert_eq!(Token::parse(&text).unwrap(), Token { v: FORM.into(), rv: 7, after: "a".into() });
        let other = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":7,"after":"a"}"#);
        for text in ["x", "%", "", &URL_SAFE_NO_PAD.encode("{}"), &other] {
            assert_eq!(Token::parse(text).unwrap_err().code, 400, "{text}");
        }
    }
}
