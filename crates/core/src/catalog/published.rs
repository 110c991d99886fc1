//! One published group-version with its documents, each made when it is first asked for and kept for as long as the
//! group-version stays as it is, whatever happens to others.

use std::sync::OnceLock;

use super::{Document, GroupVersionEntry, aggregated, legacy};

pub(super) struct Published {
    pub(super) entry: GroupVersionEntry,
    discovery: OnceLock<Vec<u8>>,
    resource_list: OnceLock<Option<Document>>,
    open_api: OnceLock<Option<Document>>,
}

impl Published {
    pub(super) fn new(entry: GroupVersionEntry) -> Self {
        let (discovery, resource_list, open_api) = Default::default();
        Self { entry, discovery, resource_list, open_api }
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
