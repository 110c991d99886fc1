//! Leases: the rules between numbers and between fields, in upstream's words (`ValidateLeaseSpec`).

use detectviz_api::Cause;
use detectviz_api::names::check_label_key;
use detectviz_server::strategy::Strategy;
use serde_json::Value;

use super::causes::{forbidden, invalid, unsupported};
use super::text;

/// The one strategy that has no domain before its name.
const OLDEST: &str = "OldestEmulationVersion";

pub(super) struct Leases;

impl Strategy for Leases {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let number = |field: &str| object.pointer(field).and_then(Value::as_i64);
        let mut faults = Vec::new();
        if let Some(seconds) = number("/spec/leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
            faults.push(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
        }
        if let Some(count) = number("/spec/leaseTransitions").filter(|count| *count < 0) {
            faults.push(invalid("spec.leaseTransitions", count, "must be greater than or equal to 0"));
        }
        if let Some(strategy) = object.pointer("/spec/strategy").and_then(Value::as_str) {
            faults.extend(strategy_fault(strategy));
        }
        if !text(object, "/spec/preferredHolder").is_empty() && text(object, "/spec/strategy").is_empty() {
            faults.push(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"));
        }
        faults
    }
}

/// The field is named twice, as upstream does.
fn strategy_fault(strategy: &str) -> Option<Cause> {
    const FIELD: &str = "spec.strategy.strategy";
    if !strategy.contains('/') {
        return (strategy != OLDEST).then(|| unsupported(FIELD, strategy, &[OLDEST]));
    }
    check_label_key(strategy).err().map(|why| invalid(FIELD, strategy, &why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    #[test]
    fn numbers_and_strategies_have_upstreams_bounds() {
        for (spec, fault) in [
            (json!({}), None),
            (json!({"leaseDurationSeconds": 1, "leaseTransitions": 0, "holderIdentity": ""}), None),
            (json!({"strategy": "OldestEmulationVersion", "preferredHolder": "a"}), None),
            (json!({"strategy": "example.com/any"}), None),
            (json!({"preferredHolder": ""}), None),
            (
                json!({"leaseDurationSeconds": 0}),
                Some("spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
            ),
            (
                json!({"leaseTransitions": -1}),
                Some("spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"),
            ),
            (
                json!({"preferredHolder": "a", "strategy": null}),
                Some("spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"),
            ),
            (
                json!({"strategy": "Newest"}),
                Some(
                    "spec.strategy.strategy: Unsupported value: \"Newest\": supported values: \"OldestEmulationVersion\"",
                ),
            ),
        ] {
            let found = read(&Leases.validate(&json!({"spec": spec})));
            assert_eq!(found, Vec::from_iter(fault), "{spec}");
        }
        let odd = Leases.validate(&json!({"spec": {"strategy": "a b/c"}}));
        assert_eq!((odd.len(), odd[0].field.as_str()), (1, "spec.strategy.strategy"));
    }
}
