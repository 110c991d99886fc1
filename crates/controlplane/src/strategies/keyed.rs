//! Maps of keys to values, as ConfigMaps and Secrets have them: what keys are like, how much they hold, when they freeze.

use detectviz_api::Cause;
use serde_json::{Map, Value};

use super::causes::{forbidden, invalid};

/// The most bytes that all values of a ConfigMap or Secret may have together; upstream's bound.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// The entries of the map at `field` of the object.
pub(super) fn entries<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = object.get(field).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// What is wrong with the keys of the map at `field`.
pub(super) fn key_faults(object: &Value, field: &str) -> Vec<Cause> {
    let fault = |(key, _): (&str, &str)| {
        let why = check_key(key).err()?;
        Some(invalid(&format!("{field}[{key}]"), key, &why))
    };
    entries(object, field).filter_map(fault).collect()
}

/// Upstream's `IsConfigMapKey`: a key may become a file's name.
fn check_key(key: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match key {
        "." => Err("must not be '.'".to_owned()),
        ".." => Err("must not be '..'".to_owned()),
        key if key.len() > 253 => Err("must be no more than 253 characters".to_owned()),
        key if key.is_empty() || !key.bytes().all(is_allowed) => Err(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
             or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        ),
        key if key.starts_with("..") => Err("must not start with '..'".to_owned()),
        _ => Ok(()),
    }
}

/// How many bytes the padded base64 `text` stands for.
pub(super) fn decoded_len(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

/// What an update may not do to an object that said `immutable: true`: change `maps`, or take that back.
pub(super) fn immutable_faults(object: &Value, old: &Value, maps: &[&str]) -> Vec<Cause> {
    const WHY: &str = "field is immutable when `immutable` is set";
    if old["immutable"] != true {
        return Vec::new();
    }
    let thawed = (object["immutable"] != true).then_some("immutable");
    let changed = maps.iter().copied().filter(|field| map_at(object, field) != map_at(old, field));
    thawed.into_iter().chain(changed).map(|field| forbidden(field, WHY)).collect()
}

/// The map at `field`, if it holds anything: an absent and an empty one are the same.
fn map_at<'a>(object: &'a Value, field: &str) -> Option<&'a Map<String, Value>> {
    object.get(field)?.as_object().filter(|map| !map.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_names_of_files() {
        for key in ["a", "KEY_NAME", "a.b-c", ".dockerconfigjson", ".a..b"] {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
        for key in ["", ".", "..", "..a", "a b", "a/b", "é", &"a".repeat(254)] {
            assert!(check_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn base64_lengths_are_known_without_decoding() {
        for (text, bytes) in [("", 0), ("YQ==", 1), ("YWI=", 2), ("YWJj", 3), ("=", 0)] {
            assert_eq!(decoded_len(text), bytes, "{text}");
        }
    }

    #[test]
    fn an_immutable_object_stays_as_it_is() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        let check = |object: Value| {
            let faults = immutable_faults(&object, &old, &["data", "binaryData"]);
            faults.into_iter().map(|cause| cause.field).collect::<Vec<_>>()
        };
        assert!(check(json!({"immutable": true, "data": {"a": "1"}, "binaryData": {}})).is_empty());
        assert_eq!(check(json!({"data": {"a": "1"}})), ["immutable"]);
        assert_eq!(
            check(json!({"immutable": false, "binaryData": {"b": ""}})),
            ["immutable", "data", "binaryData"]
        );
        assert!(immutable_faults(&json!({"data": {}}), &json!({"data": {"a": "1"}}), &["data"]).is_empty());
    }
}
