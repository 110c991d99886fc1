//! Controllers of pods, which control nothing here: what they are like is kept, for those who test what works with them.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};

use super::causes::{forbidden, invalid, invalid_json, required, unsupported};
use super::{podspec, selectors};

/// What a StatefulSet's update may change, in upstream's words.
const UPDATABLE: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
    'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
const UPDATABLE_FIELDS: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    ReplicationController,
}

impl Workload {
    const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::ReplicaSet => "replicaset",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::ReplicationController => "replicationcontroller",
        }
    }

    /// The status of one that nothing has looked at yet: the zeros that Go writes.
    fn first_status(self) -> Value {
        match self {
            Self::Deployment => json!({}),
            Self::ReplicaSet | Self::ReplicationController => json!({"replicas": 0}),
            Self::StatefulSet => json!({"replicas": 0, "availableReplicas": 0}),
            Self::DaemonSet => json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0,
                "numberMisscheduled": 0, "numberReady": 0}),
        }
    }

    /// Says how a rolling update goes, where one is meant.
    fn complete_strategy(self, spec: &mut Value) {
        let (field, rolling) = match self {
            Self::Deployment => ("strategy", json!({"maxUnavailable": "25%", "maxSurge": "25%"})),
            Self::StatefulSet => ("updateStrategy", json!({"partition": 0})),
            Self::DaemonSet => ("updateStrategy", json!({"maxUnavailable": 1, "maxSurge": 0})),
            Self::ReplicaSet | Self::ReplicationController => return,
        };
        let Some(strategy) = spec.get_mut(field).and_then(Value::as_object_mut) else { return };
        if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
            strategy.entry("rollingUpdate").or_insert(rolling);
        }
    }

    /// What is wrong with the selector, and with the template's labels.
    fn selection(self, spec: &Value) -> Vec<Cause> {
        let labels = &spec["template"]["metadata"]["labels"];
        let selector = match self {
            Self::ReplicationController => json!({"matchLabels": spec["selector"]}),
            _ => spec["selector"].clone(),
        };
        let mut faults = Vec::new();
        match (self, selectors::is_empty(&selector)) {
            (Self::ReplicationController, true) => faults.push(required("spec.selector", "")),
            // The schema says it where there is no selector.
            (_, true) if selector.is_object() => {
                let why = format!("empty selector is invalid for {}", self.name());
                faults.push(invalid_json("spec.selector", &selector, &why));
            }
            _ => faults.extend(selectors::validate(&selector, "spec.selector")),
        }
        if !selectors::is_empty(&selector) && !selectors::matches(&selector, labels) {
            let why = "`selector` does not match template `labels`";
            let labels = if labels.is_null() { &json!({}) } else { labels };
            faults.push(invalid_json("spec.template.metadata.labels", labels, why));
        }
        faults
    }

    fn strategy_faults(self, spec: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        let (strategy, rolling) = (&spec["strategy"], &spec["strategy"]["rollingUpdate"]);
        if self == Self::Deployment && strategy["type"] == "Recreate" && rolling.is_object() {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            faults.push(forbidden("spec.strategy.rollingUpdate", why));
        }
        let is_zero = |value: &Value| *value == 0 || *value == "0%";
        if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
            let field = "spec.strategy.rollingUpdate.maxUnavailable";
            faults.push(invalid_json(field, &rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0"));
        }
        let seconds = |field: &str| spec[field].as_i64().unwrap_or_default();
        if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64()
            && deadline <= seconds("minReadySeconds")
        {
            let why = "must be greater than minReadySeconds";
            faults.push(invalid("spec.progressDeadlineSeconds", deadline, why));
        }
        faults
    }
}

impl Strategy for Workload {
    fn orphans_by_default(&self) -> bool {
        *self == Self::ReplicationController
    }

    fn normalize(&self, object: &mut Value) {
        let labels =
            object.pointer("/spec/template/metadata/labels").filter(|labels| labels.is_object()).cloned();
        if let (Self::ReplicationController, Some(labels)) = (self, labels) {
            take_labels(object, "metadata", "labels", &labels);
            take_labels(object, "spec", "selector", &labels);
        }
        let Some(spec) = object.get_mut("spec") else { return };
        self.complete_strategy(spec);
        if let Some(pod) = spec.pointer_mut("/template/spec") {
            podspec::complete(pod);
        }
        let claims = spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten();
        for claim in claims.filter_map(Value::as_object_mut) {
            claim.insert("apiVersion".to_owned(), "v1".into());
            claim.insert("kind".to_owned(), "PersistentVolumeClaim".into());
            claim.insert("status".to_owned(), json!({"phase": "Pending"}));
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        if let Some(object) = object.as_object_mut() {
            object.insert("status".to_owned(), self.first_status());
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let spec = &object["spec"];
        let mut faults = numbers(spec, &["replicas", "minReadySeconds", "revisionHistoryLimit"]);
        faults.extend(self.selection(spec));
        faults.extend(self.strategy_faults(spec));
        // Without a template the schema says so.
        if spec["template"].is_object() {
            let pod = &spec["template"]["spec"];
            // What a StatefulSet mounts may be one of its claims; upstream leaves its pods to be checked when they are made.
            if *self != Self::StatefulSet {
                faults.extend(podspec::validate(pod, "spec.template.spec"));
            }
            let policy = pod["restartPolicy"].as_str().unwrap_or("Always");
            if policy != "Always" {
                faults.push(unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
            }
        }
        faults
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = self.validate(object);
        let (new, old) = (&object["spec"], &old["spec"]);
        match self {
            Self::ReplicationController => {}
            Self::StatefulSet if without(new, &UPDATABLE_FIELDS) != without(old, &UPDATABLE_FIELDS) => {
                faults.push(forbidden("spec", UPDATABLE));
            }
            Self::StatefulSet => {}
            _ if new["selector"] != old["selector"] => {
                faults.push(invalid_json("spec.selector", &new["selector"], "field is immutable"));
            }
            _ => {}
        }
        faults
    }
}

/// Which of the numbers are negative.
pub(super) fn numbers(spec: &Value, fields: &[&str]) -> Vec<Cause> {
    let negative = |field: &&str| spec[*field].as_i64().filter(|number| *number < 0);
    let fault = |field: &&str| {
        let number = negative(field)?;
        Some(invalid(&format!("spec.{field}"), number, "must be greater than or equal to 0"))
    };
    fields.iter().filter_map(fault).collect()
}

fn without(object: &Value, fields: &[&str]) -> Value {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| !fields.contains(&name.as_str()));
    }
    object
}

/// Gives `part` the labels of its pods in `field`, where it has none of its own.
pub(super) fn take_labels(object: &mut Value, part: &str, field: &str, labels: &Value) {
    let Some(object) = object.as_object_mut() else { return };
    let Some(part) = object.entry(part).or_insert_with(|| json!({})).as_object_mut() else { return };
    if part.get(field).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty) {
        part.insert(field.to_owned(), labels.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;

    fn object(change: &Value) -> Value {
        let mut object = json!({"metadata": {}, "spec": {
            "selector": {"matchLabels": {"a": "b"}}, "strategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}}}});
        object["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        object
    }

    #[test]
    fn workloads_keep_upstreams_rules() {
        for (kind, change, expected) in [
            (Workload::Deployment, json!({}), vec![]),
            (
                Workload::Deployment,
                json!({"selector": {"matchLabels": {"a": "c"}}, "replicas": -1}),
                vec![
                    "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                    "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
                ],
            ),
            (
                Workload::DaemonSet,
                json!({"selector": {}}),
                vec!["spec.selector: Invalid value: {}: empty selector is invalid for daemonset"],
            ),
            (
                Workload::Deployment,
                json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
                vec![
                    "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
                ],
            ),
            (
                Workload::Deployment,
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}}),
                vec![
                    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
                ],
            ),
            (
                Workload::Deployment,
                json!({"progressDeadlineSeconds": 5, "minReadySeconds": 5}),
                vec!["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
            ),
            (
                Workload::ReplicaSet,
                json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": []}}}),
                vec![
                    "spec.template.spec.containers: Required value",
                    "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                ],
            ),
        ] {
            assert_eq!(read(&kind.validate(&object(&change))), expected, "{kind:?} {change}");
        }
    }

    #[test]
    fn a_stateful_set_mounts_its_claims() {
        let mount = json!([{"name": "www", "mountPath": "/www"}]);
        let pod = json!({"containers": [{"name": "a", "image": "i", "volumeMounts": mount}]});
        let set = object(&json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}));
        assert_eq!(read(&Workload::StatefulSet.validate(&set)), [""; 0]);
        assert_eq!(
            read(&Workload::Deployment.validate(&set)),
            ["spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"www\""]
        );
    }

    #[test]
    fn updates_change_no_selector_and_little_of_a_stateful_set() {
        let old = object(&json!({"serviceName": "s"}));
        let new = object(&json!({"serviceName": "t", "replicas": 3}));
        assert_eq!(
            read(&Workload::StatefulSet.validate_update(&new, &old)),
            [format!("spec: Forbidden: {UPDATABLE}")]
        );
        let new = object(&json!({"serviceName": "s", "replicas": 3}));
        assert!(Workload::StatefulSet.validate_update(&new, &old).is_empty());
        let new = object(&json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}));
        assert_eq!(
            read(&Workload::ReplicaSet.validate_update(&new, &old)),
            [
                "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}: field is immutable"
            ]
        );
    }

    #[test]
    fn rolling_updates_and_claims_are_completed() {
        let mut deployment = object(&json!({}));
        Workload::Deployment.normalize(&mut deployment);
        assert_eq!(
            deployment["spec"]["strategy"]["rollingUpdate"],
            json!({"maxUnavailable": "25%", "maxSurge": "25%"})
        );
        assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
        let mut set = object(
            &json!({"updateStrategy": {"type": "OnDelete"}, "volumeClaimTemplates": [{"metadata": {"name": "c"}}]}),
        );
        Workload::StatefulSet.normalize(&mut set);
        assert_eq!(set["spec"]["updateStrategy"], json!({"type": "OnDelete"}));
        assert_eq!(set["spec"]["volumeClaimTemplates"][0]["kind"], "PersistentVolumeClaim");
        Workload::DaemonSet.prepare_create(&mut set);
        assert_eq!(set["status"]["numberReady"], 0);
    }

    #[test]
    fn a_replication_controller_takes_the_labels_of_its_pods() {
        let mut controller = object(&json!({}));
        controller["spec"].as_object_mut().unwrap().remove("selector");
        Workload::ReplicationController.normalize(&mut controller);
        assert_eq!(controller["spec"]["selector"], json!({"a": "b"}));
        assert_eq!(controller["metadata"]["labels"], json!({"a": "b"}));
        assert!(Workload::ReplicationController.validate(&controller).is_empty());
        controller["spec"]["selector"] = json!({});
        assert_eq!(
            read(&Workload::ReplicationController.validate(&controller)),
            ["spec.selector: Required value"]
        );
    }
}
