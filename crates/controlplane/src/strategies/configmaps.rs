//! ConfigMaps: keys are names of files, a key stands in one map only, and the whole has a bound.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;

use super::causes::{invalid, too_long};
use super::keyed::{self, MAX_BYTES};

pub(super) struct ConfigMaps;

impl Strategy for ConfigMaps {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = keyed::key_faults(object, "data");
        faults.extend(keyed::entries(object, "data").filter_map(|(key, _)| twice(object, key)));
        faults.extend(keyed::key_faults(object, "binaryData"));
        let bytes = keyed::entries(object, "data").map(|(_, value)| value.len()).sum::<usize>()
            + keyed::entries(object, "binaryData").map(|(_, value)| keyed::decoded_len(value)).sum::<usize>();
        // The fault is the object's, not a field's; upstream writes that as [].
        faults.extend((bytes > MAX_BYTES).then(|| too_long("[]", MAX_BYTES)));
        faults
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = keyed::immutable_faults(object, old, &["data", "binaryData"]);
        faults.extend(self.validate(object));
        faults
    }
}

fn twice(object: &Value, key: &str) -> Option<Cause> {
    object.get("binaryData")?.get(key)?;
    Some(invalid(&format!("data[{key}]"), key, "duplicate of key present in binaryData"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    fn check(object: &Value, expected: &[&str]) {
        assert_eq!(read(&ConfigMaps.validate(object)), expected);
    }

    #[test]
    fn keys_and_size_are_checked() {
        check(&json!({}), &[]);
        check(&json!({"data": {"a": "x"}, "binaryData": {"b": "eA=="}}), &[]);
        check(
            &json!({"data": {"a": "x", "..": ""}, "binaryData": {"a": "eA=="}}),
            &[
                "data[..]: Invalid value: \"..\": must not be '..'",
                "data[a]: Invalid value: \"a\": duplicate of key present in binaryData",
            ],
        );
        check(&json!({"data": {"a": "x".repeat(MAX_BYTES)}}), &[]);
        check(
            &json!({"data": {"a": "x".repeat(MAX_BYTES)}, "binaryData": {"b": "eA=="}}),
            &["[]: Too long: may not be more than 1048576 bytes"],
        );
    }

    #[test]
    fn an_immutable_config_map_refuses_new_data() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        let new = json!({"immutable": true, "data": {"a": "2"}});
        assert_eq!(
            read(&ConfigMaps.validate_update(&new, &old)),
            ["data: Forbidden: field is immutable when `immutable` is set"]
        );
    }
}
