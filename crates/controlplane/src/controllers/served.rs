//! What is served now, whoever serves it, as controllers need to know it: paths, kinds and verbs. Read from discovery,
//! anew only for the group-versions that changed.

use detectviz_api::GroupVersion;
use detectviz_core::Catalog;
use detectviz_core::catalog::Owner;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A resource in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) group_version: GroupVersion,
    /// The plural.
    pub(super) resource: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
    verbs: BTreeSet<String>,
    /// Tells as what the objects are stored: resources of one name that say the same have the same objects.
    stored: String,
}

impl Served {
    /// Whether the resource has all of these verbs.
    pub(super) fn can(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.contains(*verb))
    }

    /// The path of the objects of `namespace`, or of all objects.
    pub(super) fn collection(&self, namespace: Option<&str>) -> String {
        let (base, resource) = (self.group_version.path(), &self.resource);
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{base}/namespaces/{namespace}/{resource}"),
            None => format!("{base}/{resource}"),
        }
    }

    /// The resource as people write it with its group: `things.example.org`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.resource, self.group_version.group)
    }

    fn read(group_version: &GroupVersion, resource: &Value) -> Option<Self> {
        let verbs = resource["verbs"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned);
        Some(Self {
            group_version: group_version.clone(),
            resource: resource["name"].as_str().filter(|name| !name.contains('/'))?.to_owned(),
            kind: resource["kind"].as_str()?.to_owned(),
            namespaced: resource["namespaced"] == true,
            stored: resource["storageVersionHash"].as_str().unwrap_or(&group_version.group).to_owned(),
            verbs: verbs.collect(),
        })
    }
}

/// All resources in all versions.
#[derive(Clone, Default)]
pub(super) struct Resources {
    versions: BTreeMap<GroupVersion, Version>,
}

#[derive(Clone)]
struct Version {
    owner: Owner,
    /// Tells two states of what is known apart; `None` when nothing is known.
    hash: Option<String>,
    resources: Arc<[Served]>,
}

impl Resources {
    /// What `catalog` says now.
    pub(super) fn refresh(&mut self, catalog: &Catalog) {
        let snapshot = catalog.snapshot();
        let versions = snapshot.group_versions().map(|(gv, owner)| {
            let document = snapshot.resource_list(gv);
            let hash = document.map(|document| document.hash.clone());
            let same = self.versions.get(gv).filter(|have| have.hash == hash && have.owner == owner);
            let version = same.cloned().unwrap_or_else(|| {
                let list =
                    document.and_then(|document| serde_json::from_slice::<Value>(&document.bytes).ok());
                let list = list.unwrap_or_default();
                let items = list["resources"].as_array().into_iter().flatten();
                let resources = items.filter_map(|resource| Served::read(gv, resource)).collect();
                Version { owner, hash, resources }
            });
            (gv.clone(), version)
        });
        self.versions = versions.collect();
    }

    /// Every resource with all of `verbs`, in one of its versions; of those that show the same objects the first.
    pub(super) fn with(&self, verbs: &[&str]) -> Vec<Served> {
        let mut seen = BTreeSet::new();
        let all = self.versions.values().flat_map(|version| &*version.resources);
        let able = all.filter(|served| served.can(verbs));
        able.filter(|served| seen.insert((&served.stored, &served.resource))).cloned().collect()
    }

    /// The resource whose objects have this `apiVersion` and `kind`.
    pub(super) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Served> {
        let version = self.versions.get(&api_version.parse().ok()?)?;
        version.resources.iter().find(|served| served.kind == kind && served.can(&["get"]))
    }

    /// The group-versions that somebody announced, and of which nothing is known yet.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &GroupVersion> {
        self.versions.iter().filter(|(_, version)| version.hash.is_none()).map(|(gv, _)| gv)
    }

    /// The group-versions that other servers serve.
    pub(super) fn remote(&self) -> impl Iterator<Item = &GroupVersion> {
        let remote = self.versions.iter().filter(|(_, version)| version.owner == Owner::Aggregated);
        remote.map(|(gv, _)| gv)
    }

    /// Whether another server serves the group-version.
    pub(super) fn is_remote(&self, gv: &GroupVersion) -> bool {
        self.versions.get(gv).is_some_and(|version| version.owner == Owner::Aggregated)
    }
}
