//! A backend's discovery, in either form, as what the catalog keeps of one group-version. A backend is not trusted to
//! send well-formed documents: each entry is read into types and written anew, so no junk reaches clients.

use detectviz_api::GroupVersion;
use serde::Deserialize;
use serde_json::{Value, json};

/// The resources of one group-version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Discovered {
    /// Each an `APIResourceDiscovery` of `apidiscovery.k8s.io/v2`.
    pub(super) resources: Vec<Value>,
    /// Whether the backend itself calls this out of date.
    pub(super) stale: bool,
}

/// Why a document is no discovery of the group-version.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// The document is not what it should be.
    #[error("the answer is no {kind}: {source}")]
    Malformed { kind: &'static str, source: serde_json::Error },
    /// The document is of another kind.
    #[error("the answer must be of kind {wanted}, but is {have:?}")]
    Kind { wanted: &'static str, have: String },
    /// The document is about something else.
    #[error("the answer must be about {wanted}, but is about {have:?}")]
    GroupVersion { wanted: GroupVersion, have: String },
    /// A resource has no usable name.
    #[error("resource name {0:?} must be a plural or PLURAL/SUBRESOURCE")]
    Name(String),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}

/// `APIResourceDiscovery`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource: String,
    #[serde(default)]
    response_kind: Option<GroupVersionKind>,
    scope: Scope,
    #[serde(default)]
    singular_resource: String,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    subresources: Vec<Subresource>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Debug)]
enum Scope {
    Cluster,
    Namespaced,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subresource {
    subresource: String,
    #[serde(default)]
    response_kind: Option<GroupVersionKind>,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct GroupList {
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    metadata: Named,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Value>,
    #[serde(default)]
    freshness: String,
}

/// Reads aggregated discovery; `None` when the document is of another kind or does not know `gv`. Only what it says
/// of `gv` is looked at: other group-versions are other APIServices' business.
///
/// # Errors
/// When the document claims to be aggregated discovery and is malformed.
pub(super) fn aggregated(bytes: &[u8], gv: &GroupVersion) -> Result<Option<Discovered>, DiscoveryError> {
    let malformed = |source| DiscoveryError::Malformed { kind: "APIGroupDiscoveryList", source };
    let document: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    if document["kind"] != "APIGroupDiscoveryList" {
        return Ok(None);
    }
    let list: GroupList = serde_json::from_value(document).map_err(malformed)?;
    let groups = list.items.into_iter().filter(|group| *group.metadata.name == *gv.group);
    let mut versions = groups.flat_map(|group| group.versions);
    let Some(version) = versions.find(|version| *version.version == *gv.version) else { return Ok(None) };
    let read = |value| serde_json::from_value(value).map_err(malformed).and_then(|resource| write(resource, gv));
    let resources = version.resources.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(Some(Discovered { resources, stale: version.freshness == "Stale" }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyList {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    group_version: String,
    #[serde(default)]
    resources: Vec<LegacyResource>,
}

/// `APIResource`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyResource {
    name: String,
    #[serde(default)]
    singular_name: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(flatten)]
    response_kind: GroupVersionKind,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
}

/// Reads an `APIResourceList`, the legacy discovery of one group-version.
///
/// # Errors
/// When it is malformed, or about another group-version.
pub(super) fn legacy(bytes: &[u8], gv: &GroupVersion) -> Result<Discovered, DiscoveryError> {
    const KIND: &str = "APIResourceList";
    let list: LegacyList = serde_json::from_slice(bytes)
        .map_err(|source| DiscoveryError::Malformed { kind: KIND, source })?;
    if list.kind != KIND {
        return Err(DiscoveryError::Kind { wanted: KIND, have: excerpt(&list.kind) });
    }
    if list.group_version != gv.to_string() {
        let have = excerpt(&list.group_version);
        return Err(DiscoveryError::GroupVersion { wanted: gv.clone(), have });
    }
    let mut resources: Vec<Resource> = Vec::new();
    for legacy in list.resources {
        match legacy.name.split_once('/') {
            None => match find(&mut resources, &legacy.name) {
                Some(parent) => parent.fill(legacy),
                None => resources.push(legacy.into_resource()),
            },
            Some((parent, name)) => {
                let sub = Subresource {
                    subresource: name.to_owned(),
                    response_kind: Some(legacy.response_kind),
                    verbs: legacy.verbs,
                };
                match find(&mut resources, parent) {
                    Some(parent) => parent.subresources.push(sub),
                    None => resources.push(Resource::only_parent(parent, legacy.namespaced, sub)),
                }
            }
        }
    }
    let resources = resources.into_iter().map(|resource| write(resource, gv)).collect::<Result<_, _>>()?;
    Ok(Discovered { resources, stale: false })
}

fn find<'a>(resources: &'a mut [Resource], name: &str) -> Option<&'a mut Resource> {
    resources.iter_mut().find(|resource| resource.resource == name)
}

impl LegacyResource {
    fn into_resource(self) -> Resource {
        let scope = if self.namespaced { Scope::Namespaced } else { Scope::Cluster };
        Resource {
            resource: self.name,
            response_kind: Some(self.response_kind),
            scope,
            singular_resource: self.singular_name,
            verbs: self.verbs,
            short_names: self.short_names,
            categories: self.categories,
            subresources: Vec::new(),
        }
    }
}

impl Resource {
    /// A resource known only by one of its subresources, so far or for good.
    fn only_parent(name: &str, namespaced: bool, sub: Subresource) -> Self {
        Self {
            resource: name.to_owned(),
            response_kind: None,
            scope: if namespaced { Scope::Namespaced } else { Scope::Cluster },
            singular_resource: String::new(),
            verbs: Vec::new(),
            short_names: Vec::new(),
            categories: Vec::new(),
            subresources: vec![sub],
        }
    }

    fn fill(&mut self, legacy: LegacyResource) {
        let subresources = std::mem::take(&mut self.subresources);
        *self = Self { subresources, ..legacy.into_resource() };
    }
}

/// The checked entry as the catalog keeps it; a kind without group and version is of `gv`.
fn write(resource: Resource, gv: &GroupVersion) -> Result<Value, DiscoveryError> {
    check_name(&resource.resource)?;
    let mut entry = json!({
        "resource": resource.resource,
        "responseKind": kind(resource.response_kind, gv),
        "scope": format!("{:?}", resource.scope),
        "singularResource": resource.singular_resource,
        "verbs": resource.verbs,
    });
    for (field, list) in [("shortNames", resource.short_names), ("categories", resource.categories)] {
        if !list.is_empty() {
            entry[field] = json!(list);
        }
    }
    let subresources = resource.subresources.into_iter().map(|sub| {
        check_name(&sub.subresource)?;
        let kind = kind(sub.response_kind, gv);
        Ok(json!({"subresource": sub.subresource, "responseKind": kind, "verbs": sub.verbs}))
    });
    let subresources = subresources.collect::<Result<Vec<_>, DiscoveryError>>()?;
    if !subresources.is_empty() {
        entry["subresources"] = json!(subresources);
    }
    Ok(entry)
}

fn kind(kind: Option<GroupVersionKind>, gv: &GroupVersion) -> Value {
    let GroupVersionKind { group, version, kind } = kind.unwrap_or_default();
    if group.is_empty() && version.is_empty() {
        return json!({"group": gv.group, "version": gv.version, "kind": kind});
    }
    json!({"group": group, "version": version, "kind": kind})
}

fn check_name(name: &str) -> Result<(), DiscoveryError> {
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if good { Ok(()) } else { Err(DiscoveryError::Name(excerpt(name))) }
}

/// Enough of a wrong text to recognise it; a backend does not choose how long a message gets.
fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
