//! Endpoints: addresses and ports that others may be sent to, in upstream's words (`ValidateEndpoints`).

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;

use super::causes::required;
use super::network::{
    app_protocol_fault, ip_fault, items, label_fault, non_special_ip_fault, number, port_fault,
    protocol_fault, subdomain_fault,
};
use super::text;

pub(super) struct Endpoints;

impl Strategy for Endpoints {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        for (index, subset) in items(object, "/subsets").iter().enumerate() {
            let field = format!("subsets[{index}]");
            let lists =
                ["addresses", "notReadyAddresses"].map(|list| (list, items(subset, &format!("/{list}"))));
            if lists.iter().all(|(_, addresses)| addresses.is_empty()) {
                faults.push(required(&field, "must specify `addresses` or `notReadyAddresses`"));
            }
            for (list, addresses) in lists {
                for (at, address) in addresses.iter().enumerate() {
                    faults.extend(address_faults(&format!("{field}.{list}[{at}]"), address));
                }
            }
            let ports = items(subset, "/ports");
            for (at, port) in ports.iter().enumerate() {
                faults.extend(port_faults(&format!("{field}.ports[{at}]"), port, ports.len() > 1));
            }
        }
        faults
    }
}

fn address_faults(field: &str, address: &Value) -> Vec<Cause> {
    let at = |name: &str| format!("{field}.{name}");
    let (ip, hostname) = (text(address, "/ip"), text(address, "/hostname"));
    let mut faults = Vec::new();
    faults.extend(ip_fault(&at("ip"), ip));
    if !hostname.is_empty() {
        faults.extend(label_fault(&at("hostname"), hostname));
    }
    if let Some(node) = address.get("nodeName").and_then(Value::as_str) {
        faults.extend(subdomain_fault(&at("nodeName"), node));
    }
    faults.extend(non_special_ip_fault(&at("ip"), ip));
    faults
}

fn port_faults(field: &str, port: &Value, is_named: bool) -> Vec<Cause> {
    let mut faults = Vec::new();
    match text(port, "/name") {
        "" => faults.extend(is_named.then(|| required(&format!("{field}.name"), ""))),
        name => faults.extend(label_fault(&format!("{field}.name"), name)),
    }
    faults.extend(port_fault(&format!("{field}.port"), number(port, "/port")));
    faults.extend(protocol_fault(field, port));
    faults.extend(app_protocol_fault(field, port));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    fn check(subset: &Value, expected: &[&str]) {
        assert_eq!(read(&Endpoints.validate(&json!({"subsets": [subset]}))), expected);
    }

    #[test]
    fn addresses_and_ports_are_checked() {
        let port = json!({"port": 80, "protocol": "TCP"});
        check(&json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [port]}), &[]);
        check(
            &json!({"ports": [port, {"name": "B", "port": 0, "protocol": "X", "appProtocol": "a b"}]}),
            &[
                "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
                "subsets[0].ports[0].name: Required value",
                &format!(
                    "subsets[0].ports[1].name: Invalid value: \"B\": {}",
                    detectviz_api::names::check_dns_label("B").unwrap_err()
                ),
                "subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "subsets[0].ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                &format!(
                    "subsets[0].ports[1].appProtocol: Invalid value: \"a b\": {}",
                    detectviz_api::names::check_label_key("a b").unwrap_err()
                ),
            ],
        );
        let odd = json!({"notReadyAddresses": [{"ip": "127.0.0.1", "hostname": "A", "nodeName": "-"}]});
        let fields: Vec<_> =
            Endpoints.validate(&json!({"subsets": [odd]})).into_iter().map(|cause| cause.field).collect();
        let at = "subsets[0].notReadyAddresses[0]";
        assert_eq!(fields, [format!("{at}.hostname"), format!("{at}.nodeName"), format!("{at}.ip")]);
    }
}
