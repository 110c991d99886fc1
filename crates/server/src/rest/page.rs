//! Pages of a list: all of one snapshot, whatever is written between them. A token says where the next page begins and
//! of which revision; it is only a hint, since a page never leaves the keys that its own path is about. Nothing is held
//! between two pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use detectviz_api::options::ListOptions;
use detectviz_api::{Reason, Status};
use detectviz_storage::StoreError;
use detectviz_storage::cache::CacheError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

use super::list::Scope;
use super::source::Source;
use super::{Call, cache_fault, store_fault};
use crate::resource::Backend;

/// What a token carries.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    v: String,
    /// The snapshot's revision; [`NEWEST`] for whatever is there when the page is asked for.
    rv: i64,
    /// The key behind which the page begins, below the list's own.
    after: String,
    /// How many objects there are behind it, if that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<usize>,
}

/// The version of the token's form.
const FORM: &str = "detectviz.io/v1";
/// The revision of a token whose snapshot is gone; upstream's, too.
const NEWEST: i64 = -1;

const LIST_TOO_OLD: &str = "The resourceVersion for the provided list is too old.";
const CONTINUE_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder \
    of the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
    modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// A snapshot, and where in it the list begins.
pub(super) struct Page {
    pub(super) source: Source,
    /// The key behind which it begins; empty for the first page.
    pub(super) after: String,
    /// How many objects there are behind it, if the page before told.
    pub(super) left: Option<usize>,
}

impl Call {
    /// The page of `scope` that `options` ask for, of which no more than the first `most` objects are sent.
    ///
    /// # Errors
    /// 400 for a token that is none, 410 for a snapshot that is gone, 504 for a version that does not exist yet.
    pub(super) async fn page(
        &self,
        options: &ListOptions,
        scope: &Scope,
        most: Option<usize>,
    ) -> Result<Page, Status> {
        if let Some(text) = &options.continue_token {
            return self.next(Token::parse(text)?, scope, most).await;
        }
        self.reach(options.resource_version).await?;
        let source = match options.exact_version() {
            Some(version) => self.source_at(scope, version, "", most).await?,
            None => self.newest(scope),
        };
        Ok(Page { source, after: String::new(), left: None })
    }

    async fn next(&self, token: Token, scope: &Scope, most: Option<usize>) -> Result<Page, Status> {
        let after = scope.base.clone() + &token.after;
        let Ok(revision) = u64::try_from(token.rv) else {
            self.reach(None).await?;
            return Ok(Page { source: self.newest(scope), after, left: None });
        };
        self.reach(Some(revision)).await?;
        match self.source_at(scope, revision, &after, most).await {
            Ok(source) => Ok(Page { source, after, left: token.left }),
            Err(fault) if fault.is(Reason::Expired) => Err(token.too_old()),
            Err(fault) => Err(fault),
        }
    }

    fn newest(&self, scope: &Scope) -> Source {
        Source::Cached(self.resource.backend.cache.list(&self.resource.prefix, &scope.within))
    }

    /// A place for a list from the store's history: unlike a snapshot of the cache it is a copy, which lasts as long as its
    /// reader takes.
    fn history_place(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.resource.history_reads).try_acquire_owned().map_err(|_| {
            let message =
                "too many lists at old versions are being read: finish them, or list the newest state";
            Status::failure(Reason::TooManyRequests, message).retry_after(1)
        })
    }

    /// The state at a revision, from the cache or, where it has forgotten, from the store's history.
    async fn source_at(
        &self,
        scope: &Scope,
        revision: u64,
        after: &str,
        most: Option<usize>,
    ) -> Result<Source, Status> {
        let Backend { cache, store } = &self.resource.backend;
        match cache.list_at(&self.resource.prefix, &scope.within, revision) {
            Ok(listing) => return Ok(Source::Cached(listing)),
            Err(CacheError::Expired { .. }) => {}
            Err(fault) => return Err(cache_fault(fault)),
        }
        let place = self.history_place()?;
        let range = match most {
            // One more shows whether there is another page.
            Some(most) => store.page(&scope.within, after, most.saturating_add(1), revision).await,
            None => store.range(&scope.within, Some(revision)).await,
        };
        range.map(|range| Source::Stored { range, whole: most.is_none(), _place: place }).map_err(|fault| {
            match fault {
                StoreError::Compacted { .. } => Status::failure(Reason::Expired, LIST_TOO_OLD),
                fault => store_fault(fault),
            }
        })
    }
}

/// The token of the page that begins behind `key` of the snapshot `revision`, with `left` objects from there on; `base` is
/// what the list is about.
pub(super) fn next_page(base: &str, key: &str, revision: u64, left: Option<usize>) -> String {
    let after = key.strip_prefix(base).unwrap_or_default().to_owned();
    let rv = i64::try_from(revision).unwrap_or(i64::MAX);
    Token { v: FORM.to_owned(), rv, after, left }.write()
}

impl Token {
    fn parse(text: &str) -> Result<Self, Status> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|fault| invalid(&fault))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|fault| invalid(&fault))?;
        match () {
            () if token.v != FORM => {
                Err(invalid(&format!("server does not recognize this encoded version {:?}", token.v)))
            }
            () if token.rv == 0 || token.rv < NEWEST => {
                Err(invalid(&format!("incorrect encoded start resourceVersion (version {FORM})")))
            }
            () if token.after.is_empty() => {
                Err(invalid(&format!("encoded start key empty (version {FORM})")))
            }
            () => Ok(token),
        }
    }

    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::json!(self).to_string())
    }

    /// 410 with a token that goes on behind the same key, in the newest state.
    fn too_old(self) -> Status {
        let mut status = Status::failure(Reason::Expired, CONTINUE_TOO_OLD);
        status.continue_token = Self { rv: NEWEST, left: None, ..self }.write();
        status
    }
}

fn invalid(why: &dyn std::fmt::Display) -> Status {
    Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
}

/// For fuzzing: what a token says, written anew.
#[doc(hidden)]
pub fn reread_continue_token(text: &str) -> Option<String> {
    Token::parse(text).ok().map(|token| URL_SAFE_NO_PAD.encode(serde_json::json!(token).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_storage::cache::{Cache, CacheOptions};
    use detectviz_storage::memory::Memory;
    use detectviz_storage::{Compare, Op, Store as _, Txn};
    use proptest::prelude::*;
    use tokio::sync::Semaphore;

    const BASE: &str = "/registry/core/configmaps/root/default/";

    #[test]
    fn a_token_is_read_back_and_nothing_else_is_one() {
        let text = next_page(BASE, &format!("{BASE}a"), 7, Some(3));
        let token = Token { v: FORM.into(), rv: 7, after: "a".into(), left: Some(3) };
        assert_eq!(Token::parse(&text).unwrap(), token);
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in [
            "x".to_owned(),
            "%".to_owned(),
            String::new(),
            encoded("{}"),
            encoded(r#"{"v":"meta.k8s.io/v1","rv":7,"after":"a"}"#),
            encoded(r#"{"v":"detectviz.io/v1","rv":0,"after":"a"}"#),
            encoded(r#"{"v":"detectviz.io/v1","rv":-2,"after":"a"}"#),
            encoded(r#"{"v":"detectviz.io/v1","rv":7,"after":""}"#),
            encoded(r#"{"v":"detectviz.io/v1","rv":7,"after":"a","more":1}"#),
        ] {
            assert_eq!(Token::parse(&text).unwrap_err().code, 400, "{text}");
        }
    }

    #[test]
    fn an_expired_token_goes_on_in_the_newest_state() {
        let token = Token { v: FORM.into(), rv: 7, after: "a".into(), left: Some(3) };
        let status = token.too_old();
        assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        let next = Token::parse(&status.continue_token).unwrap();
        assert_eq!(next, Token { v: FORM.into(), rv: NEWEST, after: "a".into(), left: None });
        let json: serde_json::Value = serde_json::from_slice(&status.to_json()).unwrap();
        assert_eq!(json["metadata"]["continue"], status.continue_token);
    }

    /// A cache over keys of three namespaces and of another resource.
    async fn stored() -> (Arc<Memory>, Arc<Cache>) {
        let store = Memory::new();
        for key in ["core/configmaps/root/aa/x", "core/configmaps/root/zz/x", "core/secrets/root/default/a"]
            .map(|key| format!("/registry/{key}"))
            .into_iter()
            .chain(["a", "m"].map(|name| format!("{BASE}{name}")))
        {
            let value = bytes::Bytes::from_static(br#"{"metadata":{"name":"n"}}"#);
            store.txn(Txn::new(key, Compare::Absent, Op::Put(value))).await.unwrap();
        }
        let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
        (store, cache)
    }

    proptest! {
        #[test]
        fn any_token_is_read_or_refused(text in "[A-Za-z0-9_-]{0,60}", json in "\\PC{0,40}") {
            for text in [text, URL_SAFE_NO_PAD.encode(json)] {
                prop_assert!(Token::parse(&text).map_or_else(|fault| fault.code == 400, |token| token.v == FORM));
            }
        }

        #[test]
        fn no_token_leaves_the_keys_of_its_path(after in "(\\.\\./|/|[a-z]|\u{0}|\u{10ffff}|aa/x|default/|registry){0,8}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (store, cache) = stored().await;
                let cached = Source::Cached(cache.list("/registry/core/configmaps/root/", BASE));
                let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
                let stored = Source::Stored { range: store.range(BASE, None).await.unwrap(), whole: true, _place: place };
                for source in [cached, stored] {
                    let inside = source.after(&format!("{BASE}{after}")).all(|object| object.key.starts_with(BASE));
                    prop_assert!(inside, "{after:?}");
                    prop_assert_eq!(source.after("").count(), 2);
                }
                Ok(())
            })?;
        }
    }
}
