//! Label selectors in objects: what is wrong with one, and what it selects.

use detectviz_api::Cause;
use detectviz_api::names::{check_label_key, check_label_value};
use serde_json::Value;

use super::causes::{forbidden, invalid, required};
use super::podspec::list;

/// What is wrong with the selector at `path`.
pub(super) fn validate(selector: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        let (field, value) = (format!("{path}.matchLabels"), value.as_str().unwrap_or_default());
        faults.extend(check_label_key(key).err().map(|why| invalid(&field, key, &why)));
        faults.extend(check_label_value(value).err().map(|why| invalid(&field, value, &why)));
    }
    for (index, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let text = |field: &str| requirement[field].as_str().unwrap_or_default();
        let values = format!("{path}.values");
        match (text("operator"), list(requirement, "values").is_empty()) {
            ("In" | "NotIn", true) => {
                faults.push(required(&values, "must be specified when `operator` is 'In' or 'NotIn'"));
            }
            ("Exists" | "DoesNotExist", false) => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                faults.push(forbidden(&values, why));
            }
            ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
            (other, _) => {
                faults.push(invalid(&format!("{path}.operator"), other, "not a valid selector operator"));
            }
        }
        let why = check_label_key(text("key")).err();
        faults.extend(why.map(|why| invalid(&format!("{path}.key"), text("key"), &why)));
    }
    faults
}

/// Whether the selector selects what has these labels.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels[key].as_str();
    let wanted = selector["matchLabels"].as_object();
    let has_labels = wanted.into_iter().flatten().all(|(key, value)| label(key) == value.as_str());
    has_labels
        && list(selector, "matchExpressions").iter().all(|requirement| {
            let found = label(requirement["key"].as_str().unwrap_or_default());
            let is_in =
                list(requirement, "values").iter().any(|value| found.is_some() && value.as_str() == found);
            match requirement["operator"].as_str().unwrap_or_default() {
                "In" => is_in,
                "NotIn" => !is_in,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// Whether the selector says nothing, and so selects all.
pub(super) fn is_empty(selector: &Value) -> bool {
    selector["matchLabels"].as_object().is_none_or(serde_json::Map::is_empty)
        && list(selector, "matchExpressions").is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    #[test]
    fn a_selector_selects_what_it_says() {
        let labels = json!({"a": "1", "b": "2"});
        for (selector, expected) in [
            (json!({}), true),
            (json!({"matchLabels": {"a": "1"}}), true),
            (json!({"matchLabels": {"a": "2"}}), false),
            (json!({"matchLabels": {"c": "1"}}), false),
            (json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["0", "1"]}]}), true),
            (json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}), false),
            (json!({"matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["1"]}]}), true),
            (json!({"matchExpressions": [{"key": "b", "operator": "Exists"}]}), true),
            (json!({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}), false),
        ] {
            assert_eq!(matches(&selector, &labels), expected, "{selector}");
        }
        assert!(is_empty(&json!({"matchLabels": {}})) && !is_empty(&json!({"matchLabels": {"a": ""}})));
    }

    #[test]
    fn a_selector_keeps_upstreams_rules() {
        for (selector, expected) in [
            (json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}), None),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
                Some(
                    "s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
                ),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}),
                Some(
                    "s.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Near"}]}),
                Some(
                    "s.matchExpressions[0].operator: Invalid value: \"Near\": not a valid selector operator",
                ),
            ),
        ] {
            assert_eq!(read(&validate(&selector, "s")), Vec::from_iter(expected), "{selector}");
        }
        assert_eq!(validate(&json!({"matchLabels": {"a b": "c d"}}), "s").len(), 2);
    }
}
