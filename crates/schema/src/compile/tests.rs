use detectviz_api::definition::Definition;
use serde_json::{Value, json};

use super::{Compiled, Fragments};
use crate::fixture;

fn fragments(value: Value) -> Fragments {
    serde_json::from_value(value).unwrap()
}

fn refused(schema: &Value, shared: Value) -> String {
    fixture::compile(schema, &fragments(shared)).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_with_a_schema_is_named_with_its_place() {
    for (schema, text) in [
        (json!({"type": "string"}), r#": type is "string"; an object's must be "object""#),
        (json!({"properties": {}}), r#".type: "" is no type here; allowed: object"#),
        (object(&json!({"type": "text"})), r#".properties[x].type: "text" is no type here"#),
        (object(&json!({"type": "array"})), ".properties[x].items: an array must say what its items are"),
        (
            object(&json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"})),
            ".properties[x].x-kubernetes-list-map-keys: a list of type map must name the keys",
        ),
        (
            object(&json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"]})),
            r#".properties[x].x-kubernetes-list-map-keys: "k" is no property of the items"#,
        ),
        (
            object(&json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "bag"})),
            r#".properties[x].x-kubernetes-list-type: "bag" is unknown; allowed: atomic, set, map"#,
        ),
        (
            object(&json!({"type": "object", "x-kubernetes-map-type": "set"})),
            r#".properties[x].x-kubernetes-map-type: "set" is unknown; allowed: atomic, granular"#,
        ),
        (
            object(&json!({"type": "string", "x-kubernetes-map-type": "atomic"})),
            ".properties[x].x-kubernetes-map-type: only an object has one, this is string",
        ),
        (
            object(&json!({"type": "string", "pattern": "("})),
            ".properties[x].pattern: is no regular expression",
        ),
        (
            object(&json!({"type": "object", "properties": {"a": {"type": "string"}},
                "additionalProperties": {"type": "string"}})),
            ".properties[x]: properties and additionalProperties exclude each other",
        ),
        (
            object(&json!({"type": "object", "properties": {
                "a": {"type": "string", "x-protobuf-field": 1}, "b": {"type": "string", "x-protobuf-field": 1}}})),
            r#".properties[x]: x-protobuf-field of "b" is 1, as that of "a""#,
        ),
        (
            object(&json!({"type": "object", "properties": {
                "a": {"type": "string", "x-protobuf-field": [1, 2]}, "b": {"type": "string", "x-protobuf-field": 1}}})),
            r#".properties[x]: x-protobuf-field of "b" is 1, which is an embedded message's"#,
        ),
        (
            object(&json!({"type": "object", "properties": {
                "a": {"type": "string", "x-protobuf-field": 1}, "b": {"type": "string", "x-protobuf-field": [1, 2]}}})),
            r#".properties[x]: x-protobuf-field of "b" is in 1, which is that of "a""#,
        ),
        (
            object(
                &json!({"type": "object", "properties": {"a": {"type": "string", "x-protobuf-field": 0}}}),
            ),
            r#".properties[x]: x-protobuf-field of "a" must be from 1 to 536870911"#,
        ),
        (
            object(&json!({"type": "object", "properties": {
                "a": {"type": "string", "x-protobuf-field": [1, 2, 3, 4, 5]}}})),
            r#".properties[x]: x-protobuf-field of "a" must be a number, or a list of 1 to 4"#,
        ),
        (
            object(&json!({"type": "string", "enum": ["a"], "default": "b"})),
            r#".properties[x].default: Unsupported value: "b": supported values: "a""#,
        ),
        (
            object(&json!({"type": "object", "default": {"a": 1}})),
            ".properties[x].default: has fields that the schema does not know: a",
        ),
        (
            object(&json!({"type": "string", "x-kubernetes-embedded-resource": true})),
            r#".properties[x]: type is "string"; an object's must be "object""#,
        ),
    ] {
        let whole = format!("compile widgets.example.org: versions[0].schema.openAPIV3Schema{text}");
        let found = refused(&schema, json!({}));
        assert!(found.starts_with(&whole), "{found}\n{whole}");
    }
}

fn object(property: &Value) -> Value {
    json!({"type": "object", "properties": {"x": property}})
}

#[test]
fn references_are_followed_and_never_in_circles() {
    let shared =
        json!({"A": {"type": "object", "properties": {"b": {"$ref": "B"}}}, "B": {"type": "string"}});
    let schema = object(&json!({"$ref": "A", "default": {"b": "x"}}));
    let compiled = fixture::compile(&schema, &fragments(shared)).unwrap();
    let mut value = json!({});
    assert_eq!(compiled.storage().admit(&mut value), crate::Admitted::default());
    assert_eq!(value, json!({"x": {"b": "x"}}));

    let circle = json!({"A": {"type": "object", "properties": {"b": {"$ref": "B"}}},
        "B": {"type": "array", "items": {"$ref": "A"}}});
    let found = refused(&object(&json!({"$ref": "A"})), circle.clone());
    assert!(
        found.ends_with(r#".properties[x].properties[b].items: $ref "A" leads back to itself through A, B"#),
        "{found}"
    );
    let found = refused(&object(&json!({"$ref": "C"})), circle);
    assert!(found.ends_with(r#".properties[x]: $ref "C" names no fragment; there are: A, B"#), "{found}");
}

#[test]
fn exactly_one_version_is_stored_and_each_has_its_name() {
    let refused = |change: fn(&mut Definition)| {
        let mut definition = fixture::definition(&json!({"type": "object"}));
        definition.versions.push(definition.versions[0].clone());
        change(&mut definition);
        Compiled::new(definition, &Fragments::new()).unwrap_err().fault
    };
    assert!(refused(|_| {}).starts_with(r#"version "v1" stands there twice"#));
    assert!(refused(|d| d.versions[0].name = "v0".into()).starts_with("2 versions have storage: true"));
    assert!(refused(|d| d.versions.clear()).starts_with("0 versions have storage: true"));
}
