//! What tables show of services and their endpoints.

use serde_json::Value;

use super::computed::text;

const NONE: &str = "<none>";
/// How many addresses a cell shows before it counts the others.
const SHOWN: usize = 3;

/// The items of the list at `pointer`.
pub(super) fn items<'v>(object: &'v Value, pointer: &str) -> &'v [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of the list at `pointer`.
fn texts<'v>(object: &'v Value, pointer: &str) -> Vec<&'v str> {
    items(object, pointer).iter().filter_map(Value::as_str).collect()
}

/// The values with commas between, or that there are none.
fn joined(parts: &[impl AsRef<str>]) -> String {
    if parts.is_empty() {
        return NONE.to_owned();
    }
    parts.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
}

pub(super) fn cluster_ip(service: &Value) -> String {
    let first = texts(service, "/spec/clusterIPs").first().copied();
    first.or_else(|| text(service, "/spec/clusterIP")).unwrap_or(NONE).to_owned()
}

pub(super) fn external_ip(service: &Value) -> String {
    let own = texts(service, "/spec/externalIPs");
    match text(service, "/spec/type") {
        Some("ClusterIP" | "NodePort") => joined(&own),
        Some("LoadBalancer") => {
            let ingress = items(service, "/status/loadBalancer/ingress").iter();
            let balancer = ingress.filter_map(|at| text(at, "/ip").or_else(|| text(at, "/hostname")));
            let all: Vec<_> = balancer.chain(own).collect();
            if all.is_empty() { "<pending>".to_owned() } else { joined(&all) }
        }
        Some("ExternalName") => text(service, "/spec/externalName").unwrap_or_default().to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

pub(super) fn service_ports(service: &Value) -> String {
    let number = |port: &Value, field: &str| port.get(field).and_then(Value::as_i64).unwrap_or_default();
    let ports = items(service, "/spec/ports").iter().map(|port| {
        let protocol = text(port, "/protocol").unwrap_or_default();
        match number(port, "nodePort") {
            0 => format!("{}/{protocol}", number(port, "port")),
            node => format!("{}:{node}/{protocol}", number(port, "port")),
        }
    });
    joined(&ports.collect::<Vec<_>>())
}

pub(super) fn selector(service: &Value) -> String {
    let labels = service.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
    let mut labels: Vec<_> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    labels.sort_unstable();
    joined(&labels)
}

/// Each ready address with each of its ports.
pub(super) fn endpoints(endpoints: &Value) -> String {
    let subsets = items(endpoints, "/subsets");
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let addresses: Vec<_> =
            items(subset, "/addresses").iter().filter_map(|one| text(one, "/ip")).collect();
        let ports = items(subset, "/ports");
        if ports.is_empty() {
            all.extend(addresses.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports.iter().filter_map(|port| port["port"].as_i64()) {
            all.extend(addresses.iter().map(|ip| host_port(ip, port)));
        }
    }
    first(&all)
}

fn host_port(ip: &str, port: i64) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

pub(super) fn slice_ports(slice: &Value) -> String {
    let ports = items(slice, "/ports").iter().map(|port| match port["port"].as_i64() {
        Some(number) => number.to_string(),
        None => port["name"].as_str().unwrap_or("*").to_owned(),
    });
    unless_unset(&ports.collect::<Vec<_>>())
}

pub(super) fn slice_endpoints(slice: &Value) -> String {
    let endpoints = items(slice, "/endpoints").iter();
    unless_unset(&endpoints.flat_map(|endpoint| texts(endpoint, "/addresses")).collect::<Vec<_>>())
}

fn unless_unset(all: &[impl AsRef<str>]) -> String {
    let shown = first(all);
    if shown.is_empty() { "<unset>".to_owned() } else { shown }
}

/// The first few, and how many more there are.
fn first(all: &[impl AsRef<str>]) -> String {
    let shown = all.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(",");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn services_show_where_they_are() {
        for (spec, status, cells) in [
            (
                json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "::1"],
                    "ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}],
                    "selector": {"b": "2", "a": "1"}}),
                json!({}),
                ["10.0.0.1", "<none>", "80/TCP,53:30053/UDP", "a=1,b=2"],
            ),
            (
                json!({"type": "NodePort", "externalIPs": ["1.2.3.4", "1.2.3.5"]}),
                json!({}),
                ["<none>", "1.2.3.4,1.2.3.5", "<none>", "<none>"],
            ),
            (
                json!({"type": "LoadBalancer", "clusterIP": "None"}),
                json!({}),
                ["None", "<pending>", "<none>", "<none>"],
            ),
            (
                json!({"type": "LoadBalancer", "externalIPs": ["1.2.3.4"]}),
                json!({"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "h"}]}}),
                ["<none>", "1.1.1.1,h,1.2.3.4", "<none>", "<none>"],
            ),
            (
                json!({"type": "ExternalName", "externalName": "example.com"}),
                json!({}),
                ["<none>", "example.com", "<none>", "<none>"],
            ),
            (json!(null), json!(null), ["<none>", "<unknown>", "<none>", "<none>"]),
        ] {
            let service = json!({"spec": spec, "status": status});
            let found =
                [cluster_ip(&service), external_ip(&service), service_ports(&service), selector(&service)];
            assert_eq!(found, cells, "{service}");
        }
    }

    #[test]
    fn endpoints_show_three_and_count_the_others() {
        let addresses = json!([{"ip": "10.0.0.1"}, {"ip": "::1"}]);
        let ports = json!([{"port": 80}, {"port": 81}]);
        for (subsets, cell) in [
            (json!([]), "<none>"),
            (json!([{"notReadyAddresses": addresses, "ports": ports}]), ""),
            (json!([{"addresses": addresses}]), "10.0.0.1,::1"),
            (
                json!([{"addresses": addresses, "ports": ports}]),
                "10.0.0.1:80,[::1]:80,10.0.0.1:81 + 1 more...",
            ),
        ] {
            assert_eq!(endpoints(&json!({"subsets": subsets})), cell, "{subsets}");
        }
    }

    #[test]
    fn slices_show_ports_and_addresses() {
        let slice = json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": null}, {}],
            "endpoints": [{"addresses": ["1.1.1.1", "1.1.1.2"]}, {"addresses": ["1.1.1.3", "1.1.1.4"]}]});
        assert_eq!(slice_ports(&slice), "80,b,*");
        assert_eq!(slice_endpoints(&slice), "1.1.1.1,1.1.1.2,1.1.1.3 + 1 more...");
        assert_eq!(slice_ports(&json!({})), "<unset>");
        assert_eq!(slice_endpoints(&json!({"endpoints": null})), "<unset>");
    }
}
