//! Containers: names, images, ports, variables, mounts and resources.

use detectviz_api::Cause;
use detectviz_api::names::check_dns_label;
use detectviz_api::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;

use super::{duplicate, handlers, list, not_found};
use crate::strategies::causes::{invalid, required};

/// What the containers of a pod call one another and their volumes.
pub(super) struct Names<'a> {
    pub(super) volumes: &'a BTreeSet<&'a str>,
    pub(super) taken: BTreeSet<String>,
}

impl Names<'_> {
    pub(super) fn container(&mut self, container: &Value, path: &str, faults: &mut Vec<Cause>) {
        let (name, field) = (text(container, "name"), format!("{path}.name"));
        match check_dns_label(name) {
            // The schema says it where the field is missing.
            _ if name.is_empty() => {
                faults.extend(container["name"].is_string().then(|| required(&field, "")))
            }
            Err(why) => faults.push(invalid(&field, name, &why)),
            Ok(()) if !self.taken.insert(name.to_owned()) => faults.push(duplicate(&field, name)),
            Ok(()) => {}
        }
        let (image, field) = (text(container, "image"), format!("{path}.image"));
        if image.is_empty() {
            faults.push(required(&field, ""));
        } else if image.trim() != image {
            faults.push(invalid(&field, image, "must not have leading or trailing whitespace"));
        }
        ports(container, path, faults);
        variables(container, path, faults);
        handlers::validate(container, path, faults);
        self.mounts(container, path, faults);
        resources(&container["resources"], &format!("{path}.resources"), faults);
    }

    fn mounts(&self, container: &Value, path: &str, faults: &mut Vec<Cause>) {
        let mut places = BTreeSet::new();
        for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
            let path = format!("{path}.volumeMounts[{index}]");
            let (name, place) = (text(mount, "name"), text(mount, "mountPath"));
            if name.is_empty() {
                faults.extend(mount["name"].is_string().then(|| required(&format!("{path}.name"), "")));
            } else if !self.volumes.contains(name) {
                faults.push(not_found(&format!("{path}.name"), name));
            }
            if place.is_empty() {
                faults.extend(
                    mount["mountPath"].is_string().then(|| required(&format!("{path}.mountPath"), "")),
                );
            } else if !places.insert(place) {
                faults.push(invalid(&format!("{path}.mountPath"), place, "must be unique"));
            }
        }
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn ports(container: &Value, path: &str, faults: &mut Vec<Cause>) {
    const RANGE: &str = "must be between 1 and 65535, inclusive";
    let mut names = BTreeSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let (name, field) = (text(port, "name"), format!("{path}.name"));
        if !name.is_empty() {
            match check_port_name(name) {
                Err(why) => faults.push(invalid(&field, name, why)),
                Ok(()) if !names.insert(name) => faults.push(duplicate(&field, name)),
                Ok(()) => {}
            }
        }
        match port["containerPort"].as_i64() {
            Some(0) => faults.push(required(&format!("{path}.containerPort"), "")),
            Some(number) if !(1..=65535).contains(&number) => {
                faults.push(invalid(&format!("{path}.containerPort"), number, RANGE));
            }
            _ => {}
        }
        if let Some(number) = port["hostPort"].as_i64().filter(|number| !(0..=65535).contains(number)) {
            faults.push(invalid(&format!("{path}.hostPort"), number, RANGE));
        }
    }
}

/// Upstream's `IsValidPortName`, which names a service of the internet's list.
fn check_port_name(name: &str) -> Result<(), &'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match name {
        name if name.len() > 15 => Err("must be no more than 15 characters"),
        name if !name.bytes().all(is_allowed) => {
            Err("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        name if !name.bytes().any(|byte| byte.is_ascii_lowercase()) => {
            Err("must contain at least one letter (a-z)")
        }
        name if name.contains("--") => Err("must not contain consecutive hyphens"),
        name if name.starts_with('-') || name.ends_with('-') => Err("must not begin or end with a hyphen"),
        _ => Ok(()),
    }
}

fn variables(container: &Value, path: &str, faults: &mut Vec<Cause>) {
    const NAME: &str =
        "a valid environment variable name must consist only of printable ASCII characters other than '='";
    const ONE_OF: &str = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        let name = text(variable, "name");
        if name.is_empty() {
            faults.extend(variable["name"].is_string().then(|| required(&format!("{path}.name"), "")));
        } else if !name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
            faults.push(invalid(&format!("{path}.name"), name, NAME));
        }
        let Some(from) = variable["valueFrom"].as_object() else { continue };
        let field = format!("{path}.valueFrom");
        if from.is_empty() {
            faults.push(invalid(&field, "", ONE_OF));
        } else if !text(variable, "value").is_empty() {
            faults.push(invalid(&field, "", "may not be specified when `value` is not empty"));
        } else if from.len() > 1 {
            faults.push(invalid(&field, "", "may not have more than one field specified at a time"));
        }
    }
}

/// Checks that amounts are not negative, and that no more is requested than is allowed.
fn resources(resources: &Value, path: &str, faults: &mut Vec<Cause>) {
    let amounts = |field: &str| {
        let map = resources[field].as_object().into_iter().flatten();
        map.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?.parse::<Quantity>().ok()?)))
            .collect::<Vec<_>>()
    };
    let (limits, requests) = (amounts("limits"), amounts("requests"));
    for (field, amounts) in [("limits", &limits), ("requests", &requests)] {
        for (name, amount) in amounts.iter().filter(|(_, amount)| amount.is_negative()) {
            let field = format!("{path}.{field}[{name}]");
            faults.push(invalid(&field, amount.to_string(), "must be greater than or equal to 0"));
        }
    }
    for (name, request) in requests {
        let limit = limits.iter().find(|(limited, _)| *limited == name);
        if let Some((_, limit)) = limit.filter(|(_, limit)| request > *limit) {
            let why = format!("must be less than or equal to {name} limit of {limit}");
            faults.push(invalid(&format!("{path}.requests"), request.to_string(), &why));
        }
    }
}
