use serde_json::{Value, json};

use super::Admitted;
use crate::fixture;

mod built_in;
mod junctors;

/// Admits `object` to a user's kind with `properties`: what became of it, and what was said.
fn admit(properties: &Value, mut object: Value) -> (Value, Admitted) {
    let version = fixture::custom(properties);
    let admitted = version.admit(&mut object);
    let mut again = object.clone();
    let second = version.admit(&mut again);
    assert!(second.unknown.is_empty() && second.causes == admitted.causes, "{object}: {second:?}");
    assert_eq!(again, object, "admitted again");
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
        // Where a format is asked for, upstream names it, and the Go type of what it found.
        (
            json!({"type": "integer", "format": "int32"}),
            json!(1.5),
            r#"Invalid value: "float64": x in body must be of type int32: "float64""#,
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!("1"),
            r#"Invalid value: "string": x in body must be of type integer: "string""#,
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!({}),
            r#"Invalid value: "": x in body must be of type int32: """#,
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!(1),
            r#"Invalid value: "int64": x in body must be of type date-time: "int64""#,
        ),
        (
            json!({"type": "string", "format": "uuid"}),
            json!(["a"]),
            r#"Invalid value: "array": x in body must be of type string: "array""#,
        ),
        (
            json!({"type": "string", "format": "byte"}),
            json!("not base64!"),
            r#"Invalid value: "not base64!": x in body must be of type byte: "not base64!""#,
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("yesterday"),
            r#"Invalid value: "yesterday": x in body must be of type date-time: "yesterday""#,
        ),
        (
            json!({"x-kubernetes-preserve-unknown-fields": true, "format": "ipv4"}),
            json!("a"),
            r#"Invalid value: "a": x in body must be of type ipv4: "a""#,
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
        // Of a text's rules the first that does not hold is told.
        (
            json!({"type": "string", "maxLength": 1, "pattern": "a"}),
            json!("éé"),
            "Too long: may not be more than 1 byte",
        ),
        (
            json!({"type": "integer", "enum": [1, "a"]}),
            json!(2),
            r#"Unsupported value: 2: supported values: "1", "a""#,
        ),
        (
            json!({"type": "string", "nullable": true, "enum": ["a"]}),
            Value::Null,
            r#"Unsupported value: null: supported values: "a""#,
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            r#"Invalid value: "b": x in body should match '^a+$'"#,
        ),
    ]);
}

#[test]
fn each_rule_of_numbers_and_sizes_has_its_text() {
    check_texts(&[
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
            json!({"type": "integer", "minimum": 1, "exclusiveMinimum": true}),
            json!(1),
            "Invalid value: 1: x in body should be greater than 1",
        ),
        (
            json!({"type": "number", "maximum": 1e6, "exclusiveMaximum": true}),
            json!(1_000_000.5),
            "Invalid value: 1.0000005e+06: x in body should be less than 1e+06",
        ),
        (
            json!({"type": "integer", "maximum": 9_007_199_254_740_992.0_f64}),
            json!(9_007_199_254_740_993_i64),
            "Invalid value: 9007199254740993: x in body should be less than or equal to 9007199254740992",
        ),
        (
            json!({"type": "integer", "multipleOf": 5}),
            json!(12),
            "Invalid value: 12: x in body should be a multiple of 5",
        ),
        (
            json!({"type": "number", "multipleOf": 0.1}),
            json!(0.35),
            "Invalid value: 0.35: x in body should be a multiple of 0.1",
        ),
        (
            json!({"type": "object", "minProperties": 1}),
            json!({}),
            "Invalid value: 0: x in body should have at least 1 properties",
        ),
        (
            json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}),
            json!({"a": "", "b": ""}),
            "Too many: 2: must have at most 1 item",
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
        (json!({"type": "number", "multipleOf": 0.1}), json!(0.3)),
        (json!({"type": "integer", "multipleOf": 5, "minimum": -5, "maximum": 5}), json!(-5)),
        (json!({"type": "number", "format": "float"}), json!(1e38)),
        (json!({"type": "integer", "enum": [1.0]}), json!(1)),
        (json!({"type": "string", "nullable": true, "enum": ["a", null]}), Value::Null),
        (
            json!({"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "string"}}),
            json!({"a": ""}),
        ),
        (json!({"type": "boolean", "format": "int32"}), json!(true)),
        (json!({"type": "number"}), json!(1)),
        (json!({"x-kubernetes-int-or-string": true}), json!("80%")),
        (json!({"x-kubernetes-int-or-string": true}), json!(80)),
        (json!({"type": "string", "format": "byte"}), json!("aGk=")),
        (json!({"type": "string", "format": "date-time"}), json!("2026-11-23T04:00:00+01:00")),
        (json!({"type": "string", "format": "colour"}), json!("anything")),
        (json!({"type": "string", "minLength": 0, "maxLength": 2, "pattern": "b"}), json!("ab")),
        (json!({"type": "integer", "format": "int64"}), json!(i64::MIN)),
        (json!({"x-kubernetes-preserve-unknown-fields": true}), json!([1, {"a": null}])),
        (
            json!({"type": "string", "title": "t", "example": 1, "externalDocs": {"url": "u"}, "id": "i", "$schema": "s"}),
            json!(""),
        ),
    ] {
        let (object, admitted) = admit(&json!({"x": schema}), json!({"x": value}));
        assert_eq!((said(&admitted), &object["x"]), (vec![], &value), "{schema}");
    }
}

/// What is beyond its format has no place in upstream's words.
#[test]
fn a_number_without_room_has_no_place() {
    for (schema, value, kind) in [
        (
            json!({"type": "integer", "format": "int32"}),
            json!(5_000_000_000_u64),
            "integer with format int32",
        ),
        (json!({"type": "number", "format": "float"}), json!(1e39), "number with format float"),
    ] {
        let (_, admitted) = admit(&json!({"x": schema}), json!({"x": value}));
        let text = format!("<nil>: Invalid value: \"\": Checked value must be of type {kind} in x");
        assert_eq!(said(&admitted), [text]);
    }
}

#[test]
fn a_whole_number_is_an_integer_and_is_written_as_one() {
    let properties =
        json!({"x": {"type": "integer"}, "y": {"x-kubernetes-int-or-string": true}, "z": {"type": "number"}});
    let (object, admitted) = admit(&properties, json!({"x": 1.0, "y": -0.0, "z": 1.0}));
    assert_eq!((said(&admitted), object.to_string()), (vec![], r#"{"x":1,"y":0,"z":1.0}"#.to_owned()));
    for value in [json!(u64::MAX), json!(1e300), json!(9_007_199_254_740_994.0_f64)] {
        let (_, admitted) = admit(&json!({"x": {"type": "integer"}}), json!({"x": value}));
        assert_eq!(admitted.causes.len(), 1, "{value}");
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
fn what_stands_three_times_is_told_once_with_the_key_of_its_map_in_brackets() {
    let set = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
    let properties = json!({"x": {"type": "object", "additionalProperties": set}});
    let (_, admitted) = admit(&properties, json!({"x": {"a.b": ["c", "c", "c", "d", "d"]}}));
    assert_eq!(said(&admitted), [r#"x[a.b][1]: Duplicate value: "c""#, r#"x[a.b][4]: Duplicate value: "d""#]);
    let (_, admitted) = admit(&properties, json!({"x": {"a.b": [1]}}));
    assert_eq!(admitted.causes[0].field, "x.a.b[0]");
}

#[test]
fn metadata_is_always_checked_and_may_be_narrowed() {
    let properties =
        json!({"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}}});
    let (_, admitted) = admit(
        &properties,
        // What stands twice, and what owners lack, is left to the rules of metadata.
        json!({"metadata": {"name": "abcd", "finalizers": ["x", "x"], "ownerReferences": [{}]}}),
    );
    assert_eq!(said(&admitted), ["metadata.name: Too long: may not be more than 3 bytes"]);
    let (_, admitted) = admit(&properties, json!({"metadata": {"labels": {"a": 1}}}));
    assert_eq!(
        admitted.mistyped.as_deref(),
        Some(
            "json: cannot unmarshal number into Go struct field \
             ObjectMeta.metadata.labels of type string"
        )
    );
}

#[test]
fn an_embedded_resource_has_type_and_metadata() {
    let properties = json!({"x": {
        "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
    }});
    let metadata = json!({"foo": 1, "namespace": "A", "labels": {"-": ""}});
    let (_, admitted) = admit(
        &properties,
        json!({"x": {"apiVersion": "a/b/c", "kind": "P_", "metadata": metadata, "spec": {}}}),
    );
    assert_eq!(admitted.unknown, ["x.metadata.foo"]);
    let said = said(&admitted);
    let starts = [
        "x.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
        "x.kind: Invalid value: \"P_\": may have mixed case, but should otherwise match: a DNS-1035 label must",
        "x.metadata.namespace: Invalid value: \"A\": a lowercase RFC 1123 label must",
        "x.metadata.labels: Invalid value: \"-\": name part must",
    ];
    assert_eq!(said.len(), starts.len(), "{said:#?}");
    said.iter().zip(starts).for_each(|(said, start)| assert!(said.starts_with(start), "{said}"));
    let (_, admitted) = admit(&properties, json!({"x": {"kind": "", "metadata": {"name": "A"}}}));
    assert_eq!(super::tests::said(&admitted), ["x.apiVersion: Required value", "x.kind: Required value"]);
}

#[test]
fn known_fields_among_unknown_ones_are_pruned_and_filled_in() {
    let known = json!({"type": "object", "properties": {"a": {"type": "string", "default": "b"}}});
    let properties = json!({"x": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": known},
    }});
    let (object, admitted) = admit(&properties, json!({"x": {"free": {"c": [1]}, "known": {"c": 1}}}));
    assert_eq!(object, json!({"x": {"free": {"c": [1]}, "known": {"a": "b"}}}));
    assert_eq!(admitted.unknown, ["x.known.c"]);
}

#[test]
fn reports_are_bounded() {
    let object: Value =
        (0..1000).map(|n| (format!("f{n}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(admit(&json!({}), object).1.unknown.len(), crate::decode::MAX_REPORTED);
    let (key, value) = ("k".repeat(100_000), "v".repeat(100_000));
    let list =
        json!({"type": "array", "items": {"type": "string", "maxLength": 1, "enum": ["a"], "pattern": "a"}});
    let properties = json!({"m": {"type": "object", "additionalProperties": list}});
    let (_, admitted) = admit(&properties, json!({"m": {key.clone(): vec![value; 500]}, key: 1}));
    let bytes = |cause: &detectviz_api::Cause| cause.message.len() + cause.field.len();
    assert_eq!((admitted.causes.len(), admitted.unknown[0].len()), (crate::decode::MAX_REPORTED, 515));
    assert!(admitted.causes.iter().map(bytes).sum::<usize>() < 400_000);
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
    let refusal = version.admit(&mut json!({"map": {"a": "1k3"}})).mistyped.unwrap();
    assert!(refusal.ends_with("unable to parse quantity's suffix"), "{refusal}");
    assert!(version.admit(&mut json!({"map": {"b": true}})).mistyped.is_some());
}
