//! How a container is asked how it is, and what happens when it starts and stops: each in exactly one way.

use detectviz_api::Cause;
use serde_json::Value;

use super::list;
use crate::strategies::causes::{forbidden, required};
use crate::strategies::network::port_or_name_faults;

const PROBES: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const HOOKS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];

/// What is wrong with the probes and hooks of the container at `path`.
pub(super) fn validate(container: &Value, path: &str, faults: &mut Vec<Cause>) {
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        one(&container[field], &PROBES, &format!("{path}.{field}"), faults);
    }
    for field in ["postStart", "preStop"] {
        one(&container["lifecycle"][field], &HOOKS, &format!("{path}.lifecycle.{field}"), faults);
    }
}

fn one(handler: &Value, kinds: &[&str], path: &str, faults: &mut Vec<Cause>) {
    if !handler.is_object() {
        return;
    }
    let given: Vec<_> = kinds.iter().filter(|kind| handler[**kind].is_object()).collect();
    if given.is_empty() {
        faults.push(required(path, "must specify a handler type"));
    }
    for kind in given.iter().skip(1) {
        faults.push(forbidden(&format!("{path}.{kind}"), "may not specify more than 1 handler type"));
    }
    for kind in given.iter().take(1) {
        if **kind == "exec" && list(&handler["exec"], "command").is_empty() {
            faults.push(required(&format!("{path}.exec.command"), ""));
        }
        faults.extend(port_or_name_faults(&format!("{path}.{kind}.port"), &handler[**kind]["port"]));
    }
}
