use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::*;
use crate::fixture;
use crate::node::{Format, Kind};

/// Of each type that a message can have one field.
fn properties() -> Value {
    json!({
        "metadata": {"type": "object", "x-protobuf-field": 1},
        "data": {"type": "object", "additionalProperties": {"type": "string"}, "x-protobuf-field": 2},
        "binaryData": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}, "x-protobuf-field": 3},
        "immutable": {"type": "boolean", "x-protobuf-field": 4},
        "spec": {"type": "object", "x-protobuf-field": 5, "required": ["must"], "properties": {
            "must": {"type": "string", "x-protobuf-field": 1},
            "count": {"type": "integer", "format": "int32", "x-protobuf-field": 2},
            "pointer": {"type": "integer", "format": "int64", "nullable": true, "x-protobuf-field": 3},
            "ratio": {"type": "number", "x-protobuf-field": 4},
            "port": {"x-kubernetes-int-or-string": true, "x-protobuf-field": 5},
            "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-protobuf-field": 6},
            "at": {"type": "string", "format": "micro-time", "x-protobuf-field": 7},
            "numbers": {"type": "array", "items": {"type": "integer"}, "x-protobuf-field": 8},
            "list": {"type": "array", "x-protobuf-field": 9, "items": {"type": "object", "properties": {
                "a": {"type": "string", "x-protobuf-field": 1}}}},
            "totals": {"type": "object", "additionalProperties": {"type": "integer"}, "x-protobuf-field": 10},
        }},
    })
}

fn decode(bytes: &[u8]) -> Result<Value, ProtobufError> {
    fixture::version(&properties()).from_protobuf(bytes)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u32, value: i64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value as u64)].concat()
}

fn bytes(field: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(u64::from(field) << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// `value` of `node` as field `field`, written as Go does.
fn encode(node: &Node, field: u32, value: &Value) -> Vec<u8> {
    match value {
        Value::Array(items) => {
            let item = node.items.as_deref().unwrap();
            items.iter().flat_map(|value| encode(item, field, value)).collect()
        }
        Value::Object(map) => match node.values.as_deref() {
            Some(values) => map
                .iter()
                .flat_map(|(key, value)| bytes(field, [bytes(1, key), encode(values, 2, value)].concat()))
                .collect(),
            None if node.open => bytes(field, bytes(1, value.to_string())),
            None => bytes(field, encode_message(node, value)),
        },
        Value::String(text) if node.kind == Kind::IntOrString => {
            bytes(field, [number(1, 1), bytes(3, text)].concat())
        }
        Value::String(text) if node.format == Format::Byte => bytes(field, STANDARD.decode(text).unwrap()),
        Value::String(text) => bytes(field, text),
        Value::Number(value) if node.kind == Kind::IntOrString => {
            bytes(field, number(2, value.as_i64().unwrap()))
        }
        Value::Number(value) if node.kind == Kind::Number => {
            [varint(u64::from(field) << 3 | 1), value.as_f64().unwrap().to_le_bytes().to_vec()].concat()
        }
        Value::Number(value) => number(field, value.as_i64().unwrap()),
        Value::Bool(value) => number(field, i64::from(*value)),
        Value::Null => Vec::new(),
    }
}

fn encode_message(node: &Node, value: &Value) -> Vec<u8> {
    node.numbers
        .iter()
        .flat_map(|(field, name)| encode(&node.fields[name].node, *field, &value[name.as_str()]))
        .collect()
}

#[test]
fn a_config_map_as_kubectl_sends_it_is_read_without_what_is_empty() {
    let meta = [
        bytes(1, "game"),
        bytes(2, ""),
        bytes(3, "default"),
        bytes(4, ""),
        bytes(5, ""),
        bytes(6, ""),
        number(7, 0),
        bytes(8, ""),
        bytes(11, [bytes(1, "app"), bytes(2, "x")].concat()),
    ];
    let message = [
        bytes(1, meta.concat()),
        bytes(2, [bytes(1, "a"), bytes(2, "1")].concat()),
        bytes(2, [bytes(1, "empty"), bytes(2, "")].concat()),
        bytes(2, bytes(1, "absent")),
        bytes(3, [bytes(1, "b"), bytes(2, [0xff])].concat()),
        number(4, 1),
        bytes(99, "a field of a later version"),
    ];
    assert_eq!(
        decode(&message.concat()).unwrap(),
        json!({
            "metadata": {"name": "game", "namespace": "default", "labels": {"app": "x"}},
            "data": {"a": "1", "empty": "", "absent": ""},
            "binaryData": {"b": "/w=="},
            "immutable": true,
        })
    );
}

#[test]
fn each_type_has_its_encoding() {
    let time = [number(1, 1_700_000_000), number(2, 123_456_000)].concat();
    for (spec, wanted) in [
        (bytes(1, ""), json!({"must": ""})),
        (number(2, -1), json!({"count": -1})),
        (number(2, 0), json!(null)),
        (number(3, 0), json!({"pointer": 0})),
        (number(3, i64::MIN), json!({"pointer": i64::MIN})),
        ([vec![4 << 3 | 1], 0.5_f64.to_le_bytes().to_vec()].concat(), json!({"ratio": 0.5})),
        (bytes(5, [number(1, 0), number(2, 80), bytes(3, "")].concat()), json!({"port": 80})),
        (bytes(5, [number(1, 1), number(2, 0), bytes(3, "http")].concat()), json!({"port": "http"})),
        (bytes(6, bytes(1, r#"{"a":[null]}"#)), json!({"raw": {"a": [null]}})),
        (bytes(6, ""), json!(null)),
        (bytes(7, &time), json!({"at": "2023-11-14T22:13:20.123456Z"})),
        (bytes(7, ""), json!(null)),
        ([number(8, 1), number(8, 0), bytes(8, [2, 3])].concat(), json!({"numbers": [1, 0, 2, 3]})),
        ([bytes(9, bytes(1, "x")), bytes(9, "")].concat(), json!({"list": [{"a": "x"}, {}]})),
        (bytes(10, bytes(1, "k")), json!({"totals": {"k": 0}})),
        (Vec::new(), json!(null)),
    ] {
        let wanted = if wanted.is_null() { json!({}) } else { json!({"spec": wanted}) };
        assert_eq!(decode(&bytes(5, &spec)).unwrap(), wanted, "{spec:x?}");
    }
    let parts = [bytes(5, bytes(1, "a")), bytes(5, number(2, 3))].concat();
    assert_eq!(decode(&parts).unwrap(), json!({"spec": {"must": "a", "count": 3}}));
    let created = bytes(1, bytes(8, &time));
    assert_eq!(decode(&created).unwrap(), json!({"metadata": {"creationTimestamp": "2023-11-14T22:13:20Z"}}));
}

#[test]
fn what_cannot_be_read_is_named_with_its_path() {
    for (message, text) in [
        (vec![0x0a, 9], r#""": the input ends in the middle of it"#),
        (bytes(1, [0x0a, 9]), r#""metadata": the input ends in the middle of it"#),
        (bytes(1, number(1, 1)), r#""metadata.name": encoded as a varint, must be bytes"#),
        (bytes(5, bytes(1, [0xff])), r#""spec.must": the text is not UTF-8"#),
        (bytes(5, bytes(2, "x")), r#""spec.count": encoded as bytes, must be a varint"#),
        (
            bytes(5, [bytes(9, ""), bytes(9, number(1, 1))].concat()),
            r#""spec.list[1].a": encoded as a varint, must be bytes"#,
        ),
        (bytes(5, bytes(7, number(1, i64::MAX))), r#""spec.at": the time is outside the years 0 to 9999"#),
        (
            bytes(5, bytes(6, bytes(1, "{"))),
            r#""spec.raw": read JSON: EOF while parsing an object at line 1 column 1"#,
        ),
        (
            bytes(5, [vec![4 << 3 | 1], f64::NAN.to_le_bytes().to_vec()].concat()),
            r#""spec.ratio": the number is infinite or none, which JSON cannot hold"#,
        ),
        (bytes(2, [bytes(1, "k"), number(2, 1)].concat()), r#""data.k": encoded as a varint, must be bytes"#),
        (
            bytes(5, bytes(8, vec![0; 600_000])),
            r#""spec.numbers": too many values, at most 500000 are allowed"#,
        ),
        (
            bytes(5, bytes(9, "").repeat(500_001)),
            r#""spec.list[499999]": too many values, at most 500000 are allowed"#,
        ),
    ] {
        let fault = decode(&message).unwrap_err().to_string();
        assert_eq!(fault, format!("read protobuf field {text}"));
    }
}

#[test]
fn an_envelope_says_what_is_in_it() {
    let kind = bytes(1, [bytes(1, "v1"), bytes(2, "ConfigMap")].concat());
    let body = [b"k8s\0".to_vec(), kind.clone(), bytes(2, [1, 2]), bytes(3, ""), bytes(4, "")].concat();
    assert_eq!(decode_envelope(&body), Ok(Envelope { api_version: "v1", kind: "ConfigMap", raw: &[1, 2] }));
    for (body, text) in [
        (b"{\"kind\":1}".to_vec(), r#""": the body does not start with the four bytes "k8s\0""#),
        ([b"k8s\0".to_vec(), vec![0x0a, 200, 1]].concat(), r#""": the input ends in the middle of it"#),
        ([b"k8s\0".to_vec(), number(1, 1)].concat(), r#""typeMeta": encoded as a varint, must be bytes"#),
        ([b"k8s\0".to_vec(), bytes(3, "gzip")].concat(), r#""contentEncoding": "gzip" is not supported"#),
        (
            [b"k8s\0".to_vec(), kind, bytes(4, "application/json")].concat(),
            r#""contentType": "application/json" is not"#,
        ),
    ] {
        let fault = decode_envelope(&body).unwrap_err().to_string();
        assert!(fault.starts_with(&format!("read protobuf field {text}")), "{fault}");
    }
}

#[test]
fn delete_options_keep_their_zeros() {
    let message = [
        number(1, 0),
        bytes(2, bytes(1, "uid-1")),
        number(3, 0),
        bytes(4, "Background"),
        bytes(5, "All"),
        number(6, 0),
    ];
    assert_eq!(
        delete_options_from_protobuf(&message.concat()).unwrap(),
        json!({
            "gracePeriodSeconds": 0, "preconditions": {"uid": "uid-1"}, "orphanDependents": false,
            "propagationPolicy": "Background", "dryRun": ["All"],
            "ignoreStoreReadErrorWithClusterBreakingPotential": false,
        })
    );
    assert_eq!(delete_options_from_protobuf(&[]).unwrap(), json!({}));
}

/// Objects that survive a round trip: nothing in them is empty where empty means absent.
fn object() -> impl Strategy<Value = Value> {
    let text = "[ -~é]{1,8}";
    let data = proptest::collection::btree_map("[a-z]{1,4}", "[ -~é]{0,8}", 1..4);
    let binary =
        proptest::collection::btree_map("[a-z]{1,4}", proptest::collection::vec(any::<u8>(), 0..4), 1..4);
    let spec =
        (any::<String>(), 1..i32::MAX, any::<i64>(), proptest::collection::vec(any::<i64>(), 1..4), 0.1..1e9);
    (text, data, binary, spec).prop_map(|(name, data, binary, spec)| {
        let (must, count, pointer, numbers, ratio) = spec;
        let binary: BTreeMap<_, _> = binary.into_iter().map(|(key, value)| (key, STANDARD.encode(value))).collect();
        json!({
            "metadata": {"name": name, "labels": data, "finalizers": [name]}, "data": data, "binaryData": binary,
            "immutable": true, "spec": {"must": must, "count": count, "pointer": pointer, "numbers": numbers,
                "ratio": ratio, "port": name, "raw": {"x": data}, "list": [{"a": name}], "totals": {"n": pointer}},
        })
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(object in object()) {
        let version = fixture::version(&properties());
        prop_assert_eq!(version.from_protobuf(&encode_message(&version.root, &object)).unwrap(), object);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = (decode_envelope(&bytes), decode(&bytes), delete_options_from_protobuf(&bytes));
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(object in object(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let version = fixture::version(&properties());
        let mut message = encode_message(&version.root, &object);
        let at = at.index(message.len());
        message[at] = byte;
        let _ = (version.from_protobuf(&message), version.from_protobuf(&message[..at]));
    }
}
