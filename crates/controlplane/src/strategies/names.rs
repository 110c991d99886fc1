//! What objects that stand for a group-version have in common: the name says which one.

use detectviz_api::names::{check_dns_label, check_dns_subdomain};
use detectviz_api::{Cause, GroupVersion, meta};
use serde_json::Value;

use super::causes::invalid;
use super::text;

const VERSION: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
     character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
     '[a-z]([-a-z0-9]*[a-z0-9])?')";

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
    if check_dns_label(version).is_err() || !version.starts_with(|first: char| first.is_ascii_lowercase()) {
        faults.push(invalid("spec.version", version, VERSION));
    }
    faults
}
