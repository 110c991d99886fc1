//! EndpointSlices: addresses of one type, and bounds, in upstream's words (`ValidateEndpointSlice`).

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::causes::{invalid, required, too_many, unsupported};
use super::network::{
    Once, app_protocol_fault, items, label_fault, non_special_ip_fault, protocol_fault, qualified_fault,
    subdomain_fault,
};
use super::text;

const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 100;
const MAX_TOPOLOGY: usize = 16;
const MAX_HINTS: usize = 8;

pub(super) struct EndpointSlices;

impl Strategy for EndpointSlices {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let kind = text(object, "/addressType");
        let mut faults = Vec::new();
        if kind.is_empty() {
            faults.push(required("addressType", ""));
        } else if !TYPES.contains(&kind) {
            faults.push(unsupported("addressType", kind, &TYPES));
        }
        let endpoints = items(object, "/endpoints");
        if endpoints.len() > MAX_ENDPOINTS {
            faults.push(too_many("endpoints", endpoints.len(), MAX_ENDPOINTS));
        } else {
            for (index, endpoint) in endpoints.iter().enumerate() {
                faults.extend(endpoint_faults(&format!("endpoints[{index}]"), endpoint, kind));
            }
        }
        faults.extend(ports_faults(items(object, "/ports")));
        faults
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = self.validate(object);
        let (kind, before) = (text(object, "/addressType"), text(old, "/addressType"));
        faults.extend((kind != before).then(|| invalid("addressType", kind, "field is immutable")));
        faults
    }
}

fn endpoint_faults(field: &str, endpoint: &Value, kind: &str) -> Vec<Cause> {
    let at = |name: &str| format!("{field}.{name}");
    let addresses = items(endpoint, "/addresses");
    let mut faults = Vec::new();
    if addresses.is_empty() {
        faults.push(required(&at("addresses"), "must contain at least 1 address"));
    } else if addresses.len() > MAX_ADDRESSES {
        faults.push(too_many(&at("addresses"), addresses.len(), MAX_ADDRESSES));
    }
    for (index, address) in addresses.iter().enumerate() {
        let address = address.as_str().unwrap_or_default();
        faults.extend(address_faults(&at(&format!("addresses[{index}]")), address, kind));
    }
    let topology =
        endpoint.get("deprecatedTopology").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    faults.extend(
        (topology > MAX_TOPOLOGY).then(|| too_many(&at("deprecatedTopology"), topology, MAX_TOPOLOGY)),
    );
    if let Some(topology) = endpoint.get("deprecatedTopology").and_then(Value::as_object) {
        faults.extend(topology.keys().filter_map(|key| qualified_fault(&at("deprecatedTopology"), key)));
    }
    if let Some(hostname) = endpoint.get("hostname").and_then(Value::as_str) {
        faults.extend(label_fault(&at("hostname"), hostname));
    }
    if let Some(node) = endpoint.get("nodeName").and_then(Value::as_str) {
        faults.extend(subdomain_fault(&at("nodeName"), node));
    }
    for (hint, check) in [("forZones", qualified_fault as Check), ("forNodes", subdomain_fault as Check)] {
        faults.extend(hint_faults(
            &at(&format!("hints.{hint}")),
            items(endpoint, &format!("/hints/{hint}")),
            check,
        ));
    }
    faults
}

/// What is wrong with a name at a field.
type Check = fn(&str, &str) -> Option<Cause>;

fn hint_faults(field: &str, hints: &[Value], check: Check) -> Vec<Cause> {
    if hints.len() > MAX_HINTS {
        return vec![too_many(field, hints.len(), MAX_HINTS)];
    }
    let mut faults = Vec::new();
    let mut names = Once::default();
    for (index, hint) in hints.iter().enumerate() {
        let (field, name) = (format!("{field}[{index}].name"), text(hint, "/name"));
        faults.extend(names.fault(&field, name).or_else(|| check(&field, name)));
    }
    faults
}

fn address_faults(field: &str, address: &str, kind: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    match kind {
        "IPv4" if address.parse::<Ipv4Addr>().is_err() => {
            faults.push(invalid(field, address, "must be a valid IPv4 address"));
        }
        "IPv6" if address.parse::<Ipv6Addr>().is_err() => {
            faults.push(invalid(field, address, "must be a valid IPv6 address"));
        }
        _ => {}
    }
    match kind {
        "IPv4" | "IPv6" => faults.extend(non_special_ip_fault(field, address)),
        "FQDN" => faults.extend(fqdn_fault(field, address)),
        _ => {}
    }
    faults
}

fn fqdn_fault(field: &str, address: &str) -> Option<Cause> {
    let name = address.strip_suffix('.').unwrap_or(address);
    if name.is_empty() {
        return Some(required(field, ""));
    }
    let short = || invalid(field, name, "should be a domain with at least two segments separated by dots");
    subdomain_fault(field, name).or_else(|| (!name.contains('.')).then(short))
}

fn ports_faults(ports: &[Value]) -> Vec<Cause> {
    if ports.len() > MAX_PORTS {
        return vec![too_many("ports", ports.len(), MAX_PORTS)];
    }
    let mut faults = Vec::new();
    let mut names = Once::default();
    for (index, port) in ports.iter().enumerate() {
        let (field, name) = (format!("ports[{index}]"), text(port, "/name"));
        let at = format!("{field}.name");
        if !name.is_empty() {
            faults.extend(label_fault(&at, name));
        }
        faults.extend(names.fault(&at, name));
        faults.extend(protocol_fault(&field, port));
        faults.extend(app_protocol_fault(&field, port));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    fn fields(object: &Value) -> Vec<String> {
        EndpointSlices.validate(object).into_iter().map(|cause| cause.field).collect()
    }

    #[test]
    fn addresses_are_of_the_slices_type() {
        for (kind, address, faults) in [
            ("IPv4", "10.0.0.1", 0),
            ("IPv4", "2001:db8::1", 1),
            ("IPv4", "x", 2),
            ("IPv6", "2001:db8::1", 0),
            ("IPv6", "fe80::1", 1),
            ("FQDN", "a.example.com.", 0),
            ("FQDN", "example", 1),
            ("FQDN", "", 1),
        ] {
            let slice = json!({"addressType": kind, "endpoints": [{"addresses": [address]}]});
            assert_eq!(fields(&slice), vec!["endpoints[0].addresses[0]"; faults], "{kind} {address}");
        }
        let odd = EndpointSlices.validate(&json!({"addressType": "IP", "endpoints": [{}]}));
        assert_eq!(
            read(&odd),
            [
                "addressType: Unsupported value: \"IP\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"",
                "endpoints[0].addresses: Required value: must contain at least 1 address",
            ]
        );
    }

    #[test]
    fn lists_have_bounds_and_names_stand_once() {
        let addresses = vec!["10.0.0.1"; MAX_ADDRESSES + 1];
        let zones = json!([{"name": "a"}, {"name": "a"}]);
        let slice = json!({"addressType": "IPv4",
            "endpoints": [{"addresses": addresses, "hostname": "A", "hints": {"forZones": zones}}],
            "ports": [{"name": "a", "protocol": "TCP"}, {"name": "a", "protocol": "TCP"}]});
        assert_eq!(
            fields(&slice),
            [
                "endpoints[0].addresses",
                "endpoints[0].hostname",
                "endpoints[0].hints.forZones[1].name",
                "ports[1].name"
            ]
        );
        let many = json!({"addressType": "IPv4", "endpoints": vec![json!({}); MAX_ENDPOINTS + 1],
            "ports": vec![json!({}); MAX_PORTS + 1]});
        assert_eq!(
            read(&EndpointSlices.validate(&many)),
            [
                "endpoints: Too many: 1001: must have at most 1000 items",
                "ports: Too many: 101: must have at most 100 items"
            ]
        );
    }

    #[test]
    fn the_type_of_addresses_stays() {
        let (old, new) = (json!({"addressType": "IPv4"}), json!({"addressType": "IPv6"}));
        assert_eq!(
            read(&EndpointSlices.validate_update(&new, &old)),
            ["addressType: Invalid value: \"IPv6\": field is immutable"]
        );
    }
}
