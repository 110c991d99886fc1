//! Volumes: each has a name of its own and exactly one source.

use detectviz_api::Cause;
use detectviz_api::names::check_dns_label;
use serde_json::Value;
use std::collections::BTreeSet;

use super::duplicate;
use crate::strategies::causes::{forbidden, invalid, required};

/// Checks the volumes at `path`, and says what they are called.
pub(super) fn validate<'a>(volumes: &'a [Value], path: &str, faults: &mut Vec<Cause>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let (name, field) = (volume["name"].as_str().unwrap_or_default(), format!("{path}.name"));
        match check_dns_label(name) {
            // The schema says it where the field is missing.
            _ if name.is_empty() && volume["name"].is_string() => faults.push(required(&field, "")),
            _ if name.is_empty() => {}
            Err(why) => faults.push(invalid(&field, name, &why)),
            Ok(()) if !names.insert(name) => faults.push(duplicate(&field, name)),
            Ok(()) => {}
        }
        let sources = volume.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
        for (source, _) in sources.skip(1) {
            faults.push(forbidden(&format!("{path}.{source}"), "may not specify more than 1 volume type"));
        }
    }
    names
}
