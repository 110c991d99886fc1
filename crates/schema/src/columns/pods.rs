//! What a table says of a pod, in the words of upstream's printer: the state of the container that matters most.

use detectviz_api::timestamp;
use serde_json::Value;

/// What comes of looking at all containers of a pod.
struct Summary<'a> {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    /// When the last container that was started again had ended.
    restarted: Option<&'a str>,
}

pub(super) fn ready(pod: &Value) -> Value {
    let summary = summary(pod);
    format!("{}/{}", summary.ready, summary.total).into()
}

pub(super) fn status(pod: &Value) -> Value {
    summary(pod).reason.into()
}

pub(super) fn restarts(pod: &Value) -> Value {
    let Summary { restarts, restarted, .. } = summary(pod);
    match restarted.filter(|_| restarts != 0) {
        Some(at) => format!("{restarts} ({} ago)", timestamp::age(at)).into(),
        None => restarts.to_string().into(),
    }
}

pub(super) fn readiness_gates(pod: &Value) -> Value {
    let gates: Vec<&Value> = list(pod, "/spec/readinessGates").collect();
    if gates.is_empty() {
        return "<none>".into();
    }
    let open =
        gates.iter().filter(|gate| has_condition(pod, gate["conditionType"].as_str().unwrap_or_default()));
    format!("{}/{}", open.count(), gates.len()).into()
}

fn summary(pod: &Value) -> Summary<'_> {
    let text = |pointer| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let phase = text("/status/phase");
    let reason = if text("/status/reason").is_empty() { phase } else { text("/status/reason") };
    let is_gated = list(pod, "/status/conditions")
        .any(|one| one["type"] == "PodScheduled" && one["reason"] == "SchedulingGated");
    let sidecars = list(pod, "/spec/initContainers").filter(|one| is_sidecar(one)).count();
    let mut summary = Summary {
        reason: if is_gated { "SchedulingGated" } else { reason }.to_owned(),
        ready: 0,
        total: list(pod, "/spec/containers").count() + sidecars,
        restarts: 0,
        restarted: None,
    };
    let (initializing, later) = initializing(pod, &mut summary);
    if !initializing || has_condition(pod, "Initialized") {
        (summary.restarts, summary.restarted) = later;
        look_at_containers(pod, &mut summary);
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
        if text("/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut summary.reason);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut summary.reason);
        }
    }
    summary
}

/// Looks at the init containers: whether one of them has not done its part, and the restarts of those that go on beside the
/// others.
fn initializing<'a>(pod: &'a Value, summary: &mut Summary<'a>) -> (bool, (i64, Option<&'a str>)) {
    let count = list(pod, "/spec/initContainers").count();
    let mut sidecars = (0, None);
    for (index, status) in list(pod, "/status/initContainerStatuses").enumerate() {
        let mut spec = list(pod, "/spec/initContainers").filter(|one| one["name"] == status["name"]);
        let is_sidecar = spec.next().is_some_and(is_sidecar);
        count_restarts(status, &mut summary.restarts, &mut summary.restarted);
        if is_sidecar {
            count_restarts(status, &mut sidecars.0, &mut sidecars.1);
        }
        let (ended, waits) = (&status["state"]["terminated"], &status["state"]["waiting"]["reason"]);
        if ended.is_object() && ended["exitCode"].as_i64().unwrap_or_default() == 0 {
            continue;
        }
        if is_sidecar && status["started"] == true {
            summary.ready += usize::from(status["ready"] == true);
            continue;
        }
        summary.reason = match waits.as_str() {
            _ if ended.is_object() => format!("Init:{}", end(ended)),
            Some(reason) if !reason.is_empty() && reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{index}/{count}"),
        };
        return (true, sidecars);
    }
    (false, sidecars)
}

fn look_at_containers<'a>(pod: &'a Value, summary: &mut Summary<'a>) {
    let mut is_running = false;
    for status in list(pod, "/status/containerStatuses").rev() {
        count_restarts(status, &mut summary.restarts, &mut summary.restarted);
        let state = &status["state"];
        if let Some(reason) = state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty()) {
            reason.clone_into(&mut summary.reason);
        } else if state["terminated"].is_object() {
            summary.reason = end(&state["terminated"]);
        } else if status["ready"] == true && state["running"].is_object() {
            is_running = true;
            summary.ready += 1;
        }
    }
    // One that has completed says nothing of the pod while another runs.
    if summary.reason == "Completed" && is_running {
        let reason = if has_condition(pod, "Ready") { "Running" } else { "NotReady" };
        reason.clone_into(&mut summary.reason);
    }
}

/// How a container ended: its reason, its signal, or its exit code.
fn end(terminated: &Value) -> String {
    let number = |field: &str| terminated[field].as_i64().unwrap_or_default();
    match terminated["reason"].as_str().filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None if number("signal") != 0 => format!("Signal:{}", number("signal")),
        None => format!("ExitCode:{}", number("exitCode")),
    }
}

fn count_restarts<'a>(status: &'a Value, count: &mut i64, last: &mut Option<&'a str>) {
    *count += status["restartCount"].as_i64().unwrap_or_default();
    let ended = status["lastState"]["terminated"]["finishedAt"].as_str();
    // Times of one form sort as texts do.
    if ended > *last {
        *last = ended;
    }
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn has_condition(pod: &Value, kind: &str) -> bool {
    list(pod, "/status/conditions").any(|one| one["type"] == kind && one["status"] == "True")
}

fn list<'a>(object: &'a Value, pointer: &str) -> std::slice::Iter<'a, Value> {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(pod: &Value) -> [String; 3] {
        [ready(pod), status(pod), restarts(pod)].map(|cell| cell.as_str().unwrap().to_owned())
    }

    #[test]
    fn a_pod_is_in_the_state_that_matters_most() {
        let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        for (status, deleted, cells) in [
            (json!({"phase": "Pending"}), false, ["0/2", "Pending", "0"]),
            (json!({"phase": "Pending"}), true, ["0/2", "Terminating", "0"]),
            (json!({"phase": "Running", "reason": "NodeLost"}), true, ["0/2", "Unknown", "0"]),
            (json!({"phase": "Failed", "reason": "Evicted"}), true, ["0/2", "Evicted", "0"]),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}),
                false,
                ["0/2", "SchedulingGated", "0"],
            ),
            (
                json!({"phase": "Running", "containerStatuses": [
                    {"ready": true, "restartCount": 1, "state": {"running": {}}},
                    {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3}]}),
                false,
                ["1/2", "CrashLoopBackOff", "4"],
            ),
            (
                json!({"phase": "Running", "containerStatuses": [{"ready": true, "state": {"running": {}}},
                    {"state": {"terminated": {"reason": "Completed"}}}]}),
                false,
                ["1/2", "NotReady", "0"],
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}),
                false,
                ["0/2", "ExitCode:3", "0"],
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"signal": 9}}}]}),
                false,
                ["0/2", "Signal:9", "0"],
            ),
        ] {
            let mut pod = json!({"metadata": {}, "spec": spec, "status": status});
            if deleted {
                pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            }
            assert_eq!(row(&pod), cells, "{pod}");
        }
    }

    #[test]
    fn init_containers_come_first_and_sidecars_count() {
        let spec = json!({"containers": [{"name": "a"}],
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]});
        for (statuses, cells) in [
            (json!([{"name": "i", "state": {"running": {}}}]), ["0/2", "Init:0/2", "0"]),
            (
                json!([{"name": "i", "state": {"terminated": {"exitCode": 1}}, "restartCount": 2}]),
                ["0/2", "Init:ExitCode:1", "2"],
            ),
            (
                json!([{"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}]),
                ["0/2", "Init:ErrImagePull", "0"],
            ),
            (
                json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}, "restartCount": 2},
                    {"name": "s", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}]),
                ["1/2", "Running", "1"],
            ),
        ] {
            let pod =
                json!({"spec": spec, "status": {"phase": "Running", "initContainerStatuses": statuses}});
            assert_eq!(row(&pod), cells, "{pod}");
        }
        assert_eq!(row(&json!(null)), ["0/0", "", "0"]);
    }

    #[test]
    fn restarts_say_when_the_last_was_and_gates_how_many_are_open() {
        let old = timestamp::seconds(time::OffsetDateTime::now_utc() - time::Duration::days(366 * 20));
        let pod = json!({"spec": {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}, "status": {
            "conditions": [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}],
            "containerStatuses": [{"restartCount": 2, "lastState": {"terminated": {"finishedAt": old}}}]}});
        assert_eq!(restarts(&pod), "2 (20y ago)");
        assert_eq!(readiness_gates(&pod), "1/2");
        assert_eq!(readiness_gates(&json!({})), "<none>");
    }
}
