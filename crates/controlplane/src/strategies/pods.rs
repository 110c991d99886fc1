//! Pods: nothing runs them here, so one stays as it was made until somebody writes its status, as a kubelet would.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value, json};

use super::causes::forbidden;
use super::podspec::{self, list};
use super::{qos, text};

/// What an update may change, in upstream's words.
const UPDATABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) struct Pods;

impl Strategy for Pods {
    fn normalize(&self, object: &mut Value) {
        let Some(spec) = object.get_mut("spec") else { return };
        podspec::complete(spec);
        podspec::complete_pod(spec);
    }

    fn prepare_create(&self, object: &mut Value) {
        let class = qos::class(&object["spec"]);
        if let Some(object) = object.as_object_mut() {
            object.insert("status".to_owned(), json!({"phase": "Pending", "qosClass": class}));
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        podspec::validate(&object["spec"], "spec")
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = self.validate(object);
        let (new, old) = (&object["spec"], &old["spec"]);
        for field in ["containers", "initContainers"] {
            if list(new, field).len() != list(old, field).len() {
                let why = "pod updates may not add or remove containers";
                faults.push(forbidden(&format!("spec.{field}"), why));
                return faults;
            }
        }
        if bare(&fixed(new, old)) != bare(old) {
            faults.push(forbidden("spec", UPDATABLE));
        }
        faults
    }

    /// As upstream: what does not run needs no time to end.
    fn grace_seconds(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
        let has_ended = matches!(text(object, "/status/phase"), "Succeeded" | "Failed");
        Some(match asked.or(own).unwrap_or_default() {
            _ if text(object, "/spec/nodeName").is_empty() || has_ended => 0,
            ..0 => 1,
            seconds => seconds,
        })
    }
}

/// The new spec with all that an update may change as it was before.
fn fixed(new: &Value, old: &Value) -> Value {
    let mut fixed = new.clone();
    let Some(spec) = fixed.as_object_mut() else { return fixed };
    for field in ["containers", "initContainers"] {
        let containers = spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
        for (container, old) in containers.zip(list(old, field)) {
            put(container.as_object_mut(), old, "image");
        }
    }
    let tolerations = list(new, "tolerations");
    if list(old, "tolerations").iter().all(|one| tolerations.contains(one)) {
        put(Some(spec), old, "tolerations");
    }
    let gates = list(old, "schedulingGates");
    if list(new, "schedulingGates").iter().all(|one| gates.contains(one)) {
        put(Some(spec), old, "schedulingGates");
    }
    let seconds = |spec: &Value, field: &str| spec[field].as_i64();
    if seconds(old, "terminationGracePeriodSeconds") < Some(0) {
        put(Some(spec), old, "terminationGracePeriodSeconds");
    }
    // The deadline may come, or come earlier.
    match (seconds(new, "activeDeadlineSeconds"), seconds(old, "activeDeadlineSeconds")) {
        (Some(new), Some(old)) if new > old => {}
        (None, Some(_)) => {}
        _ => put(Some(spec), old, "activeDeadlineSeconds"),
    }
    fixed
}

fn put(object: Option<&mut Map<String, Value>>, from: &Value, field: &str) {
    let Some(object) = object else { return };
    match from.get(field) {
        Some(value) => drop(object.insert(field.to_owned(), value.clone())),
        None => drop(object.remove(field)),
    }
}

/// The value without what is empty: to upstream, an empty list is no list.
fn bare(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(list) => list.iter().map(bare).collect(),
        Value::Object(map) => {
            let kept = map.iter().map(|(key, value)| (key.clone(), bare(value)));
            Value::Object(kept.filter(|(_, value)| !is_empty(value)).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;

    fn pod(change: &Value) -> Value {
        let mut pod = json!({"spec": {"containers": [{"name": "a", "image": "i:1"}], "terminationGracePeriodSeconds": 30,
            "tolerations": [{"key": "a"}]}});
        Pods.normalize(&mut pod);
        pod["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        pod
    }

    #[test]
    fn a_new_pod_waits_and_has_a_class() {
        let mut pod = pod(&json!({}));
        pod["status"] = json!({"phase": "Running"});
        Pods.prepare_create(&mut pod);
        assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
        assert_eq!(pod["spec"]["enableServiceLinks"], true);
        assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    }

    #[test]
    fn an_update_changes_little() {
        for (change, fault) in [
            (json!({}), None),
            (json!({"volumes": []}), None),
            (json!({"containers": [{"name": "a", "image": "j:2", "imagePullPolicy": "IfNotPresent"}]}), None),
            (json!({"tolerations": [{"key": "b"}, {"key": "a"}]}), None),
            (json!({"activeDeadlineSeconds": 5}), None),
            (json!({"tolerations": []}), Some(format!("spec: Forbidden: {UPDATABLE}"))),
            (json!({"hostNetwork": true}), Some(format!("spec: Forbidden: {UPDATABLE}"))),
            (
                json!({"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "i:1"}]}),
                Some("spec.containers: Forbidden: pod updates may not add or remove containers".to_owned()),
            ),
        ] {
            let found = read(&Pods.validate_update(&pod(&change), &pod(&json!({}))));
            assert_eq!(found, Vec::from_iter(fault), "{change}");
        }
    }

    #[test]
    fn only_what_runs_is_given_time_to_end() {
        let running = json!({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Running"}});
        let ended = json!({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Failed"}});
        for (pod, asked, seconds) in [
            (&running, None, 30),
            (&running, Some(5), 5),
            (&running, Some(0), 0),
            (&running, Some(-1), 1),
            (&ended, None, 0),
            (&pod(&json!({})), None, 0),
            (&pod(&json!({})), Some(9), 0),
        ] {
            assert_eq!(Pods.grace_seconds(pod, asked), Some(seconds), "{pod} {asked:?}");
        }
    }
}
