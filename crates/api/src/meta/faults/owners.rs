//! What can be wrong with `metadata.ownerReferences`.

use serde_json::Value;

use super::{Faults, text};
use crate::go::cut;

impl Faults<'_> {
    pub(super) fn owners(&mut self, metadata: &Value) {
        let Some(owners) = metadata.get("ownerReferences") else { return };
        let mut controller = None;
        for owner in owners.as_array().into_iter().flatten() {
            self.owner(owner);
            if owner.get("controller").and_then(Value::as_bool) != Some(true) {
                continue;
            }
            let this = format!("{}/{}", cut(text(owner, "kind")), cut(text(owner, "name")));
            match &controller {
                None => controller = Some(this),
                Some(first) => self.add("FieldValueInvalid", "ownerReferences", || {
                    let why = "Only one reference can have Controller set to true. Found \"true\" in references for";
                    format!("Invalid value: {}: {why} {first} and {this}", cut(&owners.to_string()))
                }),
            }
        }
    }

    fn owner(&mut self, owner: &Value) {
        let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        if version(api_version).is_empty() {
            self.invalid("ownerReferences.apiVersion", api_version, "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                self.invalid(&format!("ownerReferences.{field}"), "", "must not be empty");
            }
        }
        // Events go by themselves; what they owned would go with them.
        if (api_version, kind) == ("v1", "Event") {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            self.add("FieldValueInvalid", "ownerReferences", || {
                format!("Invalid value: {}: {why}", cut(&owner.to_string()))
            });
        }
    }
}

/// The version of `api_version`; empty where there is none, or no group-version at all.
fn version(api_version: &str) -> &str {
    match api_version.split_once('/') {
        None => api_version,
        Some((_, version)) if version.contains('/') => "",
        Some((_, version)) => version,
    }
}
