//! The addresses of a service and their families: what fits together, and what stays once it is set.

use detectviz_api::Cause;
use serde_json::Value;
use std::net::{IpAddr, Ipv6Addr};

use super::super::causes::{invalid, invalid_json, required, unsupported};
use super::super::network::{Once, ip_fault, texts};
use super::super::text;
use super::is_headless;

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const FAMILY_POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const IPS: &str = "spec.clusterIPs";
const ONCE_SET: &str = "may not change once set";

/// What is wrong with `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`.
pub(super) fn faults(service: &Value) -> Vec<Cause> {
    if text(service, "/spec/type") == "ExternalName" {
        return Vec::new();
    }
    let (first, ips) = (text(service, "/spec/clusterIP"), texts(service, "/spec/clusterIPs"));
    let list = &service["spec"]["clusterIPs"];
    let mut faults = Vec::new();
    match (first, ips.first()) {
        ("", Some(_)) => {
            faults.push(invalid_json(IPS, list, "must be empty when `clusterIP` is not specified"))
        }
        (first, None) => faults.extend((!first.is_empty()).then(|| required(IPS, ""))),
        (first, Some(ip)) if first != *ip => {
            faults.push(invalid_json(IPS, list, "first value must match `clusterIP`"));
        }
        _ => {}
    }
    faults.extend(family_faults(service));
    let before = faults.len();
    faults.extend(ip_faults(&ips, list));
    let are_ips = faults.len() == before;
    if ips.len() > 2 {
        faults.push(invalid_json(IPS, list, "may only hold up to 2 values"));
    }
    if are_ips {
        faults.extend(dual_faults(service, &ips));
    }
    faults
}

fn family_faults(service: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let mut seen = Once::default();
    for (index, family) in texts(service, "/spec/ipFamilies").into_iter().enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        if !FAMILIES.contains(&family) {
            faults.push(unsupported(&field, family, &FAMILIES));
        }
        faults.extend(seen.fault(&field, family));
    }
    let policy = text(service, "/spec/ipFamilyPolicy");
    if !policy.is_empty() && !FAMILY_POLICIES.contains(&policy) {
        faults.push(unsupported("spec.ipFamilyPolicy", policy, &FAMILY_POLICIES));
    }
    faults
}

fn ip_faults(ips: &[&str], list: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && *ip == "None" {
            let alone = || invalid_json(IPS, list, "'None' must be the first and only value");
            faults.extend((ips.len() > 1).then(alone));
        } else {
            faults.extend(ip_fault(&format!("{IPS}[{index}]"), ip));
        }
    }
    faults
}

/// The family of an address.
pub(super) fn family_of(ip: &str) -> Option<&'static str> {
    match ip.parse().ok()? {
        IpAddr::V4(_) => Some("IPv4"),
        IpAddr::V6(_) => Some("IPv6"),
    }
}

fn dual_faults(service: &Value, ips: &[&str]) -> Vec<Cause> {
    let mut faults = Vec::new();
    let is_v6 = |ip: &str| ip.parse::<Ipv6Addr>().is_ok();
    if ips.len() > 1 && (ips.iter().all(|ip| is_v6(ip)) || !ips.iter().any(|ip| is_v6(ip))) {
        let why = "may specify no more than one IP for each IP family";
        faults.push(invalid_json(IPS, &service["spec"]["clusterIPs"], why));
    }
    if is_headless(service) {
        return faults;
    }
    let families = texts(service, "/spec/ipFamilies");
    for (index, (ip, family)) in ips.iter().zip(families).enumerate() {
        if FAMILIES.contains(&family) && family_of(ip) != Some(family) {
            let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            faults.push(invalid(&format!("{IPS}[{index}]"), ip, &why));
        }
    }
    faults
}

/// What an update may not do to addresses and families that are set.
pub(super) fn update_faults(service: &Value, old: &Value) -> Vec<Cause> {
    if [service, old].iter().any(|service| text(service, "/spec/type") == "ExternalName") {
        return Vec::new();
    }
    let (headless, was_headless) = (is_headless(service), is_headless(old));
    let mut faults = Vec::new();
    if !(headless && was_headless) {
        faults.extend(changed(service, old, "clusterIPs", "clusterIP"));
    }
    if !headless && !was_headless {
        faults.extend(changed(service, old, "ipFamilies", "ipFamily"));
    }
    faults
}

/// The first entry of the list `name` stays, and the second may go only when the policy says so.
fn changed(service: &Value, old: &Value, name: &str, one: &str) -> Vec<Cause> {
    let (pointer, field) = (format!("/spec/{name}"), format!("spec.{name}[0]"));
    let (now, before) = (texts(service, &pointer), texts(old, &pointer));
    let list = service.pointer(&pointer).unwrap_or(&Value::Null);
    let mut faults = Vec::new();
    if now.len() == before.len() {
        for (index, _) in before.iter().zip(&now).enumerate().filter(|(_, (before, now))| before != now) {
            let index = if one == "ipFamily" { 0 } else { index };
            faults.push(invalid_json(&format!("spec.{name}[{index}]"), list, ONCE_SET));
        }
        return faults;
    }
    if now.is_empty() {
        return vec![invalid_json(&field, list, &format!("primary {one} can not be unset"))];
    }
    if before.first().is_some_and(|before| *before != now[0]) {
        faults.push(invalid_json(&field, list, ONCE_SET));
    }
    let policy = service.pointer("/spec/ipFamilyPolicy").unwrap_or(&Value::Null);
    if now.len() == 1 && before.len() > 1 && policy != "SingleStack" {
        let why = format!("must be set to 'SingleStack' when releasing the secondary {one}");
        faults.push(invalid_json("spec.ipFamilyPolicy", policy, &why));
    }
    faults
}
