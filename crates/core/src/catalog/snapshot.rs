//! What is served at one moment. Documents are made when first asked for, then kept; those of one group-version are
//! shared with the snapshots before and after.

use detectviz_api::GroupVersion;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

use super::order::{self, Group};
use super::{DiscoveryVersion, Document, Entries, Owner, aggregated, legacy};

/// What is served at one moment.
#[derive(Default)]
pub struct Snapshot {
    entries: Entries,
    core: [OnceLock<Document>; 2],
    groups: [OnceLock<Document>; 2],
    legacy_groups: OnceLock<Document>,
    open_api_index: OnceLock<Document>,
}

impl Snapshot {
    pub(super) fn new(entries: Entries) -> Self {
        Self { entries, ..Self::default() }
    }

    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// The group-versions and their owners.
    pub fn group_versions(&self) -> impl Iterator<Item = (&GroupVersion, Owner)> {
        self.entries.iter().map(|(gv, published)| (gv, published.entry.owner))
    }

    /// The owner of a group-version.
    pub fn owner(&self, gv: &GroupVersion) -> Option<Owner> {
        self.entries.get(gv).map(|published| published.entry.owner)
    }

    /// Aggregated discovery of the core group: what `/api` answers.
    pub fn aggregated_core(&self, version: DiscoveryVersion) -> &Document {
        self.core[version as usize]
            .get_or_init(|| aggregated::list(&order::groups(&self.entries, str::is_empty), version))
    }

    /// Aggregated discovery of all other groups: what `/apis` answers.
    pub fn aggregated_groups(&self, version: DiscoveryVersion) -> &Document {
        self.groups[version as usize].get_or_init(|| aggregated::list(&self.named_groups(), version))
    }

    /// Legacy discovery of all groups but the core one: `APIGroupList`.
    pub fn group_list(&self) -> &Document {
        self.legacy_groups.get_or_init(|| legacy::group_list(&self.named_groups()))
    }

    /// Legacy discovery of one group: `APIGroup`. The core group has none.
    pub fn group(&self, name: &str) -> Option<Document> {
        if name.is_empty() { None } else { self.one_group(name).map(|group| legacy::group(&group)) }
    }

    /// The versions of the core group, most preferred first.
    pub fn core_versions(&self) -> Vec<String> {
        let versions = self.one_group("").into_iter().flat_map(|group| group.versions);
        versions.map(|published| published.entry.group_version.version.to_string()).collect()
    }

    /// Legacy discovery of one group-version: `APIResourceList`. `None` for one of which nothing is known.
    pub fn resource_list(&self, gv: &GroupVersion) -> Option<&Document> {
        self.entries.get(gv)?.resource_list()
    }

    /// The index of OpenAPI v3 documents: what `/openapi/v3` answers. It makes all documents, for their hashes.
    pub fn open_api_index(&self) -> &Document {
        self.open_api_index.get_or_init(|| {
            let documents =
                self.entries.iter().filter_map(|(gv, published)| Some((gv, published.open_api()?)));
            let paths: serde_json::Map<String, Value> = documents
                .map(|(gv, document)| {
                    let path = gv.path();
                    let url = format!("/openapi/v3{path}?hash={}", document.hash);
                    (path.trim_start_matches('/').to_owned(), json!({"serverRelativeURL": url}))
                })
                .collect();
            Document::json(&json!({"paths": paths}))
        })
    }

    /// Whether [`Self::open_api_index`] answers at once.
    pub fn is_open_api_index_made(&self) -> bool {
        self.open_api_index.get().is_some()
    }

    /// The OpenAPI v3 document of a group-version, which may have to be made.
    pub fn open_api(&self, gv: &GroupVersion) -> Option<&Document> {
        self.entries.get(gv)?.open_api()
    }

    /// Whether [`Self::open_api`] answers at once.
    pub fn is_open_api_made(&self, gv: &GroupVersion) -> bool {
        self.entries.get(gv).is_none_or(|published| published.is_open_api_made())
    }

    /// The group-versions that have an OpenAPI document, and who serves them.
    pub fn documented(&self) -> impl Iterator<Item = (&GroupVersion, Owner)> {
        let documented = self.entries.iter().filter(|(_, published)| published.entry.open_api.is_some());
        documented.map(|(gv, published)| (gv, published.entry.owner))
    }

    fn named_groups(&self) -> Vec<Group<'_>> {
        order::groups(&self.entries, |name| !name.is_empty())
    }

    fn one_group<'a>(&'a self, name: &'a str) -> Option<Group<'a>> {
        let of_group = self.entries.range(GroupVersion::new(name, "")..);
        let versions: Vec<_> = of_group
            .take_while(|(gv, _)| *gv.group == *name)
            .map(|(_, published)| Arc::as_ref(published))
            .collect();
        if versions.is_empty() { None } else { Some(Group::new(name, versions)) }
    }
}
