//! Ways in: what fits together in an Ingress and in a NetworkPolicy, in upstream's words (`ValidateIngressSpec`,
//! `ValidateNetworkPolicySpec`).

use detectviz_api::Cause;
use detectviz_api::names::{check_dns_subdomain, check_dns1035_label};
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};
use std::net::IpAddr;

use super::causes::{forbidden, invalid, invalid_shown, required, unsupported};
use super::network::{cidr_fault, port_or_name_faults, subdomain_fault};
use super::podspec::list;
use super::{begin_status, selectors, text};

const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
/// What a path that is compared as it stands may not hold, since whoever reads it may take it for another.
const ODD_PARTS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const ODD_ENDS: [&str; 2] = ["/..", "/."];
/// In the order in which upstream names them here.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
    consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', \
    regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

pub(super) struct Ingresses;

impl Strategy for Ingresses {
    fn prepare_create(&self, object: &mut Value) {
        begin_status(object, json!({"loadBalancer": {}}));
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let spec = &object["spec"];
        let (rules, fallback) = (list(spec, "rules"), &spec["defaultBackend"]);
        let mut faults = Vec::new();
        if rules.is_empty() && !fallback.is_object() {
            let why = "either `defaultBackend` or `rules` must be specified";
            faults.push(invalid_shown("spec", "null", why));
        }
        if fallback.is_object() {
            faults.extend(backend_faults(fallback, "spec.defaultBackend"));
        }
        for (index, rule) in rules.iter().enumerate() {
            faults.extend(rule_faults(rule, &format!("spec.rules[{index}]")));
        }
        for (index, tls) in list(spec, "tls").iter().enumerate() {
            let path = format!("spec.tls[{index}]");
            for (index, host) in list(tls, "hosts").iter().filter_map(Value::as_str).enumerate() {
                faults.extend(host_fault(host, &format!("{path}.hosts[{index}]")));
            }
            let secret = text(tls, "/secretName");
            faults
                .extend(named(secret).and_then(|name| subdomain_fault(&format!("{path}.secretName"), name)));
        }
        let class = text(spec, "/ingressClassName");
        faults.extend(named(class).and_then(|name| subdomain_fault("spec.ingressClassName", name)));
        faults
    }
}

fn named(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn host_fault(host: &str, field: &str) -> Option<Cause> {
    if !host.contains('*') {
        return subdomain_fault(field, host);
    }
    let is_wildcard = host.strip_prefix("*.").is_some_and(|rest| check_dns_subdomain(rest).is_ok());
    (!is_wildcard).then(|| invalid(field, host, WILDCARD))
}

fn rule_faults(rule: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    if let Some(host) = named(text(rule, "/host")) {
        let field = format!("{path}.host");
        let is_address = host.parse::<IpAddr>().is_ok();
        faults.extend(is_address.then(|| invalid(&field, host, "must be a DNS name, not an IP address")));
        faults.extend(host_fault(host, &field));
    }
    let http = &rule["http"];
    if http.is_object() && list(http, "paths").is_empty() {
        faults.push(required(&format!("{path}.http.paths"), ""));
    }
    for (index, one) in list(http, "paths").iter().enumerate() {
        let path = format!("{path}.http.paths[{index}]");
        faults.extend(path_faults(one, &path));
        faults.extend(backend_faults(&one["backend"], &format!("{path}.backend")));
    }
    faults
}

fn path_faults(one: &Value, path: &str) -> Vec<Cause> {
    let (kind, value, field) = (text(one, "/pathType"), text(one, "/path"), format!("{path}.path"));
    if !PATH_TYPES.contains(&kind) {
        return vec![unsupported(&format!("{path}.pathType"), kind, &PATH_TYPES)];
    }
    let mut faults = Vec::new();
    let is_free = kind == "ImplementationSpecific";
    if !(value.starts_with('/') || is_free && value.is_empty()) {
        faults.push(invalid(&field, value, "must be an absolute path"));
    }
    if !is_free {
        let parts = ODD_PARTS.iter().filter(|part| value.contains(**part));
        faults.extend(parts.map(|part| invalid(&field, value, &format!("must not contain '{part}'"))));
        let ends = ODD_ENDS.iter().filter(|end| value.ends_with(**end));
        faults.extend(ends.map(|end| invalid(&field, value, &format!("cannot end with '{end}'"))));
    }
    faults
}

fn backend_faults(backend: &Value, path: &str) -> Vec<Cause> {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_object(), resource.is_object()) {
        (true, true) => return vec![invalid(path, "", "cannot set both resource and service backends")],
        (false, false) => return vec![invalid(path, "", "resource or service backend is required")],
        (false, true) => return Vec::new(),
        (true, false) => {}
    }
    let mut faults = Vec::new();
    let (name, field) = (text(service, "/name"), format!("{path}.service.name"));
    match check_dns1035_label(name) {
        _ if name.is_empty() => faults.push(required(&field, "")),
        Err(why) => faults.push(invalid(&field, name, &why)),
        Ok(()) => {}
    }
    let port = &service["port"];
    let number = port["number"].as_i64().filter(|number| *number != 0);
    match (named(text(port, "/name")), number) {
        (Some(_), Some(_)) => faults.push(invalid(path, "", "cannot set both port name & port number")),
        (Some(name), None) => {
            faults.extend(port_or_name_faults(&format!("{path}.service.port.name"), &json!(name)));
        }
        (None, Some(number)) => {
            faults.extend(port_or_name_faults(&format!("{path}.service.port.number"), &json!(number)));
        }
        (None, None) => faults.push(required(path, "port name or number is required")),
    }
    faults
}

pub(super) struct Policies;

impl Strategy for Policies {
    /// A policy is for what comes in, and for what goes out if it says anything of that.
    fn normalize(&self, object: &mut Value) {
        let Some(spec) = object.get_mut("spec").filter(|spec| list(spec, "policyTypes").is_empty()) else {
            return;
        };
        let types =
            if list(spec, "egress").is_empty() { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("policyTypes".to_owned(), types);
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let spec = &object["spec"];
        let mut faults = selectors::validate(&spec["podSelector"], "spec.podSelector");
        for (way, peers) in [("ingress", "from"), ("egress", "to")] {
            for (index, rule) in list(spec, way).iter().enumerate() {
                let path = format!("spec.{way}[{index}]");
                for (index, port) in list(rule, "ports").iter().enumerate() {
                    faults.extend(port_faults(port, &format!("{path}.ports[{index}]")));
                }
                for (index, peer) in list(rule, peers).iter().enumerate() {
                    faults.extend(peer_faults(peer, &format!("{path}.{peers}[{index}]")));
                }
            }
        }
        for (index, kind) in list(spec, "policyTypes").iter().filter_map(Value::as_str).enumerate() {
            let kinds = ["Ingress", "Egress"];
            let fault = || unsupported(&format!("spec.policyTypes[{index}]"), kind, &kinds);
            faults.extend((!kinds.contains(&kind)).then(fault));
        }
        faults
    }
}

fn port_faults(port: &Value, path: &str) -> Vec<Cause> {
    let protocol = text(port, "/protocol");
    let mut faults = Vec::new();
    if !protocol.is_empty() && !PROTOCOLS.contains(&protocol) {
        faults.push(unsupported(&format!("{path}.protocol"), protocol, &PROTOCOLS));
    }
    faults.extend(port_or_name_faults(&format!("{path}.port"), &port["port"]));
    let Some(end) = port["endPort"].as_i64() else { return faults };
    let why = match (&port["port"], port["port"].as_i64()) {
        (Value::Null, _) => "may not be specified when `port` is not specified",
        (_, None) => "may not be specified when `port` is non-numeric",
        (_, Some(first)) if end < first => "must be greater than or equal to `port`",
        _ => return faults,
    };
    faults.push(invalid(&format!("{path}.endPort"), end, why));
    faults
}

fn peer_faults(peer: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let selectors = ["podSelector", "namespaceSelector"].map(|field| (field, &peer[field]));
    let has_selector = selectors.iter().any(|(_, selector)| selector.is_object());
    for (field, selector) in selectors {
        faults.extend(selectors::validate(selector, &format!("{path}.{field}")));
    }
    let block = &peer["ipBlock"];
    if block.is_object() {
        faults.extend(cidr_fault(&format!("{path}.ipBlock.cidr"), text(block, "/cidr")));
        for (index, except) in list(block, "except").iter().filter_map(Value::as_str).enumerate() {
            faults.extend(cidr_fault(&format!("{path}.ipBlock.except[{index}]"), except));
        }
    }
    match (has_selector, block.is_object()) {
        (false, false) => faults.push(required(path, "must specify a peer")),
        (true, true) => faults.push(forbidden(path, "may not specify both ipBlock and another peer")),
        _ => {}
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;

    fn check(strategy: &dyn Strategy, spec: &Value, expected: &[&str]) {
        assert_eq!(read(&strategy.validate(&json!({"spec": spec}))), expected, "{spec}");
    }

    fn rule(host: &str, path: &Value) -> Value {
        json!({"rules": [{"host": host, "http": {"paths": [path]}}]})
    }

    #[test]
    fn ingresses_keep_upstreams_rules() {
        let service = |port: Value| json!({"service": {"name": "web", "port": port}});
        let good = service(json!({"number": 80}));
        let path = |kind: &str, path: &str| json!({"pathType": kind, "path": path, "backend": good});
        check(&Ingresses, &rule("*.example.com", &path("Prefix", "/a")), &[]);
        check(&Ingresses, &rule("a.example.com", &path("ImplementationSpecific", "")), &[]);
        check(&Ingresses, &json!({"defaultBackend": service(json!({"name": "http"}))}), &[]);
        check(
            &Ingresses,
            &json!({}),
            &["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        );
        check(
            &Ingresses,
            &rule("10.0.0.1", &path("Exact", "a//b/..")),
            &[
                "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address",
                "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": must be an absolute path",
                "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": must not contain '//'",
                "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": cannot end with '/..'",
            ],
        );
        check(
            &Ingresses,
            &rule("a*", &path("Other", "/")),
            &[
                &format!("spec.rules[0].host: Invalid value: \"a*\": {WILDCARD}"),
                "spec.rules[0].http.paths[0].pathType: Unsupported value: \"Other\": supported values: \"Exact\", \
                 \"ImplementationSpecific\", \"Prefix\"",
            ],
        );
        for (backend, fault) in [
            (json!({}), "Invalid value: \"\": resource or service backend is required"),
            (service(json!({})), "Required value: port name or number is required"),
            (
                service(json!({"name": "a", "number": 1})),
                "Invalid value: \"\": cannot set both port name & port number",
            ),
            (
                json!({"service": {}, "resource": {}}),
                "Invalid value: \"\": cannot set both resource and service backends",
            ),
        ] {
            let fault = format!("spec.defaultBackend: {fault}");
            check(&Ingresses, &json!({"defaultBackend": backend}), &[&fault]);
        }
    }

    #[test]
    fn policies_keep_upstreams_rules() {
        let from = |peer: Value| json!({"podSelector": {}, "ingress": [{"from": [peer]}]});
        check(&Policies, &from(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}})), &[]);
        check(&Policies, &from(json!({"podSelector": {}, "namespaceSelector": {}})), &[]);
        check(&Policies, &from(json!({})), &["spec.ingress[0].from[0]: Required value: must specify a peer"]);
        check(
            &Policies,
            &from(json!({"podSelector": {}, "ipBlock": {"cidr": "::/0"}})),
            &["spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"],
        );
        let cidr = read(&Policies.validate(&json!({"spec": from(json!({"ipBlock": {"cidr": "x"}}))})));
        assert!(
            cidr[0].starts_with("spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"x\""),
            "{cidr:?}"
        );
        let to = |port: Value| json!({"egress": [{"ports": [port]}], "policyTypes": ["Egress"]});
        check(&Policies, &to(json!({"port": 80, "endPort": 90, "protocol": "TCP"})), &[]);
        for (port, fault) in [
            (
                json!({"port": 80, "endPort": 70}),
                "endPort: Invalid value: 70: must be greater than or equal to `port`",
            ),
            (
                json!({"port": "http", "endPort": 70}),
                "endPort: Invalid value: 70: may not be specified when `port` is non-numeric",
            ),
            (
                json!({"endPort": 70}),
                "endPort: Invalid value: 70: may not be specified when `port` is not specified",
            ),
            (
                json!({"protocol": "X"}),
                "protocol: Unsupported value: \"X\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
            ),
        ] {
            check(&Policies, &to(port), &[&format!("spec.egress[0].ports[0].{fault}")]);
        }
    }
}
