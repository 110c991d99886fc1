use serde_json::{Value, json};

use super::Admitted;
use crate::fixture;

/// Admits `object` to a built-in kind with `properties`.
fn admit(properties: &Value, mut object: Value) -> (Value, Admitted) {
    let admitted = fixture::version(properties).admit(&mut object);
    (object, admitted)
}

#[test]
fn base64_is_read_as_go_reads_it_and_kept_in_its_one_form() {
    let bytes =
        json!({"x": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}});
    let (object, admitted) = admit(
        &bytes,
        json!({"x": {"wrapped": "aGVs\r\nbG8\n=\n", "bits": "aGk/aGl=", "both": "a\nR==", "plain": "aGk=", "empty": "\n"}}),
    );
    assert_eq!(admitted, Admitted::default());
    assert_eq!(
        object["x"],
        json!({"wrapped": "aGVsbG8=", "bits": "aGk/aGk=", "both": "aQ==", "plain": "aGk=", "empty": ""})
    );
    for junk in ["aGk", "aGk = ", "aG k=", "aGk=\t", "aGk==", "a_-=", "=", "aGk=aGk="] {
        let (object, admitted) = admit(&bytes, json!({"x": {"k": junk}}));
        assert_eq!((admitted.mistyped.is_some(), &object["x"]["k"]), (true, &json!(junk)), "{junk:?}");
    }
}

/// What Go does not decode is no object of the kind at all: upstream answers 400, and so it is told apart.
#[test]
fn a_wrong_type_in_a_built_in_kind_refuses_the_document() {
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let list = json!({"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "format": "int32"}}}});
    for (schema, value, why) in [
        (
            json!({"type": "string"}),
            json!(1),
            "json: cannot unmarshal number into Go struct field Widget.x of type string",
        ),
        (
            json!({"type": "string"}),
            json!(true),
            "json: cannot unmarshal bool into Go struct field Widget.x of type string",
        ),
        (
            json!({"type": "boolean"}),
            json!("a"),
            "json: cannot unmarshal string into Go struct field Widget.x of type bool",
        ),
        (
            json!({"type": "integer"}),
            json!(1.0),
            "json: cannot unmarshal number 1 into Go struct field Widget.x of type int64",
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(5_000_000_000_u64),
            "json: cannot unmarshal number 5000000000 into Go struct field Widget.x of type int32",
        ),
        (
            map.clone(),
            json!([]),
            "json: cannot unmarshal array into Go struct field Widget.x of type map[string]string",
        ),
        (map, json!({"k": {}}), "json: cannot unmarshal object into Go struct field Widget.x of type string"),
        (
            list.clone(),
            json!([{"n": 1}, {"n": "a"}]),
            "json: cannot unmarshal string into Go struct field Widget.x.n of type int32",
        ),
        (list, json!("a"), "json: cannot unmarshal string into Go struct field Widget.x of type []object"),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            "json: cannot unmarshal bool into Go struct field Widget.x of type intstr.IntOrString",
        ),
        (json!({"type": "string", "format": "byte"}), json!("aG!="), "illegal base64 data at input byte 2"),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("yesterday"),
            r#"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006-01-02T15:04:05Z07:00""#,
        ),
    ] {
        let (_, admitted) = admit(&json!({"x": schema}), json!({"x": value}));
        assert_eq!((admitted.mistyped, admitted.causes), (Some(why.to_owned()), vec![]), "{schema} {value}");
    }
}

/// What Go decodes and validation refuses is a fault of a field as anywhere.
#[test]
fn a_wrong_value_in_a_built_in_kind_is_a_fault() {
    let properties = json!({"x": {"type": "string", "enum": ["a"]}, "y": {"type": "integer", "minimum": 1}});
    let (_, admitted) = admit(&properties, json!({"x": "b", "y": 0}));
    assert_eq!((admitted.mistyped, admitted.causes.len()), (None, 2));
}
