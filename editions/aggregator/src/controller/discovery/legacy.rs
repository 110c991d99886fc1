//! Legacy discovery of one group-version, `APIResourceList`: a flat list in which subresources are entries of their own.

use detectviz_api::GroupVersion;
use serde::Deserialize;

use super::{
    Discovered, DiscoveryError, GroupVersionKind, Resource, Scope, Subresource, check_number, nullable,
    parse, write_all,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyList {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    group_version: String,
    #[serde(default, deserialize_with = "nullable")]
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
    #[serde(default, deserialize_with = "nullable")]
    verbs: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    short_names: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    categories: Vec<String>,
}

/// Reads an `APIResourceList`, the legacy discovery of one group-version.
///
/// # Errors
/// When it is malformed, or about another group-version.
pub(in crate::controller) fn legacy(bytes: &[u8], gv: &GroupVersion) -> Result<Discovered, DiscoveryError> {
    const KIND: &str = "APIResourceList";
    let list: LegacyList = parse(KIND, bytes)?;
    if list.kind != KIND {
        return Err(DiscoveryError::Kind(KIND));
    }
    if list.group_version != gv.to_string() {
        return Err(DiscoveryError::GroupVersion(gv.clone()));
    }
    check_number(list.resources.len())?;
    let mut resources = Vec::new();
    for resource in list.resources {
        resource.join(&mut resources);
    }
    Ok(Discovered { resources: write_all(resources.into_iter().map(Ok), gv)?, stale: false })
}

fn find<'a>(resources: &'a mut [Resource], name: &str) -> Option<&'a mut Resource> {
    resources.iter_mut().find(|resource| resource.resource == name)
}

impl LegacyResource {
    /// Adds the resource, or the subresource to its parent; they may come in any order.
    fn join(mut self, resources: &mut Vec<Resource>) {
        let Some((parent, sub)) = self.name.split_once('/') else {
            match find(resources, &self.name) {
                Some(known) => known.fill(self),
                None => resources.push(self.into_resource()),
            }
            return;
        };
        let sub = Subresource {
            subresource: sub.to_owned(),
            response_kind: Some(std::mem::take(&mut self.response_kind)),
            verbs: std::mem::take(&mut self.verbs),
        };
        match find(resources, parent) {
            Some(parent) => parent.subresources.push(sub),
            None => resources.push(Resource::only_parent(parent, self.namespaced, sub)),
        }
    }

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
