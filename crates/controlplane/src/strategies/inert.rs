//! Kinds with few rules: nodes, pod templates, volumes, and the rest of the batteries.

use detectviz_api::{Cause, meta};
use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value, json};

use super::causes::{forbidden, invalid, invalid_json, required};
use super::podspec::{self, list};

pub(super) struct PodTemplates;

impl Strategy for PodTemplates {
    fn normalize(&self, object: &mut Value) {
        if let Some(spec) = object.pointer_mut("/template/spec") {
            podspec::complete(spec);
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        podspec::validate(&object["template"]["spec"], "template.spec")
    }
}

pub(super) struct Nodes;

impl Strategy for Nodes {
    /// What a node has, it has for pods, unless it says otherwise.
    fn normalize(&self, object: &mut Value) {
        let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
        if let Some(capacity) = status.get("capacity").cloned() {
            status.entry("allocatable").or_insert(capacity);
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let taints = list(&object["spec"], "taints").iter().enumerate();
        let fault = |(index, taint): (usize, &Value)| {
            let effect = taint["effect"].as_str()?;
            let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            let field = format!("spec.taints[{index}].effect");
            (!supported.contains(&effect)).then(|| super::causes::unsupported(&field, effect, &supported))
        };
        taints.filter_map(fault).collect()
    }
}

/// A volume or a claim: one that is new is not bound.
pub(super) enum Storage {
    Volume,
    Claim,
}

impl Strategy for Storage {
    fn prepare_create(&self, object: &mut Value) {
        if let Some(object) = object.as_object_mut() {
            object.insert("status".to_owned(), json!({"phase": "Pending"}));
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let spec = &object["spec"];
        let mut faults = Vec::new();
        if list(spec, "accessModes").is_empty() {
            faults.push(required("spec.accessModes", "at least 1 access mode is required"));
        }
        match self {
            Self::Claim if spec["resources"]["requests"]["storage"].is_null() => {
                faults.push(required("spec.resources[storage]", ""));
            }
            Self::Volume if spec["capacity"].as_object().is_none_or(serde_json::Map::is_empty) => {
                faults.push(required("spec.capacity", ""));
            }
            _ => {}
        }
        faults
    }
}

pub(super) struct Autoscalers;

impl Strategy for Autoscalers {
    fn normalize(&self, object: &mut Value) {
        let has_metrics = !list(&object["spec"], "metrics").is_empty();
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
        if !has_metrics {
            let target = json!({"type": "Utilization", "averageUtilization": 80});
            let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
            spec.insert("metrics".to_owned(), cpu);
        }
        if let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) {
            let policy = |kind: &str, value: u32| json!({"type": kind, "value": value, "periodSeconds": 15});
            let (all, four) = (policy("Percent", 100), policy("Pods", 4));
            let up = json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [four, all]});
            fill(behavior, "scaleUp", up);
            fill(behavior, "scaleDown", json!({"selectPolicy": "Max", "policies": [all]}));
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let number = |field: &str| object["spec"][field].as_i64();
        let mut faults = Vec::new();
        if let Some(least) = number("minReplicas").filter(|least| *least < 0) {
            faults.push(invalid("spec.minReplicas", least, "must be greater than or equal to 0"));
        }
        if let Some(most) = number("maxReplicas").filter(|most| *most < 1) {
            faults.push(invalid("spec.maxReplicas", most, "must be greater than 0"));
        }
        if let Some(most) = number("maxReplicas").filter(|most| number("minReplicas") > Some(*most)) {
            faults.push(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"));
        }
        for field in ["kind", "name"] {
            // The schema says it where the field is missing.
            if object["spec"]["scaleTargetRef"][field] == "" {
                faults.push(required(&format!("spec.scaleTargetRef.{field}"), ""));
            }
        }
        faults
    }
}

/// Gives the rules at `field` what they leave open.
fn fill(behavior: &mut Map<String, Value>, field: &str, rules: Value) {
    let (own, Value::Object(rules)) = (behavior.entry(field).or_insert_with(|| json!({})), rules) else {
        return;
    };
    if own.is_null() {
        *own = json!({});
    }
    let Some(own) = own.as_object_mut() else { return };
    for (name, value) in rules {
        if own.get(&name).is_none_or(Value::is_null) {
            own.insert(name, value);
        }
    }
}

pub(super) struct Budgets;

impl Strategy for Budgets {
    fn prepare_create(&self, object: &mut Value) {
        let none =
            json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        super::begin_status(object, none);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let spec = &object["spec"];
        let has_both = !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null();
        let fault = || invalid_json("spec", spec, "minAvailable and maxUnavailable cannot be both set");
        has_both.then(fault).into_iter().collect()
    }
}

/// A class of volumes, of pods by how much they matter, or of what runs them: few rules, and no state.
pub(super) enum Class {
    Storage,
    Priority,
}

impl Strategy for Class {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        /// The greatest priority that is not the system's.
        const MOST: i64 = 1_000_000_000;
        const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];
        let name = meta::name(object);
        match self {
            Self::Storage if object["provisioner"] == "" => vec![required("provisioner", "")],
            Self::Storage => Vec::new(),
            Self::Priority if SYSTEM.contains(&name) => Vec::new(),
            Self::Priority if name.starts_with("system-") => {
                let why =
                    "priority class names with 'system-' prefix are reserved for system use only. error: ";
                let why = format!("{why}{name} is not a known system priority class");
                vec![forbidden("metadata.name", &why)]
            }
            Self::Priority if object["value"].as_i64() > Some(MOST) => {
                let why = format!("maximum allowed value of a user defined priority is {MOST}");
                vec![forbidden("value", &why)]
            }
            Self::Priority => Vec::new(),
        }
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let fixed: &[&str] = match self {
            Self::Storage => &["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"],
            Self::Priority => &["value", "preemptionPolicy"],
        };
        let value =
            |object: &Value, field: &str| Some(object[field].clone()).filter(|value| *value != json!({}));
        let changed = fixed.iter().filter(|field| {
            value(object, field).unwrap_or_default() != value(old, field).unwrap_or_default()
        });
        let why = |field: &str| match (self, field) {
            (Self::Storage, "parameters" | "provisioner" | "reclaimPolicy") => {
                forbidden(field, &format!("updates to {field} are forbidden."))
            }
            (Self::Priority, "value") => forbidden(field, "may not be changed in an update."),
            _ => invalid_json(field, &object[field], "field is immutable"),
        };
        changed.map(|field| why(field)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;

    #[test]
    fn what_is_left_open_is_filled_in() {
        let mut node = json!({"status": {"capacity": {"cpu": "1"}}});
        Nodes.normalize(&mut node);
        assert_eq!(node["status"]["allocatable"], json!({"cpu": "1"}));
        let mut scaler = json!({"spec": {"maxReplicas": 3}});
        Autoscalers.normalize(&mut scaler);
        assert_eq!(scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
        let mut scaler = json!({"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": null}}}});
        Autoscalers.normalize(&mut scaler);
        let policy = |kind: &str, value: u32| json!({"type": kind, "value": value, "periodSeconds": 15});
        assert_eq!(
            scaler["spec"]["behavior"],
            json!({
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                    "policies": [policy("Pods", 4), policy("Percent", 100)]},
                "scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Max", "policies": [policy("Percent", 100)]},
            })
        );
        let mut template = json!({"template": {"spec": {"containers": [{"image": "a"}]}}});
        PodTemplates.normalize(&mut template);
        assert_eq!(template["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
        let mut claim = json!({});
        Storage::Claim.prepare_create(&mut claim);
        assert_eq!(claim["status"]["phase"], "Pending");
    }

    #[test]
    fn classes_keep_upstreams_rules() {
        let check = |class: &Class, object: &Value, old: Option<&Value>, expected: &[&str]| {
            let faults = old.map_or_else(|| class.validate(object), |old| class.validate_update(object, old));
            assert_eq!(read(&faults), expected, "{object}");
        };
        check(&Class::Storage, &json!({"provisioner": ""}), None, &["provisioner: Required value"]);
        let class = json!({"provisioner": "a", "parameters": {"a": "b"}, "reclaimPolicy": "Delete"});
        check(&Class::Storage, &class, Some(&class), &[]);
        check(
            &Class::Storage,
            &json!({"provisioner": "b", "reclaimPolicy": "Retain"}),
            Some(&class),
            &[
                "parameters: Forbidden: updates to parameters are forbidden.",
                "provisioner: Forbidden: updates to provisioner are forbidden.",
                "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
            ],
        );
        let priority = |name: &str, value: i64| json!({"metadata": {"name": name}, "value": value});
        check(&Class::Priority, &priority("a", 1_000_000_000), None, &[]);
        check(&Class::Priority, &priority("system-node-critical", 2_000_001_000), None, &[]);
        check(
            &Class::Priority,
            &priority("a", 1_000_000_001),
            None,
            &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
        );
        check(
            &Class::Priority,
            &priority("a", 1),
            Some(&priority("a", 2)),
            &["value: Forbidden: may not be changed in an update."],
        );
        let reserved = read(&Class::Priority.validate(&priority("system-x", 1)));
        assert!(reserved[0].contains("are reserved for system use only"), "{reserved:?}");
    }

    #[test]
    fn few_rules_are_kept() {
        let check = |strategy: &dyn Strategy, spec: Value, expected: &[&str]| {
            assert_eq!(read(&strategy.validate(&json!({"spec": spec}))), expected, "{spec}");
        };
        check(
            &Nodes,
            json!({"taints": [{"key": "a", "effect": "Never"}]}),
            &[
                "spec.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            ],
        );
        check(
            &Storage::Claim,
            json!({}),
            &[
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        );
        check(
            &Storage::Volume,
            json!({"accessModes": ["ReadWriteOnce"]}),
            &["spec.capacity: Required value"],
        );
        check(
            &Autoscalers,
            json!({"minReplicas": 5, "maxReplicas": 2}),
            &["spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"],
        );
        check(
            &Budgets,
            json!({"minAvailable": 1, "maxUnavailable": 1}),
            &[
                "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1}: minAvailable and maxUnavailable cannot be both set",
            ],
        );
        check(&Budgets, json!({"minAvailable": 1}), &[]);
    }
}
