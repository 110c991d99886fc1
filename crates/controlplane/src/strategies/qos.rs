//! How a pod is treated when a node runs short: by whether all its containers say what they need and may use.

use detectviz_api::quantity::Quantity;
use serde_json::Value;

use super::podspec::list;

/// The resources that count.
const COUNTED: [&str; 2] = ["cpu", "memory"];

/// The class of a pod with this spec, as upstream computes it.
pub(super) fn class(spec: &Value) -> &'static str {
    let containers: Vec<&Value> =
        list(spec, "containers").iter().chain(list(spec, "initContainers")).collect();
    let amount = |container: &Value, field: &str, name: &str| -> Option<Quantity> {
        let text = container["resources"][field][name].as_str()?;
        text.parse().ok().filter(|amount: &Quantity| !amount.is_zero())
    };
    let any = |container: &&&Value| {
        COUNTED.iter().any(|name| {
            amount(container, "limits", name).is_some() || amount(container, "requests", name).is_some()
        })
    };
    if !containers.iter().any(|container| any(&container)) {
        return "BestEffort";
    }
    let is_guaranteed = |container: &&Value| {
        COUNTED.iter().all(|name| {
            let limit = amount(container, "limits", name);
            limit.is_some() && limit == amount(container, "requests", name)
        })
    };
    if containers.iter().all(is_guaranteed) { "Guaranteed" } else { "Burstable" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_has_the_class_that_its_containers_make() {
        let all =
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}});
        for (resources, expected) in [
            (json!([{}]), "BestEffort"),
            (json!([{"limits": {"cpu": "0"}}]), "BestEffort"),
            (json!([{"limits": {"nvidia.com/gpu": "1"}}]), "BestEffort"),
            (json!([{"requests": {"cpu": "1"}}]), "Burstable"),
            (json!([all]), "Guaranteed"),
            (json!([all, {}]), "Burstable"),
        ] {
            let containers: Vec<Value> =
                resources.as_array().unwrap().iter().map(|one| json!({"resources": one})).collect();
            assert_eq!(class(&json!({"containers": containers})), expected, "{resources}");
        }
    }
}
