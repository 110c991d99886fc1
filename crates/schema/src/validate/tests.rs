use serde_json::{Value, json};

use super::Admitted;
use crate::fixture;

/// Admits `object` to a kind with `properties`: what became of it, and what was said.
fn admit(properties: &Value, mut object: Value) -> (Value, Admitted) {
    let admitted = fixture::version(properties).admit(&mut object);
    (object, admitted)
}

fn said(admitted: &Admitted) -> Vec<String> {
    admitted.causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

#[test]
fn unknown_fields_are_dropped_and_named() {
    let properties = json!({"spec": {"type": "object", "properties": {
        "host": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"n": {"type": "integer"}}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
    }}});
    let (object, admitted) = admit(
        &properties,
        json!({
            "apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a", "colour": 1}, "extra": 1,
            "spec": {"host": "h", "foo": 1, "list": [{"a": "x"}, {"b": 1}], "free": {"n": 1, "m": [null]}, "map": {"k": "v"}},
        }),
    );
    assert_eq!(
        object,
        json!({
            "apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a"},
            "spec": {"host": "h", "list": [{"a": "x"}, {}], "free": {"n": 1, "m": [null]}, "map": {"k": "v"}},
        })
    );
    assert_eq!(admitted.unknown, ["extra", "metadata.colour", "spec.foo", "spec.list[1].b"]);
    assert_eq!(said(&admitted), [""; 0]);
}

fn check_texts(cases: &[(Value, Value, &str)]) {
    for (schema, value, text) in cases {
        let (_, admitted) = admit(&json!({"x": schema}), json!({"x": value}));
        assert_eq!(said(&admitted), [format!("x: {text}")], "{schema} {value}");
    }
}

#[test]
fn each_type_and_format_has_its_text() {
    check_texts(&[
        (
            json!({"type": "string"}),
            json!(1),
            r#"Invalid value: "integer": x in body must be of type string: "integer""#,
        ),
        (
            json!({"type": "integer"}),
            json!(1.5),
            r#"Invalid value: "number": x in body must be of type integer: "number""#,
        ),
        (
            json!({"type": "object"}),
            json!([]),
            r#"Invalid value: "array": x in body must be of type object: "array""#,
        ),
        (
            json!({"type": "boolean"}),
            json!("true"),
            r#"Invalid value: "string": x in body must be of type boolean: "string""#,
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            r#"Invalid value: "boolean": x in body must be of type integer,string: "boolean""#,
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(5_000_000_000_u64),
            r#"Invalid value: "integer": x in body must be of type int32: "integer""#,
        ),
        (
            json!({"type": "string", "format": "byte"}),
            json!("not base64!"),
            r#"Invalid value: "string": x in body must be of type byte: "string""#,
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("yesterday"),
            r#"Invalid value: "string": x in body must be of type date-time: "string""#,
        ),
    ]);
}

#[test]
fn each_rule_has_its_text() {
    check_texts(&[
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            r#"Unsupported value: "c": supported values: "a", "b""#,
        ),
        (
            json!({"type": "string", "minLength": 2}),
            json!("é"),
            r#"Invalid value: "é": x in body should be at least 2 chars long"#,
        ),
        (
            json!({"type": "string", "maxLength": 1}),
            json!("éé"),
            "Too long: may not be more than 1 character",
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            r#"Invalid value: "b": x in body should match '^a+$'"#,
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "Invalid value: 0: x in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "number", "maximum": 1.5}),
            json!(2),
            "Invalid value: 2: x in body should be less than or equal to 1.5",
        ),
        (
            json!({"type": "array", "minItems": 1, "items": {"type": "string"}}),
            json!([]),
            "Invalid value: 0: x in body should have at least 1 items",
        ),
        (
            json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
            json!(["a", "b"]),
            "Too many: 2: must have at most 1 item",
        ),
    ]);
}

#[test]
fn what_keeps_the_rules_is_silent() {
    for (schema, value) in [
        (json!({"type": "integer"}), json!(1.0)),
        (json!({"type": "number"}), json!(1)),
        (json!({"x-kubernetes-int-or-string": true}), json!("80%")),
        (json!({"x-kubernetes-int-or-string": true}), json!(80)),
        (json!({"type": "string", "format": "byte"}), json!("aGk=")),
        (json!({"type": "string", "format": "date-time"}), json!("2026-11-23T04:00:00+01:00")),
        (json!({"type": "string", "format": "colour"}), json!("anything")),
        (json!({"type": "string", "minLength": 0, "maxLength": 2, "pattern": "b"}), json!("ab")),
        (json!({"type": "integer", "format": "int64"}), json!(i64::MIN)),
        (json!({"x-kubernetes-preserve-unknown-fields": true}), json!([1, {"a": null}])),
    ] {
        let (object, admitted) = admit(&json!({"x": schema}), json!({"x": value}));
        assert_eq!((said(&admitted), &object["x"]), (vec![], &value), "{schema}");
    }
}

#[test]
fn base64_is_read_as_go_reads_it_and_kept_in_its_one_form() {
    let bytes =
        json!({"x": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}});
    let (object, admitted) = admit(
        &bytes,
        json!({"x": {"wrapped": "aGVs\r\nbG8\n=\n", "bits": "aGk/aGl=", "both": "a\nR==", "plain": "aGk=", "empty": "\n"}}),
    );
    assert_eq!(said(&admitted), [""; 0]);
    assert_eq!(
        object["x"],
        json!({"wrapped": "aGVsbG8=", "bits": "aGk/aGk=", "both": "aQ==", "plain": "aGk=", "empty": ""})
    );
    for junk in ["aGk", "aGk = ", "aG k=", "aGk=\t", "aGk==", "a_-=", "=", "aGk=aGk="] {
        let (object, admitted) = admit(&bytes, json!({"x": {"k": junk}}));
        assert_eq!((admitted.causes.len(), &object["x"]["k"]), (1, &json!(junk)), "{junk:?}");
    }
}

#[test]
fn defaults_fill_what_is_absent_or_null() {
    let properties = json!({"spec": {"type": "object", "default": {}, "properties": {
        "port": {"type": "integer", "default": 80},
        "name": {"type": "string", "nullable": true, "default": "a"},
        "deep": {"type": "object", "default": {"a": 1}, "properties": {
            "a": {"type": "integer"}, "b": {"type": "integer", "default": 2},
        }},
    }}});
    let filled = json!({"port": 80, "name": "a", "deep": {"a": 1, "b": 2}});
    assert_eq!(admit(&properties, json!({})).0, json!({"spec": filled}));
    assert_eq!(admit(&properties, json!({"spec": null})).0, json!({"spec": filled}));
    let (object, _) = admit(&properties, json!({"spec": {"port": null, "name": null, "deep": {}}}));
    assert_eq!(object, json!({"spec": {"port": 80, "name": null, "deep": {"b": 2}}}));
}

#[test]
fn a_null_that_may_not_be_there_is_dropped_from_objects_and_refused_in_lists() {
    let properties = json!({
        "a": {"type": "string"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "list": {"type": "array", "items": {"type": "string"}},
        "metadata": {"type": "object"},
        "pointer": {"type": "integer", "nullable": true, "x-protobuf-field": 1},
        "nullable": {"type": "integer", "nullable": true},
    });
    let (object, admitted) = admit(
        &properties,
        json!({"a": null, "pointer": null, "nullable": null, "map": {"k": null}, "list": [null], "metadata": {"creationTimestamp": null}}),
    );
    assert_eq!(object, json!({"map": {}, "list": [null], "metadata": {}, "nullable": null}));
    assert_eq!(
        said(&admitted),
        [r#"list[0]: Invalid value: "null": list[0] in body must be of type string: "null""#]
    );
}

#[test]
fn lists_tell_their_items_apart() {
    let properties = json!({
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"type": "object", "required": ["port"], "properties": {
                "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "n": {"type": "string"},
            }}},
    });
    let (_, admitted) = admit(
        &properties,
        json!({
            "set": ["a", "b", "a"],
            "map": [{"port": 1, "n": "x"}, {"port": 1, "protocol": "UDP"}, {"port": 1, "protocol": "TCP"}, {}],
        }),
    );
    assert_eq!(
        said(&admitted),
        [
            "map[3].port: Required value",
            r#"map[2]: Duplicate value: {"port":1,"protocol":"TCP"}"#,
            r#"set[2]: Duplicate value: "a""#,
        ]
    );
    assert_eq!(admitted.causes[1].reason, "FieldValueDuplicate");
}

#[test]
fn metadata_is_always_checked_and_may_be_narrowed() {
    let properties =
        json!({"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}}});
    let (_, admitted) = admit(
        &properties,
        json!({"metadata": {"name": "abcd", "labels": {"a": 1}, "finalizers": ["x", "x"]}}),
    );
    assert_eq!(
        said(&admitted),
        [
            r#"metadata.finalizers[1]: Duplicate value: "x""#,
            r#"metadata.labels.a: Invalid value: "integer": metadata.labels.a in body must be of type string: "integer""#,
            "metadata.name: Too long: may not be more than 3 characters",
        ]
    );
}

#[test]
fn an_embedded_resource_has_type_and_metadata() {
    let properties = json!({"x": {
        "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
    }});
    let (_, admitted) = admit(&properties, json!({"x": {"kind": "Pod", "metadata": {"foo": 1}, "spec": {}}}));
    assert_eq!(admitted.unknown, ["x.metadata.foo"]);
    assert_eq!(said(&admitted), ["x.apiVersion: Required value"]);
}

#[test]
fn reports_are_bounded() {
    let object: Value =
        (0..1000).map(|n| (format!("f{n}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(admit(&json!({}), object).1.unknown.len(), crate::decode::MAX_REPORTED);
}

#[test]
fn quantities_are_texts_and_maps_of_them_have_one_form() {
    let version = fixture::version(&json!({
        "one": {"type": "string", "format": "quantity"},
        "map": {"type": "object", "additionalProperties": {"type": "string", "format": "quantity"}},
    }));
    let mut object = json!({"one": 0.5, "map": {"cpu": 1, "a": "1000m", "b": "1024Mi", "c": " 1u "}});
    assert_eq!(version.admit(&mut object), Admitted::default());
    assert_eq!(object, json!({"one": "0.5", "map": {"cpu": "1", "a": "1", "b": "1Gi", "c": "1m"}}));
    let causes = version.admit(&mut json!({"one": "x", "map": {"a": "1Zi", "b": true}})).causes;
    assert_eq!(
        causes.iter().map(|cause| cause.field.as_str()).collect::<Vec<_>>(),
        ["map.a", "map.b", "one"]
    );
}
