//! Secrets: plain text moves into `data`, and the type decides which keys must be there.
//!
//! No fault repeats a value: a status ends up in logs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value, json};

use super::causes::{invalid, required, too_long};
use super::keyed::{self, MAX_BYTES};
use super::text;

pub(super) struct Secrets;

impl Strategy for Secrets {
    fn normalize(&self, object: &mut Value) {
        move_string_data(object);
        default_type(object);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = keyed::key_faults(object, "data");
        let bytes: usize = keyed::entries(object, "data").map(|(_, value)| keyed::decoded_len(value)).sum();
        faults.extend((bytes > MAX_BYTES).then(|| too_long("data", MAX_BYTES)));
        faults.extend(type_faults(object));
        faults
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        if object["type"] != old["type"] {
            faults.push(invalid("type", text(object, "/type"), "field is immutable"));
        }
        faults.extend(keyed::immutable_faults(object, old, &["data"]));
        faults.extend(self.validate(object));
        faults
    }
}

/// Moves each text of `stringData` into `data`, over what is there. What is no text stays, for the schema to refuse.
fn move_string_data(object: &mut Value) {
    let Some(object) = object.as_object_mut() else { return };
    let Some(Value::Object(plain)) = object.remove("stringData") else { return };
    let data = object.entry("data").or_insert_with(|| json!({}));
    if data.is_null() {
        *data = json!({});
    }
    let mut rest = Map::new();
    for (key, value) in plain {
        match (value.as_str(), data.as_object_mut()) {
            (Some(text), Some(data)) => {
                data.insert(key, STANDARD.encode(text).into());
            }
            _ => {
                rest.insert(key, value);
            }
        }
    }
    if !rest.is_empty() {
        object.insert("stringData".to_owned(), Value::Object(rest));
    }
}

/// An empty type is Opaque; an absent one the schema has filled in already.
fn default_type(object: &mut Value) {
    if let Some(object) = object.as_object_mut()
        && object.get("type").is_none_or(|kind| kind == "")
    {
        object.insert("type".to_owned(), "Opaque".into());
    }
}

fn type_faults(object: &Value) -> Vec<Cause> {
    let value = |key: &str| object.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
    let missing = |key: &str| required(&format!("data[{key}]"), "");
    let absent = |keys: &[&str]| -> Vec<Cause> {
        keys.iter().filter(|key| value(key).is_none()).map(|key| missing(key)).collect()
    };
    match text(object, "/type") {
        "kubernetes.io/tls" => absent(&["tls.crt", "tls.key"]),
        "kubernetes.io/dockercfg" => docker_faults(".dockercfg", value(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => docker_faults(".dockerconfigjson", value(".dockerconfigjson")),
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(str::is_empty) => {
            vec![missing("ssh-privatekey")]
        }
        // Either may be left out, and both may be empty.
        "kubernetes.io/basic-auth" if value("username").or(value("password")).is_none() => {
            absent(&["username", "password"])
        }
        "kubernetes.io/service-account-token" => account_fault(object).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn docker_faults(key: &str, value: Option<&str>) -> Vec<Cause> {
    let field = format!("data[{key}]");
    let Some(value) = value else { return vec![required(&field, "")] };
    // What is no base64 is the schema's to refuse.
    let Ok(bytes) = STANDARD.decode(value) else { return Vec::new() };
    match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(_) => Vec::new(),
        Err(_) => vec![invalid(&field, "<secret contents redacted>", "must be a JSON object")],
    }
}

fn account_fault(object: &Value) -> Option<Cause> {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let annotations = object.get("metadata").and_then(|meta| meta.get("annotations"));
    let account = annotations.and_then(|all| all.get(ACCOUNT)).and_then(Value::as_str);
    account.is_none_or(str::is_empty).then(|| required(&format!("metadata.annotations[{ACCOUNT}]"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;

    #[test]
    fn plain_text_moves_into_data() {
        let mut object = json!({"stringData": {"a": "new", "b": "x"}, "data": {"a": "b2xk", "c": "eA=="}});
        Secrets.normalize(&mut object);
        assert_eq!(object, json!({"data": {"a": "bmV3", "b": "eA==", "c": "eA=="}, "type": "Opaque"}));
        let mut object = json!({"stringData": {"a": 1, "b": "x"}, "data": null, "type": ""});
        Secrets.normalize(&mut object);
        assert_eq!(object, json!({"stringData": {"a": 1}, "data": {"b": "eA=="}, "type": "Opaque"}));
    }

    fn check(kind: &str, data: &Value, expected: &[&str]) {
        assert_eq!(read(&Secrets.validate(&json!({"type": kind, "data": data}))), expected, "{kind} {data}");
    }

    #[test]
    fn the_type_decides_which_keys_must_be_there() {
        check("Opaque", &json!({}), &[]);
        check("example.org/own", &json!({}), &[]);
        check("kubernetes.io/tls", &json!({"tls.crt": ""}), &["data[tls.key]: Required value"]);
        check("kubernetes.io/tls", &json!({"tls.crt": "", "tls.key": ""}), &[]);
        check(
            "kubernetes.io/ssh-auth",
            &json!({"ssh-privatekey": ""}),
            &["data[ssh-privatekey]: Required value"],
        );
        check("kubernetes.io/ssh-auth", &json!({"ssh-privatekey": "eA=="}), &[]);
        check(
            "kubernetes.io/basic-auth",
            &json!({}),
            &["data[username]: Required value", "data[password]: Required value"],
        );
        check("kubernetes.io/basic-auth", &json!({"password": ""}), &[]);
        check("kubernetes.io/dockerconfigjson", &json!({}), &["data[.dockerconfigjson]: Required value"]);
        check("kubernetes.io/dockerconfigjson", &json!({".dockerconfigjson": "e30="}), &[]);
        check("kubernetes.io/dockercfg", &json!({".dockercfg": "e30="}), &[]);
        check(
            "kubernetes.io/service-account-token",
            &json!({}),
            &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        );
    }

    #[test]
    fn no_fault_repeats_a_secret() {
        let secret = STANDARD.encode("\"hunter2\"");
        check(
            "kubernetes.io/dockerconfigjson",
            &json!({".dockerconfigjson": secret}),
            &[
                "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": must be a JSON object",
            ],
        );
    }

    #[test]
    fn keys_size_type_and_immutability_are_checked() {
        check("Opaque", &json!({"..": ""}), &["data[..]: Invalid value: \"..\": must not be '..'"]);
        let big = STANDARD.encode(vec![0; MAX_BYTES + 1]);
        check("Opaque", &json!({"a": big}), &["data: Too long: may not be more than 1048576 bytes"]);
        let old = json!({"type": "Opaque", "immutable": true, "data": {"a": ""}});
        let new = json!({"type": "example.org/own", "immutable": true, "data": {}});
        assert_eq!(
            read(&Secrets.validate_update(&new, &old)),
            [
                "type: Invalid value: \"example.org/own\": field is immutable",
                "data: Forbidden: field is immutable when `immutable` is set"
            ]
        );
    }
}
