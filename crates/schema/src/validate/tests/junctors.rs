use serde_json::{Value, json};

use super::{admit, said};
use crate::{Compiled, Fragments, fixture};

fn check(schema: &Value, value: &Value, texts: &[&str]) {
    let (object, admitted) = admit(&json!({"x": schema}), json!({"x": value}));
    assert_eq!(said(&admitted), texts, "{schema} {value}");
    assert_eq!(&object["x"], value, "a rule changes nothing");
}

#[test]
fn rules_hold_together_as_upstream_tells_it() {
    let text = |rules: Value| {
        let mut schema = json!({"type": "string"});
        schema.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        schema
    };
    let any = text(json!({"anyOf": [{"maxLength": 1}, {"pattern": "^a"}]}));
    check(&any, &json!("b"), &[]);
    check(&any, &json!("abc"), &[]);
    check(
        &any,
        &json!("bcd"),
        &[
            r#"<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)"#,
            "x: Too long: may not be more than 1 byte",
        ],
    );
    let one = text(json!({"oneOf": [{"minLength": 2}, {"pattern": "^a"}]}));
    check(&one, &json!("bcd"), &[]);
    check(
        &one,
        &json!("abc"),
        &[
            r#"<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
        ],
    );
    check(
        &one,
        &json!("b"),
        &[
            r#"<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid"#,
            r#"x: Invalid value: "b": x in body should be at least 2 chars long"#,
        ],
    );
    let all = text(json!({"allOf": [{"minLength": 2}, {"pattern": "^a"}]}));
    check(&all, &json!("abc"), &[]);
    check(
        &all,
        &json!("bcd"),
        &[
            r#"x: Invalid value: "bcd": x in body should match '^a'"#,
            r#"<nil>: Invalid value: "": "x" must validate all the schemas (allOf)"#,
        ],
    );
    check(
        &all,
        &json!("b"),
        &[
            r#"x: Invalid value: "b": x in body should be at least 2 chars long"#,
            r#"x: Invalid value: "b": x in body should match '^a'"#,
            r#"<nil>: Invalid value: "": "x" must validate all the schemas (allOf). None validated"#,
        ],
    );
    let not = text(json!({"not": {"enum": ["a"]}}));
    check(&not, &json!("b"), &[]);
    check(&not, &json!("a"), &[r#"<nil>: Invalid value: "": "x" must not validate the schema (not)"#]);
}

#[test]
fn rules_reach_into_objects_and_lists_and_nest() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": {"type": "string"}, "b": {"type": "integer"},
            "l": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string", "nullable": true}}}},
        },
        "oneOf": [{"required": ["a"]}, {"required": ["b"], "properties": {"b": {"minimum": 1}}}],
        "allOf": [{"not": {"properties": {"l": {"items": {"required": ["c"]}, "minItems": 1}}, "required": ["l"]}}],
    });
    check(&schema, &json!({"a": "x"}), &[]);
    check(&schema, &json!({"b": 1, "l": [{"c": null}, {}]}), &[]);
    // Upstream tells of the alternative that looked at most.
    check(
        &schema,
        &json!({"b": 0}),
        &[
            r#"<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid"#,
            "x.b: Invalid value: 0: x.b in body should be greater than or equal to 1",
        ],
    );
    check(
        &schema,
        &json!({"a": "", "l": [{"c": "x"}]}),
        &[
            r#"<nil>: Invalid value: "": "x" must not validate the schema (not)"#,
            r#"<nil>: Invalid value: "": "x" must validate all the schemas (allOf). None validated"#,
        ],
    );
}

#[test]
fn the_pair_that_tools_write_beside_int_or_string_may_name_types() {
    let pair = json!([{"type": "integer"}, {"type": "string"}]);
    check(&json!({"x-kubernetes-int-or-string": true, "anyOf": pair}), &json!("1%"), &[]);
    check(&json!({"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": pair}]}), &json!(1), &[]);
    let schema = json!({"x-kubernetes-int-or-string": true, "anyOf": pair});
    let (_, admitted) = admit(&json!({"x": schema}), json!({"x": true}));
    assert_eq!(
        said(&admitted),
        [
            r#"x: Invalid value: "boolean": x in body must be of type integer,string: "boolean""#,
            r#"<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)"#,
            r#"x: Invalid value: "boolean": x in body must be of type integer: "boolean""#,
        ]
    );
}

#[test]
fn rules_say_nothing_of_shapes() {
    for (rule, place) in [
        (json!({"anyOf": [{"type": "string"}]}), "anyOf[0].type: must not stand within"),
        (json!({"allOf": [{"default": 1}]}), "allOf[0].default: must not stand within"),
        (json!({"oneOf": [{}, {"nullable": true}]}), "oneOf[1].nullable: must not stand within"),
        (json!({"not": {"additionalProperties": {}}}), "not.additionalProperties: must not stand within"),
        (json!({"not": {"properties": {"y": {}}}}), "not.properties[y]: is not in the schema around it"),
        (json!({"not": {"items": {}}}), "not.items: is not in the schema around it"),
        (json!({"not": {"anyOf": [{"title": "t"}]}}), "not.anyOf[0].title: must not stand within"),
        (json!({"not": {"pattern": "("}}), "not.pattern: is no regular expression"),
        (json!({"uniqueItems": true}), "uniqueItems: must not be true"),
        (json!({"multipleOf": 0}), "multipleOf: must be greater than 0"),
    ] {
        let mut schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        schema.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        let found = Compiled::new(fixture::definition(&schema), &Fragments::new()).unwrap_err().to_string();
        let wanted = format!("compile widgets.example.org: versions[0].schema.openAPIV3Schema.{place}");
        assert!(found.starts_with(&wanted), "{found}\n{wanted}");
    }
}
