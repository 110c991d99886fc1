//! One published group-version with its documents, each made when it is first asked for and kept for as long as the
//! group-version stays as it is, whatever happens to others.

use std::sync::{Arc, OnceLock};

use super::{Document, GroupVersionEntry, aggregated, legacy};

#[derive(Clone)]
pub(super) struct Published {
    pub(super) entry: GroupVersionEntry,
    discovery: OnceLock<Vec<u8>>,
    resource_list: OnceLock<Option<Document>>,
    open_api: Arc<OnceLock<Option<Document>>>,
}

impl Published {
    /// The group-version as `entry` says, in the place of `before`, with which it may share its OpenAPI document: what is
    /// stale, and current again, is not described anew.
    pub(super) fn new(entry: GroupVersionEntry, before: Option<&Self>) -> Self {
        let (discovery, resource_list) = Default::default();
        let is_shared = |have: &&Self| match (&have.entry.open_api, &entry.open_api) {
            (Some(have), Some(new)) => Arc::ptr_eq(have, new),
            _ => false,
        };
        let open_api = before.filter(is_shared).map(|have| Arc::clone(&have.open_api)).unwrap_or_default();
        Self { entry, discovery, resource_list, open_api }
    }

    /// The same at another place in discovery: no document of its own says where it stands.
    pub(super) fn at(&self, priority: (i64, i64)) -> Self {
        let mut moved = self.clone();
        moved.entry.priority = priority;
        moved
    }

    /// The `APIVersionDiscovery`, which is the same in both versions of aggregated discovery.
    pub(super) fn discovery(&self) -> &[u8] {
        self.discovery.get_or_init(|| aggregated::version(&self.entry))
    }

    /// The `APIResourceList`.
    pub(super) fn resource_list(&self) -> Option<&Document> {
        self.resource_list.get_or_init(|| legacy::resource_list(&self.entry)).as_ref()
    }

    /// The OpenAPI v3 document.
    pub(super) fn open_api(&self) -> Option<&Document> {
        self.open_api.get_or_init(|| self.entry.open_api.as_ref().map(|make| Document::new(make()))).as_ref()
    }

    /// Whether [`Self::open_api`] answers at once.
    pub(super) fn is_open_api_made(&self) -> bool {
        self.entry.open_api.is_none() || self.open_api.get().is_some()
    }
}
