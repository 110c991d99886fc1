//! The ports of a service: each has a name where there are several, and none is there twice.

use detectviz_api::Cause;
use serde_json::{Value, json};
use std::collections::HashSet;

use super::super::causes::{duplicate, duplicate_json, forbidden, required};
use super::super::network::{
    Once, app_protocol_fault, items, label_fault, number, port_fault, port_or_name_faults, protocol_fault,
};
use super::super::text;

pub(super) fn faults(service: &Value) -> Vec<Cause> {
    let ports = items(service, "/spec/ports");
    let mut names = Once::default();
    let mut faults = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let at = format!("{field}.name");
        match text(port, "/name") {
            "" => faults.extend((ports.len() > 1).then(|| required(&at, ""))),
            name => {
                faults.extend(label_fault(&at, name));
                faults.extend(names.fault(&at, name));
            }
        }
        faults.extend(port_fault(&format!("{field}.port"), number(port, "/port")));
        faults.extend(protocol_fault(&field, port));
        faults.extend(port_or_name_faults(&format!("{field}.targetPort"), &port["targetPort"]));
        faults.extend(app_protocol_fault(&field, port));
    }
    faults
}

/// What is wrong with node ports, and with pairs of protocol and port.
pub(super) fn node_port_faults(service: &Value) -> Vec<Cause> {
    let ports = items(service, "/spec/ports");
    let is_cluster_ip = text(service, "/spec/type") == "ClusterIP";
    let (mut faults, mut node_ports, mut pairs) = (Vec::new(), HashSet::new(), HashSet::new());
    let node = |port: &Value| number(port, "/nodePort");
    for (index, _) in ports.iter().enumerate().filter(|(_, port)| is_cluster_ip && node(port) != 0) {
        let field = format!("spec.ports[{index}].nodePort");
        faults.push(forbidden(&field, "may not be used when `type` is 'ClusterIP'"));
    }
    for (index, port) in ports.iter().enumerate().filter(|(_, port)| node(port) != 0) {
        if !node_ports.insert((text(port, "/protocol"), node(port))) {
            faults.push(duplicate(&format!("spec.ports[{index}].nodePort"), node(port)));
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let (protocol, number) = (text(port, "/protocol"), number(port, "/port"));
        if !pairs.insert((protocol, number)) {
            // Upstream shows its own form of the pair.
            let pair = json!({"Name": "", "Protocol": protocol, "AppProtocol": null, "Port": number,
                "TargetPort": 0, "NodePort": 0});
            faults.push(duplicate_json(&format!("spec.ports[{index}]"), &pair));
        }
    }
    faults
}
