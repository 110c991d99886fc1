//! The selector of a `Scale`: a text, which clients pass on as they get it.

use detectviz_api::Status;
use serde_json::Value;
use std::collections::BTreeMap;

/// The selector in `value`, which is a text already or a `LabelSelector`.
///
/// # Errors
/// 500 when it is neither: the object says something that it should not have been let say.
pub(super) fn text(value: &Value) -> Result<String, Status> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let unreadable = || Status::internal(format!("cannot read the label selector {value}"));
    let selector = value.as_object().ok_or_else(unreadable)?;
    // By key, as upstream sorts them; of one key in the order in which they stand.
    let mut parts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        parts.entry(key).or_default().push(format!("{key}={}", value.as_str().ok_or_else(unreadable)?));
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let key = expression["key"].as_str().ok_or_else(unreadable)?;
        let part = requirement(key, expression).ok_or_else(unreadable)?;
        parts.entry(key).or_default().push(part);
    }
    Ok(parts.into_values().flatten().collect::<Vec<_>>().join(","))
}

fn requirement(key: &str, expression: &Value) -> Option<String> {
    let values = || {
        let values = expression["values"].as_array().into_iter().flatten();
        let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
        values.sort_unstable();
        values.join(",")
    };
    match expression["operator"].as_str()? {
        "In" => Some(format!("{key} in ({})", values())),
        "NotIn" => Some(format!("{key} notin ({})", values())),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_is_one_text() {
        let selector = json!({"matchLabels": {"b": "1", "a": "2"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["y", "x"]}, {"key": "aa", "operator": "NotIn", "values": ["z"]},
            {"key": "d", "operator": "Exists"}, {"key": "e", "operator": "DoesNotExist"}]});
        assert_eq!(text(&selector).unwrap(), "a=2,aa notin (z),b=1,c in (x,y),d,!e");
        assert_eq!(text(&json!("x=y")).unwrap(), "x=y");
        assert_eq!(text(&json!({})).unwrap(), "");
        assert_eq!(
            text(&json!({"matchExpressions": [{"key": "a", "operator": "Near"}]})).unwrap_err().code,
            500
        );
    }
}
