//! The defaults of a pod's spec that depend on other fields.

use serde_json::{Map, Value, json};

/// Fills in what a pod's spec leaves open.
pub(crate) fn complete(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    alias(spec);
    for volume in items(spec, "volumes").filter_map(Value::as_object_mut) {
        if let Some(Value::Object(image)) = volume.get_mut("image") {
            pull_policy(image, "reference", "pullPolicy");
        }
        if !volume.keys().any(|key| key != "name") {
            volume.insert("emptyDir".to_owned(), json!({}));
        }
    }
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        for container in items(spec, field).filter_map(Value::as_object_mut) {
            pull_policy(container, "image", "imagePullPolicy");
        }
    }
}

/// Fills in what a pod leaves open and a template of pods may leave open: what is limited is requested, and a port of a
/// pod in the node's network is the node's.
pub(crate) fn complete_pod(spec: &mut Value) {
    if let Some(spec) = spec.as_object_mut() {
        for field in ["containers", "initContainers"] {
            items(spec, field).filter_map(Value::as_object_mut).for_each(request_what_is_limited);
        }
        spec.entry("enableServiceLinks").or_insert_with(|| true.into());
    }
    take_host_ports(spec);
}

/// Gives each port of a pod in the node's network the node's port of the same number.
fn take_host_ports(spec: &mut Value) {
    if spec["hostNetwork"] != true {
        return;
    }
    let Some(spec) = spec.as_object_mut() else { return };
    for field in ["containers", "initContainers"] {
        for container in items(spec, field).filter_map(Value::as_object_mut) {
            for port in items(container, "ports").filter_map(Value::as_object_mut) {
                let is_open = port.get("hostPort").and_then(Value::as_i64).unwrap_or_default() == 0;
                if let Some(number) = port.get("containerPort").cloned().filter(|_| is_open) {
                    port.insert("hostPort".to_owned(), number);
                }
            }
        }
    }
}

fn items<'a>(object: &'a mut Map<String, Value>, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The service account has two names; the old one follows the new one.
fn alias(spec: &mut Map<String, Value>) {
    let name = |field| spec.get(field).filter(|name| name.as_str().is_some_and(|name| !name.is_empty()));
    let Some(name) = name("serviceAccountName").or_else(|| name("serviceAccount")).cloned() else { return };
    spec.insert("serviceAccountName".to_owned(), name.clone());
    spec.insert("serviceAccount".to_owned(), name);
}

/// An image that is called latest, or nothing, may change behind its name.
fn pull_policy(holder: &mut Map<String, Value>, image: &str, policy: &str) {
    let is_set = holder.get(policy).and_then(Value::as_str).is_some_and(|policy| !policy.is_empty());
    if is_set {
        return;
    }
    let image = holder.get(image).and_then(Value::as_str).unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let is_fixed = last.contains('@') || last.split_once(':').is_some_and(|(_, tag)| tag != "latest");
    holder.insert(policy.to_owned(), if is_fixed { "IfNotPresent" } else { "Always" }.into());
}

fn request_what_is_limited(container: &mut Map<String, Value>) {
    let Some(Value::Object(resources)) = container.get_mut("resources") else { return };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    if let Value::Object(requests) = resources.entry("requests").or_insert_with(|| json!({})) {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}
