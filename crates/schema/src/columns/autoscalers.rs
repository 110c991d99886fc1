//! What tables show of autoscalers: what each metric is, and what it is to be.

use serde_json::Value;

use super::network::items;

/// How many metrics a cell shows before it counts the others.
const SHOWN: usize = 2;
const UNKNOWN: &str = "<unknown>";

/// The state and the target of each metric.
pub(super) fn targets(autoscaler: &Value) -> Value {
    let (metrics, states) = (items(autoscaler, "/spec/metrics"), items(autoscaler, "/status/currentMetrics"));
    if metrics.is_empty() {
        return "<none>".into();
    }
    let shown = metrics.iter().enumerate().take(SHOWN);
    let shown: Vec<_> = shown.map(|(index, metric)| target(metric, states.get(index))).collect();
    let shown = shown.join(", ");
    match metrics.len().saturating_sub(SHOWN) {
        0 => shown.into(),
        more => format!("{shown} + {more} more...").into(),
    }
}

fn target(metric: &Value, state: Option<&Value>) -> String {
    let (field, of_pods) = match metric["type"].as_str().unwrap_or_default() {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let source = &metric[field];
    let (wanted, current) = (&source["target"], state.map_or(&Value::Null, |state| &state[field]["current"]));
    let amount = |value: &Value| amount(value).unwrap_or_else(|| UNKNOWN.to_owned());
    let share = |value: &Value, absent: &str| match value["averageUtilization"].as_i64() {
        Some(share) => format!("{share}%"),
        None => absent.to_owned(),
    };
    let is_average = !wanted["averageValue"].is_null();
    if of_pods {
        let name = source["name"].as_str().unwrap_or_default();
        return match is_average {
            true => {
                format!("{name}: {}/{}", amount(&current["averageValue"]), amount(&wanted["averageValue"]))
            }
            false => format!("{name}: {}/{}", share(current, UNKNOWN), share(wanted, "<auto>")),
        };
    }
    let of = if is_average { "averageValue" } else { "value" };
    let note = if is_average && field != "pods" { " (avg)" } else { "" };
    format!("{}/{}{note}", amount(&current[of]), amount(&wanted[of]))
}

fn amount(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn targets_read_as_upstream_prints_them() {
        let cpu = |target: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        let of = |kind: &str, field: &str, target: Value| json!({"type": kind, field: {"target": target}});
        for (metrics, states, cell) in [
            (json!([]), json!([]), "<none>"),
            (json!([cpu(json!({"averageUtilization": 80}))]), json!(null), "cpu: <unknown>/80%"),
            (
                json!([cpu(json!({}))]),
                json!([{"resource": {"current": {"averageUtilization": 7}}}]),
                "cpu: 7%/<auto>",
            ),
            (
                json!([cpu(json!({"averageValue": "500m"}))]),
                json!([{"resource": {"current": {"averageValue": "20m"}}}]),
                "cpu: 20m/500m",
            ),
            (json!([of("Pods", "pods", json!({"averageValue": "1k"}))]), json!([]), "<unknown>/1k"),
            (
                json!([
                    of("Object", "object", json!({"value": "10k"})),
                    of("External", "external", json!({"averageValue": "3"}))
                ]),
                json!([{"object": {"current": {"value": "5k"}}}]),
                "5k/10k, <unknown>/3 (avg)",
            ),
            (
                json!([{"type": "Other"}, {"type": "Other"}, {}]),
                json!([]),
                "<unknown type>, <unknown type> + 1 more...",
            ),
        ] {
            let autoscaler = json!({"spec": {"metrics": metrics}, "status": {"currentMetrics": states}});
            assert_eq!(targets(&autoscaler), cell, "{autoscaler}");
        }
    }
}
