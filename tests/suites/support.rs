//! Words that several suites share.

use detectviz_tests::{Client, wait_until};
use serde_json::{Value, json};

/// Where the config maps of the namespace `default` are.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Where APIServices are.
pub(crate) const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
/// Where DataPlaneServices are.
pub(crate) const DATAPLANE_SERVICES: &str = "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices";

/// A config map with one value.
pub(crate) fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
}

/// The metadata's `resourceVersion`, which is an integer.
pub(crate) fn version(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no resourceVersion in {object}"))
}

/// The names in a list.
pub(crate) fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Creates `object` among its kind.
pub(crate) fn create(client: &Client, collection: &str, object: &Value) -> Value {
    client.create(collection, object).expect(201)
}

/// Waits until the condition `Available` of the object at `path` has this status and reason, and gives its message.
pub(crate) fn await_available(client: &Client, path: &str, status: &str, reason: Option<&str>) -> String {
    wait_until(&format!("{path} has Available={status}, reason {reason:?}"), || {
        let condition = available(&client.get(path).expect(200));
        let fits = condition["status"] == status && reason.is_none_or(|reason| condition["reason"] == reason);
        if fits { Ok(condition["message"].as_str().unwrap_or_default().to_owned()) } else { Err(condition) }
    })
}

fn available(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.find(|condition| condition["type"] == "Available").cloned().unwrap_or_default()
}
