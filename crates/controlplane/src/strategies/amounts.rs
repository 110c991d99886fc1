//! Lists of resources with their amounts, as quotas and limits have them: which names there are, and what amounts fit.

use detectviz_api::Cause;
use detectviz_api::names::check_label_key;
use detectviz_api::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

use super::causes::invalid;

const CONTAINER: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];
/// What quotas count that is no resource of a container.
const COUNTED: [&str; 18] = [
    "configmaps",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
    "bindings",
];
/// What is counted and not measured.
const WHOLE: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const HUGE_PAGES: [&str; 2] = ["hugepages-", "requests.hugepages-"];

/// Who names a resource.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A quota.
    Quota,
    /// The limits of a pod or a container.
    Container,
    /// Other limits.
    Any,
}

fn is_container(name: &str) -> bool {
    CONTAINER.contains(&name) || name.starts_with(HUGE_PAGES[0])
}

/// Whether quotas know the resource by this plain name.
pub(super) fn is_quota_name(name: &str) -> bool {
    // Storage and bindings are plain resources, which a quota does not count.
    let counted = COUNTED.contains(&name) && !matches!(name, "storage" | "bindings");
    is_container(name) || counted || name.starts_with(HUGE_PAGES[1])
}

/// What is wrong with the name of a resource.
pub(super) fn name_faults(field: &str, name: &str, names: Names) -> Vec<Cause> {
    let mut faults = Vec::new();
    faults.extend(check_label_key(name).err().map(|why| invalid(field, name, &why)));
    if name.contains('/') {
        return faults;
    }
    let is_standard = is_quota_name(name) || COUNTED.contains(&name);
    if !is_standard {
        faults.push(invalid(field, name, "must be a standard resource type or fully qualified"));
    }
    match names {
        Names::Quota if !is_quota_name(name) => {
            faults.push(invalid(field, name, "must be a standard resource for quota"));
        }
        Names::Container if !is_container(name) => {
            faults.push(invalid(field, name, "must be a standard resource for containers"));
        }
        _ => {}
    }
    faults
}

/// What is wrong with the amount of a resource.
pub(super) fn amount_faults(field: &str, name: &str, amount: &Value) -> Vec<Cause> {
    // What is no quantity is the schema's to refuse.
    let Some(quantity) = quantity(amount) else { return Vec::new() };
    let mut faults = Vec::new();
    if quantity.is_negative() {
        faults.push(invalid(field, quantity.to_string(), "must be greater than or equal to 0"));
    }
    if is_whole(name) && !quantity.is_whole() {
        faults.push(invalid(field, quantity.to_string(), "must be an integer"));
    }
    faults
}

/// Counts of objects, and resources of other domains.
fn is_whole(name: &str) -> bool {
    let is_native = !name.contains('/') || name.contains("kubernetes.io/");
    WHOLE.contains(&name) || (!is_native && !name.starts_with("requests."))
}

/// The amount that a text or a number says.
pub(super) fn quantity(amount: &Value) -> Option<Quantity> {
    match amount {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// The amounts of the list of resources at `pointer`.
pub(super) fn list<'v>(object: &'v Value, pointer: &str) -> BTreeMap<&'v str, Quantity> {
    let list = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    list.filter_map(|(name, amount)| Some((name.as_str(), quantity(amount)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    #[test]
    fn names_are_standard_or_qualified() {
        for (names, good, bad) in [
            (Names::Quota, ["pods", "requests.cpu", "count/things.example.org"], "storage"),
            (Names::Container, ["cpu", "hugepages-2Mi", "example.org/gpu"], "pods"),
            (Names::Any, ["storage", "cpu", "example.org/x"], "gpu"),
        ] {
            for name in good {
                assert!(name_faults("f", name, names).is_empty(), "{name}");
            }
            assert_eq!(name_faults("f", bad, names).len(), 1, "{bad}");
        }
        assert_eq!(
            read(&name_faults("f", "gpu", Names::Quota)),
            [
                "f: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
                "f: Invalid value: \"gpu\": must be a standard resource for quota",
            ]
        );
    }

    #[test]
    fn amounts_are_not_negative_and_counts_are_whole() {
        for (name, amount, fault) in [
            ("cpu", json!("500m"), None),
            ("pods", json!(3), None),
            ("pods", json!("1.5"), Some("f: Invalid value: \"1500m\": must be an integer")),
            ("cpu", json!("-1"), Some("f: Invalid value: \"-1\": must be greater than or equal to 0")),
            ("example.org/gpu", json!("500m"), Some("f: Invalid value: \"500m\": must be an integer")),
            ("cpu", json!("much"), None),
        ] {
            let found = read(&amount_faults("f", name, &amount));
            assert_eq!(found, Vec::from_iter(fault), "{name} {amount}");
        }
    }
}
