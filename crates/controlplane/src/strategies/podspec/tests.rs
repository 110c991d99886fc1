use super::*;
use crate::strategies::read;
use serde_json::json;

fn faults(spec: &Value) -> Vec<String> {
    read(&validate(spec, "spec"))
}

fn container(fields: &Value) -> Value {
    let mut container = json!({"name": "a", "image": "i:1"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]})
}

#[test]
fn a_container_has_a_name_of_its_own_and_an_image() {
    let label = check_dns_label("A").unwrap_err();
    for (spec, expected) in [
        (json!({"containers": [{"name": "a", "image": "i"}]}), vec![]),
        (json!(null), vec!["spec.containers: Required value".to_owned()]),
        (json!({"containers": []}), vec!["spec.containers: Required value".to_owned()]),
        (
            json!({"containers": [{"name": "", "image": ""}]}),
            vec!["spec.containers[0].name: Required value".to_owned(), "spec.containers[0].image: Required value".to_owned()],
        ),
        (
            json!({"containers": [{"name": "A", "image": " i"}]}),
            vec![
                format!("spec.containers[0].name: Invalid value: \"A\": {label}"),
                "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace".to_owned(),
            ],
        ),
        (
            json!({"containers": [{"name": "a", "image": "i"}], "initContainers": [{"name": "a", "image": "i"}]}),
            vec!["spec.initContainers[0].name: Duplicate value: \"a\"".to_owned()],
        ),
    ] {
        assert_eq!(faults(&spec), expected, "{spec}");
    }
}

#[test]
fn ports_variables_mounts_and_resources_keep_upstreams_rules() {
    for (fields, expected) in [
        (json!({"ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 80}]}), vec![]),
        (json!({"ports": [{"containerPort": 0}]}), vec!["ports[0].containerPort: Required value"]),
        (
            json!({"ports": [{"containerPort": 70000, "hostPort": -1}]}),
            vec![
                "ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                "ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            json!({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
            vec!["ports[1].name: Duplicate value: \"a\""],
        ),
        (
            json!({"ports": [{"containerPort": 1, "name": "123"}]}),
            vec!["ports[0].name: Invalid value: \"123\": must contain at least one letter (a-z)"],
        ),
        (json!({"env": [{"name": "A", "value": "1"}, {"name": "A"}]}), vec![]),
        (json!({"env": [{"name": ""}]}), vec!["env[0].name: Required value"]),
        (
            json!({"env": [{"name": "a", "value": "x", "valueFrom": {"fieldRef": {}}}]}),
            vec!["env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {}, "secretKeyRef": {}}}]}),
            vec![
                "env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
            ],
        ),
        (json!({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}), vec![]),
        (
            json!({"volumeMounts": [{"name": "w", "mountPath": "/x"}]}),
            vec!["volumeMounts[0].name: Not found: \"w\""],
        ),
        (
            json!({"volumeMounts": [{"name": "v", "mountPath": "/x"}, {"name": "v", "mountPath": "/x"}]}),
            vec!["volumeMounts[1].mountPath: Invalid value: \"/x\": must be unique"],
        ),
        (json!({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1", "memory": "1Gi"}}}), vec![]),
        (
            json!({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}}}),
            vec![
                "resources.requests: Invalid value: \"1500m\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            json!({"resources": {"limits": {"cpu": "-1"}}}),
            vec!["resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"],
        ),
    ] {
        let expected: Vec<String> =
            expected.iter().map(|fault| format!("spec.containers[0].{fault}")).collect();
        assert_eq!(faults(&container(&fields)), expected, "{fields}");
    }
}

#[test]
fn volumes_have_names_and_one_source() {
    let spec = json!({"containers": [{"name": "a", "image": "i"}], "terminationGracePeriodSeconds": -1, "activeDeadlineSeconds": 0,
        "volumes": [{"name": "v"}, {"name": "v", "emptyDir": {}}, {"name": "", "secret": {}}, {"name": "w", "configMap": {"name": "c"}, "secret": {}}]});
    assert_eq!(
        faults(&spec),
        [
            "spec.volumes[1].name: Duplicate value: \"v\"",
            "spec.volumes[2].name: Required value",
            "spec.volumes[2].secret.secretName: Required value",
            "spec.volumes[3].secret: Forbidden: may not specify more than 1 volume type",
            "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ]
    );
}

#[test]
fn sources_of_volumes_say_what_they_must() {
    for (source, value, expected) in [
        ("secret", json!({"secretName": "s", "defaultMode": 256}), vec![]),
        ("secret", json!({}), vec!["secretName: Required value"]),
        (
            "configMap",
            json!({"name": "c", "defaultMode": 512}),
            vec![
                "defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            ],
        ),
        ("persistentVolumeClaim", json!({"claimName": ""}), vec!["claimName: Required value"]),
        ("hostPath", json!({"path": ""}), vec!["path: Required value"]),
        (
            "hostPath",
            json!({"path": "/a/../b"}),
            vec!["path: Invalid value: \"/a/../b\": must not contain '..'"],
        ),
        ("hostPath", json!({"path": "/a..b"}), vec![]),
        (
            "nfs",
            json!({"server": "s", "path": "a"}),
            vec!["path: Invalid value: \"a\": must be an absolute path"],
        ),
        ("emptyDir", json!({}), vec![]),
    ] {
        let volume = json!({"name": "v", source: value});
        let spec = json!({"containers": [{"name": "a", "image": "i"}], "volumes": [volume]});
        let expected: Vec<_> =
            expected.iter().map(|fault| format!("spec.volumes[0].{source}.{fault}")).collect();
        assert_eq!(faults(&spec), expected, "{spec}");
    }
}

#[test]
fn where_a_pod_may_run_is_said_as_upstream_reads_it() {
    for (field, value, expected) in [
        (
            "tolerations",
            json!([{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]),
            vec![],
        ),
        (
            "tolerations",
            json!([{"operator": "Foo", "key": "a"}]),
            vec![
                "tolerations[0].operator: Unsupported value: \"Foo\": supported values: \"Equal\", \"Exists\"",
            ],
        ),
        (
            "tolerations",
            json!([{"value": "a"}]),
            vec![
                "tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ],
        ),
        (
            "tolerations",
            json!([{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]),
            vec![
                "tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            ],
        ),
        (
            "affinity",
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}),
            vec![
                "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
            ],
        ),
        (
            "dnsPolicy",
            json!("None"),
            vec!["dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
    ] {
        let spec = json!({"containers": [{"name": "a", "image": "i"}], field: value});
        let expected: Vec<_> = expected.iter().map(|fault| format!("spec.{fault}")).collect();
        assert_eq!(faults(&spec), expected, "{spec}");
    }
    let labels = faults(&json!({"containers": [{"name": "a", "image": "i"}], "nodeSelector": {"a b": "c"}}));
    assert!(
        labels[0].starts_with("spec.nodeSelector: Invalid value: \"a b\": name part must consist of"),
        "{labels:?}"
    );
}

#[test]
fn probes_and_hooks_say_how() {
    const NONE: &str = "Required value: must specify a handler type";
    for (fields, expected) in [
        (
            json!({"livenessProbe": {"tcpSocket": {"port": "http"}}, "lifecycle": {"preStop": {"exec": {"command": ["a"]}}}}),
            vec![],
        ),
        (json!({"livenessProbe": {"periodSeconds": 1}}), vec![format!("livenessProbe: {NONE}")]),
        (
            json!({"livenessProbe": {"exec": {}}}),
            vec!["livenessProbe.exec.command: Required value".to_owned()],
        ),
        (json!({"lifecycle": {"preStop": {}}}), vec![format!("lifecycle.preStop: {NONE}")]),
        (
            json!({"readinessProbe": {"httpGet": {"port": 0}}}),
            vec![
                "readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive"
                    .to_owned(),
            ],
        ),
        (
            json!({"startupProbe": {"exec": {"command": ["a"]}, "grpc": {"port": 1}}}),
            vec!["startupProbe.grpc: Forbidden: may not specify more than 1 handler type".to_owned()],
        ),
    ] {
        let expected: Vec<_> = expected.iter().map(|fault| format!("spec.containers[0].{fault}")).collect();
        assert_eq!(faults(&container(&fields)), expected, "{fields}");
    }
}

#[test]
fn defaults_follow_other_fields() {
    let policy = |image: &str| {
        let mut spec = json!({"containers": [{"image": image}]});
        complete(&mut spec);
        spec["containers"][0]["imagePullPolicy"].clone()
    };
    for (image, expected) in [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("host:5000/a", "Always"),
        ("a:1", "IfNotPresent"),
        ("host:5000/a:1", "IfNotPresent"),
        ("a@sha256:abc", "IfNotPresent"),
    ] {
        assert_eq!(policy(image), expected, "{image}");
    }
    let mut spec = json!({"serviceAccountName": "s", "volumes": [{"name": "v"}], "hostNetwork": true,
        "containers": [{"image": "a:1", "imagePullPolicy": "Never", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}}]});
    complete(&mut spec);
    // In a template that is all.
    assert_eq!(spec["containers"][0]["resources"]["requests"], json!({"cpu": "1"}));
    assert_eq!(spec["containers"][0]["ports"], json!([{"containerPort": 80}]));
    complete_pod(&mut spec);
    assert_eq!(
        spec,
        json!({"serviceAccountName": "s", "serviceAccount": "s", "volumes": [{"name": "v", "emptyDir": {}}], "hostNetwork": true,
            "enableServiceLinks": true,
            "containers": [{"image": "a:1", "imagePullPolicy": "Never", "ports": [{"containerPort": 80, "hostPort": 80}],
                "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}}]})
    );
}
