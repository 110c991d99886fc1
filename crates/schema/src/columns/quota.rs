//! What tables show of resource quotas.

use serde_json::Value;

/// `RESOURCE: USED/HARD` of each limit that is enforced, by name: those of `limits.*`, or all others.
pub(super) fn used(quota: &Value, of_limits: bool) -> String {
    let hard = quota.pointer("/status/hard").and_then(Value::as_object).into_iter().flatten();
    let mut rows: Vec<(&str, String)> = hard
        .filter(|(name, _)| name.starts_with("limits.") == of_limits)
        .map(|(name, hard)| {
            let used = quota.pointer("/status/used").and_then(|used| used.get(name));
            let text = |amount: Option<&Value>| match amount {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => "0".to_owned(),
            };
            (name.as_str(), format!("{name}: {}/{}", text(used), text(Some(hard))))
        })
        .collect();
    rows.sort_unstable();
    rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_stand_apart_from_requests() {
        let quota = json!({"status": {"used": {"pods": "1"},
            "hard": {"requests.cpu": "2", "pods": "10", "limits.cpu": "4", "limits": 7}}});
        assert_eq!(used(&quota, false), "limits: 0/7, pods: 1/10, requests.cpu: 0/2");
        assert_eq!(used(&quota, true), "limits.cpu: 0/4");
        assert_eq!(used(&json!({}), true), "");
    }
}
