//! Aggregated discovery, `apidiscovery.k8s.io/v2`: one document for all that a backend serves.

use detectviz_api::GroupVersion;
use serde::Deserialize;
use serde_json::Value;

use super::{Discovered, DiscoveryError, Malformed, check_number, nullable, parse, write_all};

#[derive(Deserialize)]
struct Kinded {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct GroupList {
    #[serde(default, deserialize_with = "nullable")]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    metadata: Named,
    #[serde(default, deserialize_with = "nullable")]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default, deserialize_with = "nullable")]
    resources: Vec<Value>,
    #[serde(default)]
    freshness: String,
}

/// Reads aggregated discovery; `None` when the document is of another kind or does not know `gv`. Only what it says
/// of `gv` is looked at: other group-versions are other APIServices' business.
///
/// # Errors
/// When the document claims to be aggregated discovery and is malformed.
pub(in crate::controller) fn aggregated(
    bytes: &[u8],
    gv: &GroupVersion,
) -> Result<Option<Discovered>, DiscoveryError> {
    const KIND: &str = "APIGroupDiscoveryList";
    if !parse(KIND, bytes).is_ok_and(|document: Kinded| document.kind == KIND) {
        return Ok(None);
    }
    let list: GroupList = parse(KIND, bytes)?;
    let groups = list.items.into_iter().filter(|group| *group.metadata.name == *gv.group);
    let mut versions = groups.flat_map(|group| group.versions);
    let Some(version) = versions.find(|version| *version.version == *gv.version) else { return Ok(None) };
    check_number(version.resources.len())?;
    let entries =
        version.resources.into_iter().map(|value| serde_json::from_value(value).map_err(|_| Malformed));
    let resources = write_all(entries, gv)?;
    Ok(Some(Discovered { resources, stale: version.freshness == "Stale" }))
}
