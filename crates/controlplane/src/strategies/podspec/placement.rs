//! Where a pod may run, and where it asks for names.

use detectviz_api::Cause;
use detectviz_api::names::{check_label_key, check_label_value};
use serde_json::Value;

use super::list;
use crate::strategies::causes::{invalid, required, unsupported};

/// What is wrong with how the pod's spec at `path` chooses nodes and name servers.
pub(super) fn validate(spec: &Value, path: &str, faults: &mut Vec<Cause>) {
    if spec["dnsPolicy"] == "None" && list(&spec["dnsConfig"], "nameservers").is_empty() {
        let (field, why) = match spec["dnsConfig"].is_object() {
            true => {
                ("dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
            }
            false => ("dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None"),
        };
        faults.push(required(&format!("{path}.{field}"), why));
    }
    for (key, value) in spec["nodeSelector"].as_object().into_iter().flatten() {
        let (field, value) = (format!("{path}.nodeSelector"), value.as_str().unwrap_or_default());
        faults.extend(check_label_key(key).err().map(|why| invalid(&field, key, &why)));
        faults.extend(check_label_value(value).err().map(|why| invalid(&field, value, &why)));
    }
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let wanted = &spec["affinity"]["nodeAffinity"][REQUIRED];
    // The schema says it where the list is missing.
    if wanted["nodeSelectorTerms"].as_array().is_some_and(Vec::is_empty) {
        let field = format!("{path}.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms");
        faults.push(required(&field, "must have at least one node selector term"));
    }
    for (index, toleration) in list(spec, "tolerations").iter().enumerate() {
        self::toleration(toleration, &format!("{path}.tolerations[{index}]"), faults);
    }
}

fn toleration(toleration: &Value, path: &str, faults: &mut Vec<Cause>) {
    let text = |field: &str| toleration[field].as_str().unwrap_or_default();
    let (key, operator, effect) = (text("key"), text("operator"), text("effect"));
    if let (false, Err(why)) = (key.is_empty(), check_label_key(key)) {
        faults.push(invalid(&format!("{path}.key"), key, &why));
    }
    let field = format!("{path}.operator");
    if key.is_empty() && operator != "Exists" {
        let why =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        faults.push(invalid(&field, operator, why));
    }
    if toleration["tolerationSeconds"].is_i64() && effect != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        faults.push(invalid(&format!("{path}.effect"), effect, why));
    }
    if !matches!(operator, "" | "Equal" | "Exists") {
        faults.push(unsupported(&field, operator, &["Equal", "Exists"]));
    }
}
