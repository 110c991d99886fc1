//! What objects that stand for a group-version have in common: the name says which one.

use detectviz_api::names::{check_dns_subdomain, check_dns1035_label};
use detectviz_api::{Cause, GroupVersion, meta};
use serde_json::Value;

use super::causes::invalid;
use super::text;

/// What is wrong with the name, `spec.group` and `spec.version`; an empty group is left to the caller.
pub(super) fn faults(object: &Value) -> Vec<Cause> {
    let (group, version) = (text(object, "/spec/group"), text(object, "/spec/version"));
    let mut faults = Vec::new();
    let name = GroupVersion::new(group, version).api_service_name();
    if meta::name(object) != name {
        let why = format!("must be `spec.version+\".\"+spec.group`: {name:?}");
        faults.push(invalid("metadata.name", meta::name(object), &why));
    }
    if let (false, Err(why)) = (group.is_empty(), check_dns_subdomain(group)) {
        faults.push(invalid("spec.group", group, &why));
    }
    if let Err(why) = check_dns1035_label(version) {
        faults.push(invalid("spec.version", version, &why));
    }
    faults
}
