//! The forms in which the objects of one storage are served, so that each knows what the fields of another are called.

use detectviz_api::GroupVersion;
use detectviz_api::definition::{Definition, Version};
use detectviz_core::ApiGroupBuilder;
use std::collections::{BTreeMap, BTreeSet};

/// An `apiVersion`, and what top-level fields are called there and in the form that asks.
pub(super) type Form = (String, Vec<(String, String)>);

/// The other forms, among `groups`, of what `version` of `definition` serves, whose fields are called otherwise.
pub(super) fn others(groups: &[ApiGroupBuilder], definition: &Definition, version: &Version) -> Vec<Form> {
    let Some(stored) = definition.stored_form() else { return Vec::new() };
    let own = names(definition);
    let own_version = api_version(definition, version);
    let all = groups.iter().flat_map(|group| &group.definitions);
    let same = all.filter(|other| other.stored_form().as_ref() == Some(&stored));
    let served = same.flat_map(|other| other.versions.iter().map(move |version| (other, version)));
    served
        .filter(|(other, version)| api_version(other, version) != own_version)
        .map(|(other, version)| (api_version(other, version), between(&names(other), &own)))
        .filter(|(_, names)| !names.is_empty())
        .collect()
}

fn api_version(definition: &Definition, version: &Version) -> String {
    GroupVersion::new(definition.group.as_str(), version.name.as_str()).to_string()
}

/// What stored fields are called as `definition` serves them, where that is not as they are stored.
fn names(definition: &Definition) -> BTreeMap<&str, &str> {
    let renames = definition.extensions.convert.iter().flat_map(|convert| &convert.renames);
    renames.map(|(served, stored)| (stored.as_str(), served.as_str())).collect()
}

/// What fields are called there and here, where that differs.
fn between(there: &BTreeMap<&str, &str>, here: &BTreeMap<&str, &str>) -> Vec<(String, String)> {
    let stored: BTreeSet<&str> = there.keys().chain(here.keys()).copied().collect();
    let name = |names: &BTreeMap<&str, &str>, stored| (*names.get(stored).unwrap_or(&stored)).to_owned();
    stored
        .into_iter()
        .map(|stored| (name(there, stored), name(here, stored)))
        .filter(|(there, here)| there != here)
        .collect()
}
