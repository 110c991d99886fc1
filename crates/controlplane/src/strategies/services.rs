//! Services: what fits which type, in upstream's words (`ValidateService`).
//!
//! There is no data plane, so nothing is given out: an address or a node port that a client names is kept, one that it
//! does not name is absent.

mod addresses;
mod ports;
mod prepare;

use detectviz_api::Cause;
use detectviz_api::names::{check_label_key, check_label_value};
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};

use super::causes::{forbidden, invalid, required, unsupported};
use super::network::{
    cidr_fault, ip_fault, non_special_ip_fault, number, port_fault, qualified_fault, subdomain_fault, texts,
};
use super::{begin_status, text};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameNode", "PreferSameZone"];
/// A day: the longest that a client stays with an endpoint.
const LONGEST_AFFINITY: i64 = 86_400;
const BALANCER_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";

pub(super) struct Services;

impl Strategy for Services {
    fn normalize(&self, object: &mut Value) {
        prepare::fill(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        begin_status(object, json!({"loadBalancer": {}}));
        prepare::create(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value) {
        prepare::update(object, old);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = type_faults(object);
        faults.extend(ports::faults(object));
        faults.extend(selector_faults(object));
        faults.extend(affinity_faults(object));
        faults.extend(addresses::faults(object));
        for (index, ip) in texts(object, "/spec/externalIPs").into_iter().enumerate() {
            let field = format!("spec.externalIPs[{index}]");
            faults.extend(ip_fault(&field, ip).or_else(|| non_special_ip_fault(&field, ip)));
        }
        let kind = text(object, "/spec/type");
        if !TYPES.contains(&kind) {
            faults.push(unsupported("spec.type", kind, &TYPES));
        }
        faults.extend(ports::node_port_faults(object));
        faults.extend(balancer_faults(object));
        faults.extend(policy_faults(object));
        faults
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = addresses::update_faults(object, old);
        let class =
            |service: &Value| service.pointer("/spec/loadBalancerClass").filter(|it| !it.is_null()).cloned();
        let is_balancer = |service: &Value| text(service, "/spec/type") == "LoadBalancer";
        if is_balancer(object) && is_balancer(old) && class(object) != class(old) {
            let class = class(object).unwrap_or_default();
            faults.push(super::causes::invalid_json(
                "spec.loadBalancerClass",
                &class,
                "may not change once set",
            ));
        }
        let health = |service: &Value| number(service, "/spec/healthCheckNodePort");
        if has_health_check(object) && has_health_check(old) && health(object) != health(old) {
            faults.push(forbidden("spec.healthCheckNodePort", "field is immutable"));
        }
        faults.extend(self.validate(object));
        faults
    }
}

/// Whether the service says that it has no address.
fn is_headless(service: &Value) -> bool {
    texts(service, "/spec/clusterIPs") == ["None"]
}

/// Whether traffic from outside may reach the service.
fn is_external(service: &Value) -> bool {
    let kind = text(service, "/spec/type");
    matches!(kind, "LoadBalancer" | "NodePort")
        || (kind == "ClusterIP" && !texts(service, "/spec/externalIPs").is_empty())
}

fn has_health_check(service: &Value) -> bool {
    text(service, "/spec/type") == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local"
}

fn type_faults(service: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let kind = text(service, "/spec/type");
    if super::network::items(service, "/spec/ports").is_empty()
        && !is_headless(service)
        && kind != "ExternalName"
    {
        faults.push(required("spec.ports", ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(service) => {
            let why = format!("may not be set to 'None' for {kind} services");
            faults.push(invalid("spec.clusterIPs[0]", "None", &why));
        }
        "ExternalName" => {
            const WHY: &str = "may not be set for ExternalName services";
            for field in ["clusterIPs", "ipFamilies"] {
                let is_set = !texts(service, &format!("/spec/{field}")).is_empty();
                faults.extend(is_set.then(|| forbidden(&format!("spec.{field}"), WHY)));
            }
            let has_policy = !text(service, "/spec/ipFamilyPolicy").is_empty();
            faults.extend(has_policy.then(|| forbidden("spec.ipFamilyPolicy", WHY)));
            let name = text(service, "/spec/externalName");
            let name = name.strip_suffix('.').unwrap_or(name);
            match name {
                "" => faults.push(required("spec.externalName", "")),
                name => faults.extend(subdomain_fault("spec.externalName", name)),
            }
        }
        _ => {}
    }
    faults
}

fn selector_faults(service: &Value) -> Vec<Cause> {
    let labels = service.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
    let mut faults = Vec::new();
    for (key, value) in labels {
        let value = value.as_str().unwrap_or_default();
        faults.extend(check_label_key(key).err().map(|why| invalid("spec.selector", key, &why)));
        faults.extend(check_label_value(value).err().map(|why| invalid("spec.selector", value, &why)));
    }
    faults
}

fn affinity_faults(service: &Value) -> Option<Cause> {
    const FIELD: &str = "spec.sessionAffinityConfig";
    const WHY: &str = "when session affinity type is ClientIP";
    let config = service.pointer("/spec/sessionAffinityConfig").filter(|config| config.is_object());
    match (text(service, "/spec/sessionAffinity"), config) {
        ("", _) => Some(required("spec.sessionAffinity", "")),
        ("None", Some(_)) => Some(forbidden(FIELD, "must not be set when session affinity is None")),
        ("ClientIP", None) => Some(required(FIELD, WHY)),
        ("ClientIP", Some(config)) => {
            let Some(client) = config.get("clientIP").filter(|client| client.is_object()) else {
                return Some(required(&format!("{FIELD}.clientIP"), WHY));
            };
            let field = format!("{FIELD}.clientIP.timeoutSeconds");
            let Some(seconds) = client.get("timeoutSeconds").and_then(Value::as_i64) else {
                return Some(required(&field, WHY));
            };
            let why = format!("must be greater than 0 and less than {LONGEST_AFFINITY}");
            (!(1..=LONGEST_AFFINITY).contains(&seconds)).then(|| invalid(&field, seconds, &why))
        }
        ("None", None) => None,
        (other, _) => Some(unsupported("spec.sessionAffinity", other, &AFFINITIES)),
    }
}

/// What belongs to load balancers stands in their services alone.
fn balancer_faults(service: &Value) -> Vec<Cause> {
    // Upstream's spelling of the field.
    const RANGES: &str = "spec.LoadBalancerSourceRanges";
    let is_balancer = text(service, "/spec/type") == "LoadBalancer";
    let mut faults = Vec::new();
    let ranges = texts(service, "/spec/loadBalancerSourceRanges");
    if !ranges.is_empty() && !is_balancer {
        faults.push(forbidden(RANGES, BALANCER_ONLY));
    }
    for (index, range) in ranges.into_iter().enumerate() {
        faults.extend(cidr_fault(&format!("{RANGES}[{index}]"), range.trim()));
    }
    let allocates = service.pointer("/spec/allocateLoadBalancerNodePorts").is_some_and(Value::is_boolean);
    if allocates && !is_balancer {
        faults.push(forbidden("spec.allocateLoadBalancerNodePorts", BALANCER_ONLY));
    }
    if let Some(class) = service.pointer("/spec/loadBalancerClass").and_then(Value::as_str) {
        const FIELD: &str = "spec.loadBalancerClass";
        faults.extend(match is_balancer {
            true => qualified_fault(FIELD, class),
            false => Some(forbidden(FIELD, BALANCER_ONLY)),
        });
    }
    faults
}

fn policy_faults(service: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let external = text(service, "/spec/externalTrafficPolicy");
    const EXTERNAL: &str = "spec.externalTrafficPolicy";
    match (is_external(service), external) {
        (false, "") => {}
        (false, _) => {
            faults.push(invalid(EXTERNAL, external, "may only be set for externally-accessible services"));
        }
        (true, "") => faults.push(required(EXTERNAL, "")),
        (true, _) => {
            faults
                .extend((!POLICIES.contains(&external)).then(|| unsupported(EXTERNAL, external, &POLICIES)));
        }
    }
    let health = number(service, "/spec/healthCheckNodePort");
    if health != 0 {
        const FIELD: &str = "spec.healthCheckNodePort";
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        faults.extend(match has_health_check(service) {
            true => port_fault(FIELD, health),
            false => Some(invalid(FIELD, health, why)),
        });
    }
    for (field, allowed) in
        [("internalTrafficPolicy", POLICIES.as_slice()), ("trafficDistribution", DISTRIBUTIONS.as_slice())]
    {
        if let Some(value) = service.pointer(&format!("/spec/{field}")).and_then(Value::as_str)
            && !allowed.contains(&value)
        {
            faults.push(unsupported(&format!("spec.{field}"), value, allowed));
        }
    }
    faults
}

#[cfg(test)]
mod tests;
