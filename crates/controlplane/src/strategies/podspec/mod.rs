//! What a schema cannot say of a pod's spec, wherever one stands: the defaults that depend on other fields, and the rules
//! between fields, in upstream's words.

mod containers;
mod defaults;
mod faults;
mod handlers;
mod placement;
mod volumes;

pub(super) use defaults::{complete, complete_pod};
pub(super) use faults::{duplicate, list, not_found};

use detectviz_api::Cause;
use detectviz_api::names::{check_dns_label, check_dns_subdomain};
use serde_json::Value;
use std::collections::BTreeSet;

use super::causes::{invalid, required};
use containers::Names;

/// What is wrong with the pod's spec at `path`.
pub(super) fn validate(spec: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let volumes = volumes::validate(list(spec, "volumes"), &format!("{path}.volumes"), &mut faults);
    let containers = list(spec, "containers");
    // The schema refuses a spec without the list.
    if containers.is_empty() && (spec.is_null() || spec["containers"].is_array()) {
        faults.push(required(&format!("{path}.containers"), ""));
    }
    let mut names = Names { volumes: &volumes, taken: BTreeSet::new() };
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            names.container(container, &format!("{path}.{field}[{index}]"), &mut faults);
        }
    }
    numbers(spec, path, &mut faults);
    placement::validate(spec, path, &mut faults);
    for (field, check) in [
        ("serviceAccountName", check_dns_subdomain as fn(&str) -> Result<(), String>),
        ("nodeName", check_dns_subdomain),
        ("hostname", check_dns_label),
        ("subdomain", check_dns_label),
        ("priorityClassName", check_dns_subdomain),
        ("runtimeClassName", check_dns_subdomain),
    ] {
        let text = spec[field].as_str().unwrap_or_default();
        if let (false, Err(why)) = (text.is_empty(), check(text)) {
            faults.push(invalid(&format!("{path}.{field}"), text, &why));
        }
    }
    faults
}

fn numbers(spec: &Value, path: &str, faults: &mut Vec<Cause>) {
    if let Some(seconds) = spec["terminationGracePeriodSeconds"].as_i64().filter(|seconds| *seconds < 0) {
        let field = format!("{path}.terminationGracePeriodSeconds");
        faults.push(invalid(&field, seconds, "must be greater than or equal to 0"));
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let field = format!("{path}.activeDeadlineSeconds");
        faults.push(invalid(&field, seconds, "must be between 1 and 2147483647, inclusive"));
    }
}

#[cfg(test)]
mod tests;
