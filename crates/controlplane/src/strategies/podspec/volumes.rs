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
        if let Some((source, value)) =
            volume.as_object().into_iter().flatten().find(|(key, _)| *key != "name")
        {
            faults.extend(source_faults(source, value, &format!("{path}.{source}")));
        }
    }
    names
}

/// What each source must say.
const NEEDED: [(&str, &[&str]); 6] = [
    ("secret", &["secretName"]),
    ("configMap", &["name"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("hostPath", &["path"]),
    ("nfs", &["server", "path"]),
    ("csi", &["driver"]),
];

fn source_faults(source: &str, value: &Value, path: &str) -> Vec<Cause> {
    /// All bits of a file's mode.
    const MODES: std::ops::RangeInclusive<i64> = 0..=0o777;
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let needed = NEEDED.iter().find(|(known, _)| *known == source).map_or(&[][..], |(_, fields)| *fields);
    // What the schema requires it asks for where it is missing, and nothing is judged then.
    let mut faults: Vec<_> = needed
        .iter()
        .filter(|field| text(field).is_empty())
        .map(|field| required(&format!("{path}.{field}"), ""))
        .collect();
    let (place, field) = (text("path"), format!("{path}.path"));
    if source == "hostPath" && place.split('/').any(|part| part == "..") {
        faults.push(invalid(&field, place, "must not contain '..'"));
    }
    if source == "nfs" && !place.is_empty() && !place.starts_with('/') {
        faults.push(invalid(&field, place, "must be an absolute path"));
    }
    if let Some(mode) = value["defaultMode"].as_i64().filter(|mode| !MODES.contains(mode)) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        faults.push(invalid(&format!("{path}.defaultMode"), mode, why));
    }
    faults
}
