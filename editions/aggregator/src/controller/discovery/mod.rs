//! A backend's discovery, in either form, as what the catalog keeps of one group-version. A backend is not trusted to
//! send well-formed documents: each entry is read into types and written anew, so no junk reaches clients.

mod aggregated;
mod legacy;

pub(super) use aggregated::aggregated;
pub(super) use legacy::legacy;

use detectviz_api::GroupVersion;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// The most resources and subresources of one group-version.
const MAX_RESOURCES: usize = 2000;

/// The resources of one group-version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Discovered {
    /// Each an `APIResourceDiscovery` of `apidiscovery.k8s.io/v2`.
    pub(super) resources: Vec<Value>,
    /// Whether the backend itself calls this out of date.
    pub(super) stale: bool,
}

/// Why a document is no discovery of the group-version. The texts name places, never what stood there: what an
/// endpoint answers must not be readable through a condition (CVE-2020-8561).
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// The document is not what it should be.
    #[error("the answer is no {kind}, from line {line} column {column} on")]
    Malformed { kind: &'static str, line: usize, column: usize },
    /// The document is of another kind.
    #[error("the answer must be of kind {0}")]
    Kind(&'static str),
    /// The document is about something else.
    #[error("the answer must be about {0}")]
    GroupVersion(GroupVersion),
    /// Nobody serves as much in one group-version.
    #[error("the answer lists {0} resources, but at most {MAX_RESOURCES} are allowed")]
    TooMany(usize),
    /// One resource is not what it should be.
    #[error(
        "resource {position} of {gv} in the answer is malformed: it needs a plural name, a scope and verbs"
    )]
    Resource { position: usize, gv: GroupVersion },
}

/// A resource that is not what it should be; its position is known further up.
struct Malformed;

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
    #[serde(default, deserialize_with = "nullable")]
    verbs: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    short_names: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    categories: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
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
    #[serde(default, deserialize_with = "nullable")]
    verbs: Vec<String>,
}

/// A list that may be `null`: what Go makes of one that was never filled.
fn nullable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn check_number(resources: usize) -> Result<(), DiscoveryError> {
    if resources > MAX_RESOURCES { Err(DiscoveryError::TooMany(resources)) } else { Ok(()) }
}

fn parse<'a, T: Deserialize<'a>>(kind: &'static str, bytes: &'a [u8]) -> Result<T, DiscoveryError> {
    serde_json::from_slice(bytes).map_err(|fault| DiscoveryError::Malformed {
        kind,
        line: fault.line(),
        column: fault.column(),
    })
}

fn write_all(
    resources: impl Iterator<Item = Result<Resource, Malformed>>,
    gv: &GroupVersion,
) -> Result<Vec<Value>, DiscoveryError> {
    let written = resources.map(|resource| resource.and_then(|resource| write(resource, gv)));
    let fault = |position| move |Malformed| DiscoveryError::Resource { position, gv: gv.clone() };
    written.zip(1..).map(|(written, position)| written.map_err(fault(position))).collect()
}

/// The checked entry as the catalog keeps it; a kind without group and version is of `gv`.
fn write(resource: Resource, gv: &GroupVersion) -> Result<Value, Malformed> {
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
    let subresources = subresources.collect::<Result<Vec<_>, Malformed>>()?;
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

/// The most characters of a resource's name; plurals are DNS labels or subdomains.
const MAX_NAME: usize = 253;

fn check_name(name: &str) -> Result<(), Malformed> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let good = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain);
    if good { Ok(()) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests;
