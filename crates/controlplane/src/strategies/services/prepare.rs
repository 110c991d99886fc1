//! What a service says without its writer having said it, and what an update keeps.

use serde_json::{Map, Value, json};

use super::super::network::{items, number, texts};
use super::super::text;
use super::addresses::family_of;
use super::{has_health_check, is_external};

/// How long a client stays with an endpoint, unless it is said: three hours.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn create(service: &mut Value) {
    pair_addresses(service, None);
    fill(service);
    set_families(service);
}

pub(super) fn update(service: &mut Value, old: &Value) {
    set_types(service);
    drop_foreign(service, old);
    pair_addresses(service, Some(old));
    keep_node_ports(service, old);
    fill(service);
    set_families(service);
}

fn spec(service: &mut Value) -> Option<&mut Map<String, Value>> {
    service.get_mut("spec")?.as_object_mut()
}

/// Whether the field says something.
fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null() && value != "" && *value != json!([]) && *value != json!({}))
}

fn set(service: &mut Value, field: &str, value: Value) {
    if let Some(spec) = spec(service)
        && !is_set(spec.get(field))
    {
        spec.insert(field.to_owned(), value);
    }
}

fn set_types(service: &mut Value) {
    set(service, "type", "ClusterIP".into());
    set(service, "sessionAffinity", "None".into());
}

/// The defaults that depend on other fields.
pub(super) fn fill(service: &mut Value) {
    set_types(service);
    match text(service, "/spec/sessionAffinity") {
        "None" => drop(spec(service).and_then(|spec| spec.remove("sessionAffinityConfig"))),
        "ClientIP" if service.pointer("/spec/sessionAffinityConfig/clientIP/timeoutSeconds").is_none() => {
            if let Some(spec) = spec(service) {
                let config = json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
                spec.insert("sessionAffinityConfig".to_owned(), config);
            }
        }
        _ => {}
    }
    let kind = text(service, "/spec/type").to_owned();
    if is_external(service) {
        set(service, "externalTrafficPolicy", "Cluster".into());
    }
    if kind == "LoadBalancer" {
        set(service, "allocateLoadBalancerNodePorts", true.into());
    }
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        set(service, "internalTrafficPolicy", "Cluster".into());
    }
    fill_ports(service);
}

/// The families of the addresses, IPv4 alone where there are none.
fn set_families(service: &mut Value) {
    if text(service, "/spec/type") == "ExternalName" {
        return;
    }
    let mut families: Vec<_> = texts(service, "/spec/clusterIPs").into_iter().filter_map(family_of).collect();
    if families.is_empty() {
        families.push("IPv4");
    }
    let policy = if families.len() > 1 { "RequireDualStack" } else { "SingleStack" };
    set(service, "ipFamilies", families.into());
    let is_dual = texts(service, "/spec/ipFamilies").len() > 1;
    set(service, "ipFamilyPolicy", if is_dual { "RequireDualStack" } else { policy }.into());
}

fn fill_ports(service: &mut Value) {
    let ports = spec(service).and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        let is_named = is_set(port.get("targetPort")) && port["targetPort"] != 0;
        if let Some(number) = port.get("port").filter(|_| !is_named).cloned() {
            port.insert("targetPort".to_owned(), number);
        }
    }
}

/// `clusterIP` and the first of `clusterIPs` say the same, whichever of them a client knows of.
fn pair_addresses(service: &mut Value, old: Option<&Value>) {
    const NEEDY: [&str; 3] = ["ClusterIP", "NodePort", "LoadBalancer"];
    let (ip, ips) = ("/spec/clusterIP", "/spec/clusterIPs");
    let needs = |service: &Value| {
        matches!(text(service, "/spec/type"), "") || NEEDY.contains(&text(service, "/spec/type"))
    };
    let mut first = text(service, ip).to_owned();
    let mut all: Vec<String> = texts(service, ips).into_iter().map(str::to_owned).collect();
    if let Some(old) = old {
        let (first_before, all_before) = (text(old, ip), texts(old, ips));
        if needs(service) && needs(old) {
            // A client that leaves them out means them to stay.
            if first.is_empty() && all.is_empty() {
                first_before.clone_into(&mut first);
            }
            if all.is_empty() && first == first_before {
                all = all_before.iter().map(|ip| (*ip).to_owned()).collect();
            }
        }
        // A client that knows only of one changed it.
        if first != first_before && all == all_before {
            all = if first.is_empty() { Vec::new() } else { vec![first.clone()] };
        }
    }
    if all.is_empty() && !first.is_empty() {
        all.push(first.clone());
    }
    let Some(spec) = spec(service) else { return };
    for (field, value) in [("clusterIP", json!(first)), ("clusterIPs", json!(all))] {
        match is_set(Some(&value)) {
            true => drop(spec.insert(field.to_owned(), value)),
            false if !is_set(spec.get(field)) => drop(spec.remove(field)),
            false => {}
        }
    }
}

/// A port keeps its node port when its writer leaves it out.
fn keep_node_ports(service: &mut Value, old: &Value) {
    let has_node_ports = |service: &Value| matches!(text(service, "/spec/type"), "NodePort" | "LoadBalancer");
    if !has_node_ports(service) || !has_node_ports(old) {
        return;
    }
    let pair = |port: &Value| (text(port, "/protocol").replace("TCP", ""), number(port, "/port"));
    let before: Vec<_> =
        items(old, "/spec/ports").iter().map(|port| (pair(port), number(port, "/nodePort"))).collect();
    let ports = spec(service).and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter(|port| port.is_object() && number(port, "/nodePort") == 0)
    {
        let known = before.iter().find(|(known, _)| *known == pair(port)).map(|(_, node)| *node);
        if let Some(node) = known.filter(|node| *node != 0) {
            port["nodePort"] = node.into();
        }
    }
}

/// A field that only the old type had goes with that type, unless the writer changed it: then it is a mistake to tell.
fn drop_foreign(service: &mut Value, old: &Value) {
    let kind = text(service, "/spec/type").to_owned();
    let mut foreign = Vec::new();
    if kind == "ExternalName" {
        foreign.extend(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]);
    }
    if kind != "LoadBalancer" {
        foreign.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if !is_external(service) {
        foreign.push("externalTrafficPolicy");
    }
    if !has_health_check(service) {
        foreign.push("healthCheckNodePort");
    }
    let drops_node_ports =
        !matches!(kind.as_str(), "NodePort" | "LoadBalancer") && text(old, "/spec/type") != kind;
    let same_ports = service.pointer("/spec/ports") == old.pointer("/spec/ports");
    let Some(spec) = spec(service) else { return };
    for field in foreign {
        if spec.get(field) == old["spec"].get(field) {
            spec.remove(field);
        }
    }
    if drops_node_ports && same_ports {
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
        ports.filter_map(Value::as_object_mut).for_each(|port| drop(port.remove("nodePort")));
    }
}
