//! ResourceQuotas: what may be counted, and in which scopes, in upstream's words (`ValidateResourceQuota`). Nothing is
//! counted here: a quota is an object like others.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;
use std::collections::BTreeSet;

use super::amounts::{Names, amount_faults, is_quota_name, name_faults};
use super::causes::{invalid, invalid_json, required};
use super::network::texts;
use super::{reset_status, text};

const EXISTS_ONLY: [&str; 5] =
    ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
const OTHERS: [&str; 2] = ["PriorityClass", "VolumeAttributesClass"];

pub(super) struct ResourceQuotas;

impl Strategy for ResourceQuotas {
    fn prepare_create(&self, object: &mut Value) {
        reset_status(object);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        for list in ["spec.hard", "status.hard", "status.used"] {
            let pointer = format!("/{}", list.replace('.', "/"));
            for (name, amount) in object.pointer(&pointer).and_then(Value::as_object).into_iter().flatten() {
                let field = format!("{list}[{name}]");
                faults.extend(name_faults(&field, name, Names::Quota));
                faults.extend(amount_faults(&field, name, amount));
            }
        }
        faults.extend(scope_faults(object));
        faults.extend(selector_faults(object));
        faults
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = self.validate(object);
        let scopes = |quota| texts(quota, "/spec/scopes").into_iter().collect::<BTreeSet<_>>();
        if scopes(object) != scopes(old) {
            let now = object.pointer("/spec/scopes").unwrap_or(&Value::Null);
            faults.push(invalid_json("spec.scopes", now, "field is immutable"));
        }
        faults
    }
}

fn is_scope(scope: &str) -> bool {
    EXISTS_ONLY.contains(&scope) || OTHERS.contains(&scope)
}

/// The plain names of what the quota counts.
fn counted(quota: &Value) -> impl Iterator<Item = &str> {
    let hard = quota.pointer("/spec/hard").and_then(Value::as_object).into_iter().flatten();
    hard.map(|(name, _)| name.as_str()).filter(|name| is_quota_name(name))
}

/// Whether objects of the resource have what the scope is about.
fn fits(scope: &str, resource: &str) -> bool {
    let is_claim = resource == "persistentvolumeclaims" || resource == "requests.storage";
    let measured = ["cpu", "memory", "ephemeral-storage"];
    let plain = resource.strip_prefix("requests.").or(resource.strip_prefix("limits.")).unwrap_or(resource);
    let is_compute = measured.contains(&plain) || resource.starts_with("hugepages-");
    match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => resource == "pods" || is_compute,
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => is_claim,
        _ => true,
    }
}

fn scope_faults(quota: &Value) -> Vec<Cause> {
    const FIELD: &str = "spec.scopes";
    let scopes = texts(quota, "/spec/scopes");
    let list = quota.pointer("/spec/scopes").unwrap_or(&Value::Null);
    let mut faults = Vec::new();
    for scope in &scopes {
        if !is_scope(scope) {
            faults.push(invalid_json(FIELD, list, "unsupported scope"));
        }
        let odd = counted(quota).filter(|resource| !fits(scope, resource));
        faults.extend(odd.map(|_| invalid_json(FIELD, list, "unsupported scope applied to resource")));
    }
    faults.extend(conflicts(FIELD, list, &scopes));
    faults
}

/// Pairs of scopes that no object has both of.
fn conflicts(field: &str, list: &Value, scopes: &[&str]) -> Vec<Cause> {
    let pairs = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
    let both = pairs.iter().filter(|pair| pair.iter().all(|scope| scopes.contains(scope)));
    both.map(|_| invalid_json(field, list, "conflicting scopes")).collect()
}

fn selector_faults(quota: &Value) -> Vec<Cause> {
    const FIELD: &str = "spec.scopeSelector.matchExpressions";
    let selector = quota.pointer("/spec/scopeSelector").unwrap_or(&Value::Null);
    let terms = super::network::items(selector, "/matchExpressions");
    let mut faults = Vec::new();
    for term in terms {
        let (scope, operator) = (text(term, "/scopeName"), text(term, "/operator"));
        if !is_scope(scope) {
            faults.push(invalid(&format!("{FIELD}.scopeName"), scope, "unsupported scope"));
        }
        let odd = counted(quota).filter(|resource| !fits(scope, resource));
        faults.extend(odd.map(|_| invalid_json(FIELD, selector, "unsupported scope applied to resource")));
        let at = format!("{FIELD}.operator");
        if EXISTS_ONLY.contains(&scope) && operator != "Exists" {
            let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                       ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort \
                       or ResourceQuotaScopeCrossNamespacePodAffinity";
            faults.push(invalid(&at, operator, why));
        }
        let (at_values, values) = (format!("{FIELD}.values"), texts(term, "/values"));
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                faults.push(required(&at_values, why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                faults.push(invalid_json(&at_values, &term["values"], why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => faults.push(invalid(&at, operator, "not a valid selector operator")),
        }
    }
    let scopes: Vec<_> = terms.iter().map(|term| text(term, "/scopeName")).collect();
    let list = quota.pointer("/spec/scopes").unwrap_or(&Value::Null);
    faults.extend(conflicts(FIELD, list, &scopes));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    fn check(spec: &Value, expected: &[&str]) {
        assert_eq!(read(&ResourceQuotas.validate(&json!({"spec": spec}))), expected, "{spec}");
    }

    #[test]
    fn what_is_counted_has_a_name_and_an_amount() {
        check(&json!({"hard": {"pods": "10", "count/things.example.org": "2", "limits.cpu": "1"}}), &[]);
        check(
            &json!({"hard": {"pods": "1.5"}}),
            &["spec.hard[pods]: Invalid value: \"1500m\": must be an integer"],
        );
        let status = json!({"status": {"used": {"x": "1"}}});
        assert_eq!(ResourceQuotas.validate(&status)[0].field, "status.used[x]");
    }

    #[test]
    fn scopes_fit_what_is_counted_and_each_other() {
        check(&json!({"hard": {"pods": "1"}, "scopes": ["BestEffort"]}), &[]);
        check(
            &json!({"hard": {"secrets": "1"}, "scopes": ["BestEffort", "NotBestEffort", "Mine"]}),
            &[
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"Mine\"]: unsupported scope applied to resource",
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"Mine\"]: unsupported scope applied to resource",
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"Mine\"]: unsupported scope",
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"Mine\"]: conflicting scopes",
            ],
        );
        let (old, new) = (json!({"spec": {"scopes": ["Terminating"]}}), json!({"spec": {}}));
        assert_eq!(
            read(&ResourceQuotas.validate_update(&new, &old)),
            ["spec.scopes: Invalid value: null: field is immutable"]
        );
    }

    #[test]
    fn terms_of_a_selector_have_values_as_their_operator_says() {
        let with =
            |terms: Value| json!({"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": terms}});
        check(&with(json!([{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}])), &[]);
        check(
            &with(json!([
                {"scopeName": "PriorityClass", "operator": "In"},
                {"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]},
                {"scopeName": "X", "operator": "Like"},
            ])),
            &[
                "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                "spec.scopeSelector.matchExpressions.values: Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
                "spec.scopeSelector.matchExpressions.scopeName: Invalid value: \"X\": unsupported scope",
                "spec.scopeSelector.matchExpressions.operator: Invalid value: \"Like\": not a valid selector operator",
            ],
        );
        let exists = ResourceQuotas.validate(
            &json!({"spec": with(json!([{"scopeName": "BestEffort", "operator": "In", "values": ["a"]}]))}),
        );
        assert!(read(&exists)[0].contains("must be 'Exists' when scope is any of"));
    }
}
