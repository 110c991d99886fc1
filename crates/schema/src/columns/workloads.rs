//! What tables say of nodes, workloads, volumes and ways in, in the words of upstream's printers.

use detectviz_api::timestamp;
use serde_json::Value;

use super::{autoscalers, pods};

/// A column that is a function of the object.
pub(super) type Function = fn(&Value) -> Value;

const FUNCTIONS: [(&str, Function); 27] = [
    ("pod-ready", pods::ready),
    ("pod-status", pods::status),
    ("pod-restarts", pods::restarts),
    ("pod-readiness-gates", pods::readiness_gates),
    ("node-status", node_status),
    ("node-roles", node_roles),
    ("node-internal-ip", |node| node_address(node, "InternalIP")),
    ("node-external-ip", |node| node_address(node, "ExternalIP")),
    ("ready-of-spec", ready_of_spec),
    ("controller", controller),
    ("job-status", job_status),
    ("job-completions", job_completions),
    ("job-duration", job_duration),
    ("active-jobs", |cron_job| list(cron_job, "/status/active").len().into()),
    ("last-schedule", last_schedule),
    ("scale-target", scale_target),
    ("scale-metrics", autoscalers::targets),
    ("storage-class-name", storage_class_name),
    ("ingress-hosts", ingress_hosts),
    ("ingress-address", ingress_address),
    ("ingress-ports", ingress_ports),
    ("class-parameters", class_parameters),
    ("volume-status", volume_status),
    ("volume-claim", volume_claim),
    ("volume-access-modes", |volume| access_modes(volume, "/spec/accessModes")),
    ("claim-capacity", claim_capacity),
    ("claim-access-modes", claim_access_modes),
];

/// The function of that name.
pub(super) fn named(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
}

/// The text at `pointer`; empty when there is none.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn or_none(text: String) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn has_condition(object: &Value, kind: &str) -> bool {
    list(object, "/status/conditions").iter().any(|one| one["type"] == kind && one["status"] == "True")
}

fn is_ending(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

fn node_status(node: &Value) -> Value {
    let ready = list(node, "/status/conditions").iter().find(|one| one["type"] == "Ready");
    let status = match ready.map(|one| one["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    };
    let is_closed = node.pointer("/spec/unschedulable").is_some_and(|closed| closed == true);
    format!("{status}{}", if is_closed { ",SchedulingDisabled" } else { "" }).into()
}

fn node_roles(node: &Value) -> Value {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let role = |(key, value): (&'_ String, &'_ Value)| {
        let value = value.as_str().unwrap_or_default();
        let role = key.strip_prefix("node-role.kubernetes.io/");
        role.or((key == "kubernetes.io/role").then_some(value))
            .filter(|role| !role.is_empty())
            .map(str::to_owned)
    };
    let mut roles: Vec<String> = labels.filter_map(role).collect();
    roles.sort_unstable();
    roles.dedup();
    or_none(roles.join(","))
}

fn node_address(node: &Value, kind: &str) -> Value {
    let address = list(node, "/status/addresses").iter().find(|one| one["type"] == kind);
    or_none(address.map(|one| text(one, "/address")).unwrap_or_default().to_owned())
}

fn ready_of_spec(object: &Value) -> Value {
    format!("{}/{}", number(object, "/status/readyReplicas"), number(object, "/spec/replicas")).into()
}

fn controller(object: &Value) -> Value {
    let owner = list(object, "/metadata/ownerReferences").iter().find(|one| one["controller"] == true);
    let Some(owner) = owner else { return "<none>".into() };
    let group = text(owner, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    let kind = text(owner, "/kind").to_lowercase();
    let dot = if group.is_empty() { "" } else { "." };
    format!("{kind}{dot}{group}/{}", text(owner, "/name")).into()
}

fn job_status(job: &Value) -> Value {
    const KINDS: [&str; 5] = ["Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"];
    let found = KINDS.into_iter().find(|kind| has_condition(job, kind));
    match found {
        Some(end @ ("Complete" | "Failed")) => end.into(),
        _ if is_ending(job) => "Terminating".into(),
        other => other.unwrap_or("Running").into(),
    }
}

fn job_completions(job: &Value) -> Value {
    let (succeeded, parallelism) = (number(job, "/status/succeeded"), number(job, "/spec/parallelism"));
    match job.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(completions) => format!("{succeeded}/{completions}").into(),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}").into(),
        None => format!("{succeeded}/1").into(),
    }
}

fn job_duration(job: &Value) -> Value {
    let start = text(job, "/status/startTime");
    let (Some(from), to) = (timestamp::parse(start), timestamp::parse(text(job, "/status/completionTime")))
    else {
        return "".into();
    };
    to.map_or_else(|| timestamp::age(start), |to| timestamp::human_duration((to - from).whole_seconds()))
        .into()
}

fn last_schedule(cron_job: &Value) -> Value {
    match text(cron_job, "/status/lastScheduleTime") {
        "" => "<none>".into(),
        at => timestamp::age(at).into(),
    }
}

fn scale_target(autoscaler: &Value) -> Value {
    let part = |field| text(autoscaler, field);
    format!("{}/{}", part("/spec/scaleTargetRef/kind"), part("/spec/scaleTargetRef/name")).into()
}

fn ingress_hosts(ingress: &Value) -> Value {
    let rules = list(ingress, "/spec/rules").iter();
    let mut hosts: Vec<&str> =
        rules.map(|rule| text(rule, "/host")).filter(|host| !host.is_empty()).collect();
    hosts.dedup();
    match hosts.as_slice() {
        [] => "*".into(),
        [first @ .., _, _, _] if hosts.len() > 3 => {
            format!("{} + {} more...", hosts[..3].join(","), first.len()).into()
        }
        hosts => hosts.join(",").into(),
    }
}

fn ingress_address(ingress: &Value) -> Value {
    let place = |one: &Value| match text(one, "/ip") {
        "" => text(one, "/hostname").to_owned(),
        ip => ip.to_owned(),
    };
    let places = list(ingress, "/status/loadBalancer/ingress").iter().map(place);
    places.filter(|place| !place.is_empty()).collect::<Vec<_>>().join(",").into()
}

fn ingress_ports(ingress: &Value) -> Value {
    if list(ingress, "/spec/tls").is_empty() { "80".into() } else { "80, 443".into() }
}

fn class_parameters(class: &Value) -> Value {
    let Some(parameters) = class.pointer("/spec/parameters").filter(|one| one.is_object()) else {
        return "<none>".into();
    };
    let (group, dot) = match text(parameters, "/apiGroup") {
        "" => ("", ""),
        group => (group, "."),
    };
    format!("{}{dot}{group}/{}", text(parameters, "/kind"), text(parameters, "/name")).into()
}

/// The name, and whether claims that name no class get this one: the older annotation counts too.
fn storage_class_name(class: &Value) -> Value {
    const MARKS: [&str; 2] =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let annotations = class.pointer("/metadata/annotations").unwrap_or(&Value::Null);
    let is_default = MARKS.iter().any(|mark| annotations[*mark] == "true");
    format!("{}{}", text(class, "/metadata/name"), if is_default { " (default)" } else { "" }).into()
}

fn volume_status(volume: &Value) -> Value {
    if is_ending(volume) { "Terminating".into() } else { text(volume, "/status/phase").into() }
}

fn volume_claim(volume: &Value) -> Value {
    match volume.pointer("/spec/claimRef").filter(|one| one.is_object()) {
        Some(claim) => format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")).into(),
        None => "".into(),
    }
}

fn access_modes(volume: &Value, pointer: &str) -> Value {
    const SHORT: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let modes = list(volume, pointer);
    let short =
        SHORT.iter().filter(|(long, _)| modes.iter().any(|mode| mode == long)).map(|(_, short)| *short);
    short.collect::<Vec<_>>().join(",").into()
}

/// What the volume has; a claim that is not bound has none.
fn claim_capacity(claim: &Value) -> Value {
    if text(claim, "/spec/volumeName").is_empty() {
        "".into()
    } else {
        text(claim, "/status/capacity/storage").into()
    }
}

fn claim_access_modes(claim: &Value) -> Value {
    if text(claim, "/spec/volumeName").is_empty() {
        "".into()
    } else {
        access_modes(claim, "/status/accessModes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(rows: &[(&str, Value, Value)]) {
        for (name, object, cell) in rows {
            assert_eq!(&named(name).unwrap()(object), cell, "{name} of {object}");
        }
    }

    #[test]
    fn nodes_and_controllers_read_as_upstream_prints_them() {
        check(&[
            ("node-status", json!({}), json!("Unknown")),
            (
                "node-status",
                json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
                json!("Ready"),
            ),
            (
                "node-status",
                json!({"spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
                json!("NotReady,SchedulingDisabled"),
            ),
            ("node-roles", json!({}), json!("<none>")),
            (
                "node-roles",
                json!({"metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "a", "x": "y"}}}),
                json!("a,worker"),
            ),
            (
                "node-internal-ip",
                json!({"status": {"addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]}}),
                json!("1.2.3.4"),
            ),
            ("node-external-ip", json!({}), json!("<none>")),
            ("ready-of-spec", json!({"spec": {"replicas": 3}, "status": {"readyReplicas": 1}}), json!("1/3")),
            (
                "controller",
                json!({"metadata": {"ownerReferences": [{"controller": true, "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "a"}]}}),
                json!("statefulset.apps/a"),
            ),
            ("controller", json!({}), json!("<none>")),
        ]);
    }

    #[test]
    fn jobs_read_as_upstream_prints_them() {
        check(&[
            ("job-status", json!({}), json!("Running")),
            ("job-status", json!({"metadata": {"deletionTimestamp": "x"}}), json!("Terminating")),
            (
                "job-status",
                json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}),
                json!("Complete"),
            ),
            (
                "job-status",
                json!({"status": {"conditions": [{"type": "Suspended", "status": "True"}]}}),
                json!("Suspended"),
            ),
            (
                "job-completions",
                json!({"spec": {"completions": 3}, "status": {"succeeded": 1}}),
                json!("1/3"),
            ),
            ("job-completions", json!({"spec": {"parallelism": 4}}), json!("0/1 of 4")),
            ("job-completions", json!({"spec": {"parallelism": 1}}), json!("0/1")),
            ("job-duration", json!({}), json!("")),
            (
                "job-duration",
                json!({"status": {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:05Z"}}),
                json!("65s"),
            ),
            ("active-jobs", json!({"status": {"active": [{}]}}), json!(1)),
            ("last-schedule", json!({}), json!("<none>")),
        ]);
    }

    #[test]
    fn ways_in_read_as_upstream_prints_them() {
        check(&[
            (
                "scale-target",
                json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "a"}}}),
                json!("Deployment/a"),
            ),
            ("ingress-hosts", json!({"spec": {"rules": [{}]}}), json!("*")),
            ("ingress-hosts", json!({"spec": {"rules": [{"host": "a"}, {"host": "b"}]}}), json!("a,b")),
            (
                "ingress-hosts",
                json!({"spec": {"rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}]}}),
                json!("a,b,c + 1 more..."),
            ),
            (
                "ingress-address",
                json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "h"}]}}}),
                json!("1.1.1.1,h"),
            ),
            ("ingress-ports", json!({"spec": {"tls": [{}]}}), json!("80, 443")),
            ("ingress-ports", json!({}), json!("80")),
            ("class-parameters", json!({}), json!("<none>")),
            (
                "class-parameters",
                json!({"spec": {"parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}}),
                json!("K.g/n"),
            ),
        ]);
    }

    #[test]
    fn volumes_read_as_upstream_prints_them() {
        check(&[
            ("volume-status", json!({"status": {"phase": "Bound"}}), json!("Bound")),
            (
                "volume-status",
                json!({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Bound"}}),
                json!("Terminating"),
            ),
            ("volume-claim", json!({"spec": {"claimRef": {"namespace": "n", "name": "a"}}}), json!("n/a")),
            (
                "volume-access-modes",
                json!({"spec": {"accessModes": ["ReadWriteMany", "ReadWriteOnce"]}}),
                json!("RWO,RWX"),
            ),
            ("storage-class-name", json!({"metadata": {"name": "a"}}), json!("a")),
            (
                "storage-class-name",
                json!({"metadata": {"name": "a", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}),
                json!("a (default)"),
            ),
            ("claim-capacity", json!({"status": {"capacity": {"storage": "1Gi"}}}), json!("")),
            (
                "claim-capacity",
                json!({"spec": {"volumeName": "v"}, "status": {"capacity": {"storage": "1Gi"}}}),
                json!("1Gi"),
            ),
            (
                "claim-access-modes",
                json!({"spec": {"volumeName": "v"}, "status": {"accessModes": ["ReadOnlyMany"]}}),
                json!("ROX"),
            ),
        ]);
    }

    #[test]
    fn no_column_fails_on_an_object_of_another_shape() {
        assert!(named("any").is_none());
        let odd = json!({"metadata": [], "spec": {"rules": 1, "containers": {}}, "status": {"conditions": 3, "active": "x"}});
        for (name, function) in FUNCTIONS {
            let _ = (name, function(&odd), function(&Value::Null));
        }
    }
}
