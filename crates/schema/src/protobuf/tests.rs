mod encode;
mod goldens;
mod properties;
mod random;

use serde_json::{Value, json};

use super::*;
use crate::fixture;
use encode::{bytes, number};

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
            "limits": {"type": "object", "additionalProperties": {"type": "string", "format": "quantity"}, "x-protobuf-field": 11},
            "extra": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}, "x-protobuf-field": 12},
            "parts": {"type": "object", "x-protobuf-field": 13, "additionalProperties": {"type": "object", "properties": {
                "at": {"type": "string", "format": "date-time", "x-protobuf-field": 1},
                "on": {"type": "boolean", "nullable": true, "x-protobuf-field": 2}}}},
            "wait": {"type": "string", "format": "duration", "nullable": true, "x-protobuf-field": 14},
            "size": {"x-kubernetes-int-or-string": true, "format": "quantity", "nullable": true, "x-protobuf-field": 15},
            "flags": {"type": "array", "items": {"type": "boolean"}, "x-protobuf-field": 16},
            "ratios": {"type": "array", "items": {"type": "number"}, "x-protobuf-field": 17},
            "rows": {"type": "array", "items": {"type": "array", "items": {"type": "integer", "format": "int32"}}, "x-protobuf-field": 18},
            "empty": {"type": "object", "nullable": true, "x-protobuf-field": [19, 1], "properties": {
                "medium": {"type": "string", "x-protobuf-field": 1}}},
            "path": {"type": "string", "x-protobuf-field": [19, 2, 1]},
            "optional": {"type": "boolean", "nullable": true, "x-protobuf-field": [19, 2, 2]},
            "any": {"x-kubernetes-preserve-unknown-fields": true, "x-protobuf-field": 20},
            "anys": {"type": "array", "x-protobuf-field": 21, "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        }},
    })
}

fn decode(bytes: &[u8]) -> Result<Value, ProtobufError> {
    fixture::version(&properties()).from_protobuf(bytes)
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
fn lists_in_maps_quantities_durations_and_embedded_messages_have_theirs() {
    for (spec, wanted) in [
        (
            bytes(11, [bytes(1, "cpu"), bytes(2, bytes(1, "500m"))].concat()),
            json!({"limits": {"cpu": "500m"}}),
        ),
        (bytes(11, bytes(1, "cpu")), json!({"limits": {"cpu": "0"}})),
        (
            bytes(
                12,
                [bytes(1, "k"), bytes(2, [bytes(1, "a"), bytes(2, "?"), bytes(1, "")].concat())].concat(),
            ),
            json!({"extra": {"k": ["a", ""]}}),
        ),
        (bytes(12, bytes(1, "k")), json!({"extra": {"k": []}})),
        (bytes(13, [bytes(1, "k"), bytes(2, number(2, 0))].concat()), json!({"parts": {"k": {"on": false}}})),
        (bytes(13, bytes(1, "k")), json!({"parts": {"k": {}}})),
        (bytes(14, number(1, 90_000_000_000)), json!({"wait": "1m30s"})),
        (bytes(14, ""), json!({"wait": "0s"})),
        (bytes(15, bytes(1, "1Gi")), json!({"size": "1Gi"})),
        (bytes(15, ""), json!({"size": "0"})),
        ([bytes(16, [1, 0]), number(16, 2)].concat(), json!({"flags": [true, false, true]})),
        (bytes(17, 0.25_f64.to_le_bytes()), json!({"ratios": [0.25]})),
        (bytes(18, [bytes(1, [1, 2]), number(1, -1)].concat()), json!({"rows": [[1, 2, -1]]})),
        (bytes(18, ""), json!({"rows": [[]]})),
        (bytes(19, bytes(1, "")), json!({"empty": {}})),
        (
            [bytes(19, bytes(2, bytes(1, "p"))), bytes(19, bytes(2, number(2, 0)))].concat(),
            json!({"path": "p", "optional": false}),
        ),
        (bytes(19, ""), json!(null)),
        (bytes(20, bytes(1, "false")), json!({"any": false})),
        (bytes(20, bytes(1, "null")), json!(null)),
        ([bytes(21, bytes(1, "{}")), bytes(21, "")].concat(), json!({"anys": [{}, null]})),
        (bytes(6, bytes(1, "{}")), json!({"raw": {}})),
        ([number(2, 3), number(2, 4)].concat(), json!({"count": 4})),
        ([number(2, 3), number(2, 0)].concat(), json!(null)),
        (
            [
                bytes(10, [bytes(1, "k"), number(2, 1)].concat()),
                bytes(10, [bytes(1, "k"), number(2, 2)].concat()),
            ]
            .concat(),
            json!({"totals": {"k": 2}}),
        ),
        (bytes(10, bytes(1, "k")), json!({"totals": {"k": 0}})),
    ] {
        let wanted = if wanted.is_null() { json!({}) } else { json!({"spec": wanted}) };
        assert_eq!(decode(&bytes(5, &spec)).unwrap(), wanted, "{spec:x?}");
    }
}

#[test]
fn times_are_read_as_go_reads_them() {
    // The nanoseconds of a second count for microseconds alone, and the year 1 is no time.
    for (at, created, wanted) in [
        ([number(1, 1), number(2, -1)].concat(), "1970-01-01T00:00:01Z", "1970-01-01T00:00:01.000000Z"),
        (
            [number(1, 1), number(2, 1_999_999_999)].concat(),
            "1970-01-01T00:00:01Z",
            "1970-01-01T00:00:02.999999Z",
        ),
    ] {
        let both = [bytes(1, bytes(8, &at)), bytes(5, bytes(7, &at))].concat();
        let wanted = json!({"metadata": {"creationTimestamp": created}, "spec": {"at": wanted}});
        assert_eq!(decode(&both).unwrap(), wanted);
    }
    assert_eq!(decode(&bytes(1, bytes(8, number(1, -62_135_596_800)))).unwrap(), json!({}));
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
        (bytes(5, bytes(11, bytes(2, "x"))), r#""spec.limits.": the input ends in the middle of it"#),
        (
            bytes(5, bytes(12, [bytes(1, "k"), bytes(2, number(1, 1))].concat())),
            r#""spec.extra.k[0]": encoded as a varint, must be bytes"#,
        ),
        (bytes(5, number(19, 1)), r#""spec": encoded as a varint, must be bytes"#),
        (bytes(5, bytes(19, bytes(2, number(1, 1)))), r#""spec.path": encoded as a varint, must be bytes"#),
        (bytes(5, bytes(16, [0x80])), r#""spec.flags": the input ends in the middle of it"#),
        (bytes(5, bytes(17, [0; 7])), r#""spec.ratios": the input ends in the middle of it"#),
        (
            bytes(5, bytes(13, "").repeat(500_001)),
            r#""spec.parts.": too many values, at most 500000 are allowed"#,
        ),
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
