//! What is served, as ready bytes: every link of the chain publishes its group-versions here, so `/api`, `/apis` and
//! `/openapi/*` are answered without walking the chain, and change only when a group-version does.

use arc_swap::ArcSwap;
use bytes::Bytes;
use detectviz_api::GroupVersion;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// The OpenAPI v3 document of a group-version, made when it is first asked for.
pub type OpenApi = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

/// One served group-version.
#[derive(Clone)]
pub struct GroupVersionEntry {
    /// Which.
    pub group_version: GroupVersion,
    /// Who serves it; a group-version has one owner.
    pub owner: Owner,
    /// Where its group stands among groups (greater first), and its version in the group (greater first).
    pub priority: (i64, i64),
    /// Its resources, each an `APIResourceDiscovery` of `apidiscovery.k8s.io/v2`.
    pub resources: Vec<Value>,
    /// Its OpenAPI document, if it has one.
    pub open_api: Option<OpenApi>,
    /// Whether what is known of it may be out of date.
    pub stale: bool,
}

/// Who serves a group-version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This server.
    Local,
    /// An extension API server behind the aggregator.
    Aggregated,
}

/// A document with its entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The JSON bytes.
    pub bytes: Bytes,
    /// The bytes' hash in upper-case hexadecimal.
    pub hash: String,
}

impl Document {
    fn new(bytes: Vec<u8>) -> Self {
        let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { bytes: bytes.into(), hash }
    }

    fn json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }
}

/// The shared catalog. Cheap to read: an immutable snapshot, swapped at each change.
pub struct Catalog {
    snapshot: ArcSwap<Snapshot>,
    change: Mutex<()>,
    generation: watch::Sender<u64>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            change: Mutex::new(()),
            generation: watch::channel(0).0,
        }
    }
}

/// Someone else serves the group-version already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is served locally and cannot be taken by another server")]
pub struct Taken(pub GroupVersion);

impl Catalog {
    /// Publishes a group-version, or replaces what its owner published before.
    ///
    /// # Errors
    /// When another owner has it.
    pub fn publish(&self, entry: GroupVersionEntry) -> Result<(), Taken> {
        let gv = entry.group_version.clone();
        self.edit(|entries| match entries.get(&gv) {
            Some(have) if have.entry.owner != entry.owner => Err(Taken(gv.clone())),
            _ => {
                entries.insert(gv.clone(), Arc::new(Published::new(entry)));
                Ok(())
            }
        })
    }

    /// Withdraws what `owner` published of a group-version.
    pub fn withdraw(&self, gv: &GroupVersion, owner: Owner) {
        let _: Result<(), Taken> = self.edit(|entries| {
            if entries.get(gv).is_some_and(|have| have.entry.owner == owner) {
                entries.remove(gv);
            }
            Ok(())
        });
    }

    /// What is served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Tells of every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    fn edit(&self, change: impl FnOnce(&mut Entries) -> Result<(), Taken>) -> Result<(), Taken> {
        let _one_at_a_time = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.snapshot.load().entries.clone();
        change(&mut entries)?;
        self.snapshot.store(Arc::new(Snapshot::new(entries)));
        self.generation.send_modify(|generation| *generation += 1);
        Ok(())
    }
}

type Entries = BTreeMap<GroupVersion, Arc<Published>>;

struct Published {
    entry: GroupVersionEntry,
    open_api: OnceLock<Option<Document>>,
}

impl Published {
    fn new(entry: GroupVersionEntry) -> Self {
        Self { entry, open_api: OnceLock::new() }
    }

    fn open_api(&self) -> Option<&Document> {
        self.open_api.get_or_init(|| self.entry.open_api.as_ref().map(|make| Document::new(make()))).as_ref()
    }

    /// The `APIVersionDiscovery` of this group-version.
    fn discovery(&self) -> Value {
        let freshness = if self.entry.stale { "Stale" } else { "Current" };
        json!({"version": self.entry.group_version.version, "resources": self.entry.resources, "freshness": freshness})
    }
}

/// What is served at one moment. Documents are made when first asked for, then kept.
#[derive(Default)]
pub struct Snapshot {
    entries: Entries,
    core: OnceLock<Document>,
    groups: OnceLock<Document>,
    legacy_groups: OnceLock<Document>,
    open_api_index: OnceLock<Document>,
}

impl Snapshot {
    fn new(entries: Entries) -> Self {
        Self { entries, ..Self::default() }
    }

    /// The group-versions and their owners.
    pub fn group_versions(&self) -> impl Iterator<Item = (&GroupVersion, Owner)> {
        self.entries.iter().map(|(gv, published)| (gv, published.entry.owner))
    }

    /// The owner of a group-version.
    pub fn owner(&self, gv: &GroupVersion) -> Option<Owner> {
        self.entries.get(gv).map(|published| published.entry.owner)
    }

    /// Aggregated discovery (`apidiscovery.k8s.io/v2`) of the core group: what `/api` answers.
    pub fn aggregated_core(&self) -> &Document {
        self.core
            .get_or_init(|| discovery_list(self.by_group().into_iter().filter(|(name, _)| name.is_empty())))
    }

    /// Aggregated discovery of all other groups: what `/apis` answers.
    pub fn aggregated_groups(&self) -> &Document {
        self.groups
            .get_or_init(|| discovery_list(self.by_group().into_iter().filter(|(name, _)| !name.is_empty())))
    }

    /// Legacy discovery of all groups but the core one: `APIGroupList`.
    pub fn group_list(&self) -> &Document {
        self.legacy_groups.get_or_init(|| {
            let groups = self.by_group();
            let named = groups.iter().filter(|(name, _)| !name.is_empty());
            let groups: Vec<Value> = named.map(|(name, versions)| api_group(name, versions)).collect();
            Document::json(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        })
    }

    /// Legacy discovery of one group: `APIGroup`.
    pub fn group(&self, name: &str) -> Option<Document> {
        let groups = self.by_group();
        let (_, versions) = groups.iter().find(|(have, _)| !have.is_empty() && *have == name)?;
        let mut group = api_group(name, versions);
        group["kind"] = "APIGroup".into();
        group["apiVersion"] = "v1".into();
        Some(Document::json(&group))
    }

    /// The versions of the core group, most preferred first.
    pub fn core_versions(&self) -> Vec<String> {
        let groups = self.by_group();
        let versions =
            groups.into_iter().filter(|(name, _)| name.is_empty()).flat_map(|(_, versions)| versions);
        versions.map(|published| published.entry.group_version.version.to_string()).collect()
    }

    /// Legacy discovery of one group-version: `APIResourceList`.
    pub fn resource_list(&self, gv: &GroupVersion) -> Option<Document> {
        let published = self.entries.get(gv)?;
        if published.entry.stale && published.entry.resources.is_empty() {
            // Nothing is known of it yet: its server has to answer, or be told to be away.
            return None;
        }
        let resources: Vec<Value> = published.entry.resources.iter().flat_map(legacy_resources).collect();
        let list = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv.to_string(), "resources": resources,
        });
        Some(Document::json(&list))
    }

    /// The index of OpenAPI v3 documents: what `/openapi/v3` answers.
    pub fn open_api_index(&self) -> &Document {
        self.open_api_index.get_or_init(|| {
            let paths: serde_json::Map<String, Value> = self
                .entries
                .iter()
                .filter_map(|(gv, published)| Some((gv.path(), published.open_api()?)))
                .map(|(path, document)| {
                    let url = format!("/openapi/v3{path}?hash={}", document.hash);
                    (path.trim_start_matches('/').to_owned(), json!({"serverRelativeURL": url}))
                })
                .collect();
            Document::json(&json!({"paths": paths}))
        })
    }

    /// The OpenAPI v3 document of a group-version.
    pub fn open_api(&self, gv: &GroupVersion) -> Option<&Document> {
        self.entries.get(gv)?.open_api()
    }

    /// Groups in the order in which discovery lists them, each with its versions, most preferred first.
    fn by_group(&self) -> Vec<(&str, Vec<&Published>)> {
        let mut groups: BTreeMap<&str, Vec<&Published>> = BTreeMap::new();
        for (gv, published) in &self.entries {
            groups.entry(&gv.group).or_default().push(published);
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|published| std::cmp::Reverse(published.entry.priority.1));
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, versions)| {
            std::cmp::Reverse(versions.iter().map(|p| p.entry.priority.0).max())
        });
        groups
    }
}

fn discovery_list<'a>(groups: impl Iterator<Item = (&'a str, Vec<&'a Published>)>) -> Document {
    let items: Vec<Value> = groups
        .map(|(name, versions)| {
            let versions: Vec<Value> = versions.into_iter().map(Published::discovery).collect();
            json!({"metadata": {"name": name}, "versions": versions})
        })
        .collect();
    Document::json(&json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    }))
}

fn api_group(name: &str, versions: &[&Published]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|published| &published.entry.group_version)
        .map(|gv| json!({"groupVersion": gv.to_string(), "version": gv.version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

/// An `APIResourceDiscovery` as the `APIResource`s of legacy discovery: the resource, then its subresources.
fn legacy_resources(resource: &Value) -> Vec<Value> {
    let plural = resource["resource"].as_str().unwrap_or_default();
    let namespaced = resource["scope"] == "Namespaced";
    let mut legacy = vec![json!({
        "name": plural,
        "singularName": resource["singularResource"],
        "namespaced": namespaced,
        "kind": resource["responseKind"]["kind"],
        "verbs": resource["verbs"],
    })];
    for field in ["shortNames", "categories"] {
        if let Some(list) = resource.get(field) {
            legacy[0][field] = list.clone();
        }
    }
    if let Some(hash) = resource.get("storageVersionHash") {
        legacy[0]["storageVersionHash"] = hash.clone();
    }
    let subresources = resource["subresources"].as_array().into_iter().flatten();
    legacy.extend(subresources.map(|sub| {
        json!({
            "name": format!("{plural}/{}", sub["subresource"].as_str().unwrap_or_default()),
            "singularName": "",
            "namespaced": namespaced,
            "kind": sub["responseKind"]["kind"],
            "verbs": sub["verbs"],
        })
    }));
    legacy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(gv: &str, owner: Owner, priority: (i64, i64)) -> GroupVersionEntry {
        let resources = vec![json!({
            "resource": "things", "responseKind": {"kind": "Thing"}, "scope": "Namespaced", "singularResource": "thing",
            "verbs": ["get"], "subresources": [{"subresource": "status", "responseKind": {"kind": "Thing"}, "verbs": ["get"]}],
        })];
        let open_api: OpenApi = Arc::new(|| b"{}".to_vec());
        let group_version = gv.parse().unwrap();
        GroupVersionEntry {
            group_version,
            owner,
            priority,
            resources,
            open_api: Some(open_api),
            stale: false,
        }
    }

    #[test]
    fn discovery_is_ordered_by_priority() {
        let catalog = Catalog::default();
        for (gv, priority) in [("a/v1", (10, 1)), ("a/v2", (10, 2)), ("b/v1", (20, 1)), ("v1", (0, 0))] {
            catalog.publish(entry(gv, Owner::Local, priority)).unwrap();
        }
        let snapshot = catalog.snapshot();
        let list: Value = serde_json::from_slice(&snapshot.aggregated_groups().bytes).unwrap();
        let names: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|group| &group["metadata"]["name"]).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(list["items"][1]["versions"][0]["version"], "v2");
        let group: Value = serde_json::from_slice(&snapshot.group("a").unwrap().bytes).unwrap();
        assert_eq!(group["preferredVersion"]["groupVersion"], "a/v2");
        assert!(snapshot.group("").is_none() && snapshot.core_versions() == ["v1"]);
    }

    #[test]
    fn legacy_discovery_lists_subresources_after_their_resource() {
        let catalog = Catalog::default();
        catalog.publish(entry("a/v1", Owner::Local, (0, 0))).unwrap();
        let list = catalog.snapshot().resource_list(&"a/v1".parse().unwrap()).unwrap();
        let list: Value = serde_json::from_slice(&list.bytes).unwrap();
        assert_eq!(
            (&list["resources"][0]["name"], &list["resources"][1]["name"]),
            (&json!("things"), &json!("things/status"))
        );
    }

    #[test]
    fn what_is_stale_and_was_never_seen_is_listed_but_not_answered_for() {
        let catalog = Catalog::default();
        let unseen = GroupVersionEntry {
            resources: Vec::new(),
            stale: true,
            ..entry("a/v1", Owner::Aggregated, (0, 0))
        };
        catalog.publish(unseen).unwrap();
        let snapshot = catalog.snapshot();
        let list: Value = serde_json::from_slice(&snapshot.aggregated_groups().bytes).unwrap();
        assert_eq!(list["items"][0]["versions"][0]["freshness"], "Stale");
        assert!(snapshot.resource_list(&"a/v1".parse().unwrap()).is_none());
    }

    #[test]
    fn a_local_group_version_cannot_be_taken() {
        let catalog = Catalog::default();
        let gv: GroupVersion = "a/v1".parse().unwrap();
        catalog.publish(entry("a/v1", Owner::Local, (0, 0))).unwrap();
        assert_eq!(catalog.publish(entry("a/v1", Owner::Aggregated, (0, 0))), Err(Taken(gv.clone())));
        catalog.withdraw(&gv, Owner::Aggregated);
        assert!(catalog.snapshot().owner(&gv) == Some(Owner::Local));
        assert!(catalog.changes().borrow().to_owned() > 0);
    }

    #[test]
    fn the_open_api_index_carries_the_hash_of_each_document() {
        let catalog = Catalog::default();
        catalog.publish(entry("a/v1", Owner::Local, (0, 0))).unwrap();
        let snapshot = catalog.snapshot();
        let hash = &snapshot.open_api(&"a/v1".parse().unwrap()).unwrap().hash;
        let index = String::from_utf8(snapshot.open_api_index().bytes.to_vec()).unwrap();
        assert!(index.contains(&format!("/openapi/v3/apis/a/v1?hash={hash}")), "{index}");
    }
}
