//! Legacy discovery: a list of groups, and a flat list of resources and subresources for each group-version.

use detectviz_api::GroupVersion;
use serde_json::{Map, Value, json};

use super::order::Group;
use super::{Document, GroupVersionEntry};

/// The `APIGroupList` of `groups`.
pub(super) fn group_list(groups: &[Group<'_>]) -> Document {
    let groups: Vec<Value> = groups.iter().map(fields_of_group).collect();
    Document::json(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

/// The `APIGroup` of a group.
pub(super) fn group(group: &Group<'_>) -> Document {
    let mut document = fields_of_group(group);
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    Document::json(&document)
}

fn fields_of_group(group: &Group<'_>) -> Value {
    let versions = group.versions.iter().map(|published| &published.entry.group_version);
    let versions: Vec<Value> =
        versions.map(|gv| json!({"groupVersion": gv.to_string(), "version": gv.version})).collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions.first()})
}

/// The `APIResourceList` of a group-version; `None` when nothing is known of it yet: its server has to answer, or be
/// told to be away.
pub(super) fn resource_list(entry: &GroupVersionEntry) -> Option<Document> {
    if entry.stale && entry.resources.is_empty() {
        return None;
    }
    let gv = &entry.group_version;
    let resources: Vec<Value> = entry.resources.iter().flat_map(|resource| resources(resource, gv)).collect();
    Some(Document::json(&json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv.to_string(), "resources": resources,
    })))
}

/// An `APIResourceDiscovery` as `APIResource`s: the resource, then its subresources.
fn resources(discovery: &Value, gv: &GroupVersion) -> Vec<Value> {
    let plural = discovery["resource"].as_str().unwrap_or_default();
    let namespaced = discovery["scope"] == "Namespaced";
    let mut resource = kind(&discovery["responseKind"], gv);
    resource.insert("name".to_owned(), plural.into());
    for (field, from) in [("singularName", "singularResource"), ("verbs", "verbs")] {
        resource.insert(field.to_owned(), discovery[from].clone());
    }
    resource.insert("namespaced".to_owned(), namespaced.into());
    for field in ["shortNames", "categories", "storageVersionHash"] {
        if let Some(value) = discovery.get(field) {
            resource.insert(field.to_owned(), value.clone());
        }
    }
    let subresources = discovery["subresources"].as_array().into_iter().flatten();
    let subresources = subresources.map(|sub| {
        let mut resource = kind(&sub["responseKind"], gv);
        let name = format!("{plural}/{}", sub["subresource"].as_str().unwrap_or_default());
        resource.insert("name".to_owned(), name.into());
        resource.insert("singularName".to_owned(), "".into());
        resource.insert("namespaced".to_owned(), namespaced.into());
        resource.insert("verbs".to_owned(), sub["verbs"].clone());
        resource.into()
    });
    std::iter::once(resource.into()).chain(subresources).collect()
}

/// The kind, with group and version where they are not those of the list.
fn kind(response: &Value, gv: &GroupVersion) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), response["kind"].clone());
    let named =
        response.get("group").and_then(Value::as_str).zip(response.get("version").and_then(Value::as_str));
    if let Some((group, version)) = named.filter(|named| *named != (&*gv.group, &*gv.version)) {
        fields.insert("group".to_owned(), group.into());
        fields.insert("version".to_owned(), version.into());
    }
    fields
}
