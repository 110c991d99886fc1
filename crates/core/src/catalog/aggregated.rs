//! Aggregated discovery: all groups in one document, put together from the ready bytes of each group-version.

use serde_json::{Value, json};

use super::order::Group;
use super::{Document, GroupVersionEntry};

/// A version of `apidiscovery.k8s.io`; what they say is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscoveryVersion {
    /// Since Kubernetes 1.30.
    V2,
    /// What clients of Kubernetes 1.26 to 1.29 ask for.
    V2Beta1,
}

impl DiscoveryVersion {
    /// The version as a media type and an `apiVersion` name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V2Beta1 => "v2beta1",
        }
    }
}

/// The `APIGroupDiscoveryList` of `groups`.
pub(super) fn list(groups: &[Group<'_>], version: DiscoveryVersion) -> Document {
    let kind = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{}", version.name()), "metadata": {},
    });
    let mut bytes = open(&kind, "items");
    comma_separated(&mut bytes, groups, |bytes, group| {
        bytes.extend(open(&json!({"metadata": {"name": group.name}}), "versions"));
        comma_separated(bytes, &group.versions, |bytes, version| bytes.extend(version.discovery()));
        bytes.extend(b"]}");
    });
    bytes.extend(b"]}");
    Document::new(bytes)
}

/// The `APIVersionDiscovery` of a group-version.
pub(super) fn version(entry: &GroupVersionEntry) -> Vec<u8> {
    let freshness = if entry.stale { "Stale" } else { "Current" };
    let resources: Vec<Value> = entry.resources.iter().map(without_hash).collect();
    let version = json!({
        "version": entry.group_version.version, "resources": resources, "freshness": freshness,
    });
    version.to_string().into_bytes()
}

fn without_hash(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(fields) = resource.as_object_mut() {
        fields.remove("storageVersionHash");
    }
    resource
}

/// The start of `object`, which has fields, up to the items of a last field that is a list.
fn open(object: &Value, list: &str) -> Vec<u8> {
    let mut text = object.to_string();
    text.truncate(text.len() - 1);
    format!("{text},\"{list}\":[").into_bytes()
}

fn comma_separated<T>(bytes: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write(bytes, item);
    }
}
