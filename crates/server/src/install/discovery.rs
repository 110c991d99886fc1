//! A resource as discovery shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::definition::{Definition, StoredForm};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::resource::Resource;

/// What can be done with an answer.
const COMPUTED_VERBS: [&str; 1] = ["create"];
/// In the order of the alphabet, as clients see them upstream.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// The resource as an `APIResourceDiscovery`, with its `storageVersionHash`.
pub(super) fn entry(resource: &Resource) -> Value {
    let names = &resource.definition.names;
    let response = json!({"group": resource.gvr.group, "version": resource.gvr.version, "kind": names.kind});
    let stored = !resource.is_computed();
    let verbs: &[&str] = if stored { &VERBS } else { &COMPUTED_VERBS };
    let whole = !resource.definition.extensions.without_delete_collection;
    let verbs: Vec<&&str> = verbs.iter().filter(|verb| whole || **verb != "deletecollection").collect();
    let mut entry = json!({
        "resource": names.plural, "responseKind": response, "scope": resource.definition.scope,
        "singularResource": names.singular, "verbs": verbs,
    });
    if stored && let Some(hash) = storage_version_hash(&resource.definition) {
        entry["storageVersionHash"] = hash.into();
    }
    for (key, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        if !list.is_empty() {
            entry[key] = json!(list);
        }
    }
    let subresource =
        |name, response| json!({"subresource": name, "responseKind": response, "verbs": SUBRESOURCE_VERBS});
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let own = undeclared(resource).into_iter().map(|name| subresource(name, &response));
    let subresources: Vec<Value> = own
        .chain(resource.scale().map(|_| subresource("scale", &scale)))
        .chain(resource.has_status().then(|| subresource("status", &response)))
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}

/// The subresources that only the strategy knows.
pub(super) fn undeclared(resource: &Resource) -> Vec<&'static str> {
    Vec::from_iter(resource.subresource_fields("finalize").map(|_| "finalize"))
}

/// Tells clients when objects are stored in another version than before, and which resources are stored as one: the
/// first eight bytes of the hash of `GROUP/VERSION/KIND` of the stored form, in base64. The rule is upstream's
/// `discovery.StorageVersionHash`.
fn storage_version_hash(definition: &Definition) -> Option<String> {
    let StoredForm { group, version, kind, .. } = definition.stored_form()?;
    let kind = format!("{group}/{version}/{kind}");
    Some(STANDARD.encode(&Sha256::digest(kind)[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes are those that any Kubernetes cluster shows.
    #[test]
    fn the_storage_version_is_hashed_as_upstream_does() {
        for (kind, hash) in [
            ("ConfigMap", "qFsyl6wFWjQ="),
            ("Event", "r2yiGXH7wu8="),
            ("Namespace", "Q3oi5N2YM8M="),
            ("Secret", "S6u1pOWzb84="),
        ] {
            let definition = serde_json::from_value(json!({
                "group": "", "scope": "Cluster",
                "names": {"plural": "x", "singular": "x", "kind": kind, "listKind": "X"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {}}}],
            }));
            assert_eq!(storage_version_hash(&definition.unwrap()).as_deref(), Some(hash), "{kind}");
        }
    }

    #[test]
    fn a_resource_that_is_stored_as_another_has_the_hash_of_that_one() {
        let definition = serde_json::from_value(json!({
            "group": "events.k8s.io", "scope": "Namespaced",
            "names": {"plural": "events", "singular": "event", "kind": "Event", "listKind": "EventList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {}}}],
            "x-detectviz": {"storage": {"group": "", "resource": "events", "version": "v1", "kind": "Event"}},
        }));
        assert_eq!(storage_version_hash(&definition.unwrap()).as_deref(), Some("r2yiGXH7wu8="));
    }
}
