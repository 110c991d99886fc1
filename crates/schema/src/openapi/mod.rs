//! An OpenAPI v3 document of one group and version: what clients may send where, and what they get.
//!
//! Documents are functions of definitions and fragments, so equal input gives equal bytes. kubectl reads three things in
//! them: the query parameters of a kind's PATCH operation (`fieldValidation`, `dryRun`), the media types of that operation's
//! body, and the kind's schema by its `x-kubernetes-group-version-kind`.

mod components;
mod operations;
mod parameters;
mod references;
#[cfg(test)]
mod tests;
pub mod v2;
pub mod v3;

use components::Components;
use detectviz_api::definition::{Definition, Version};
use detectviz_api::resource::GroupVersion;
use operations::Resource;
use serde_json::{Map, Value, json};

use crate::Fragments;

/// A resource to be documented.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// What it is.
    pub definition: &'a Definition,
    /// Whether this server brings it along, unlike a CustomResourceDefinition's: its kind then has upstream's component
    /// name, and it takes strategic merge patches.
    pub built_in: bool,
    /// The subresources that it has besides those that its definition declares.
    pub subresources: &'a [&'static str],
}

/// The document of `group_version`: those of `resources` that serve it, in the order of their names.
///
/// Definitions of other groups, and versions that are not served, are left out. A `$ref` that names no fragment is
/// published as any object; compiling the definition refuses it.
pub fn group_version_document(
    group_version: &GroupVersion,
    resources: &[Published<'_>],
    fragments: &Fragments,
) -> Value {
    let mut components = Components::new(fragments);
    let mut paths = Map::new();
    for (published, version) in served(group_version, resources) {
        let resource = Resource::new(group_version, published, version);
        components.add_kind(&resource);
        paths.extend(resource.paths());
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Detectviz", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": components.into_schemas()},
    })
}

fn served<'a>(
    group_version: &GroupVersion,
    resources: &[Published<'a>],
) -> Vec<(Published<'a>, &'a Version)> {
    let of_group = resources.iter().filter(|one| *one.definition.group == *group_version.group);
    let of_version = of_group.filter_map(|one| {
        let mut versions = one.definition.versions.iter();
        let version = versions.find(|version| version.served && *version.name == *group_version.version)?;
        Some((*one, version))
    });
    let mut found: Vec<_> = of_version.collect();
    found.sort_by_key(|(one, _)| &one.definition.names.plural);
    found
}
