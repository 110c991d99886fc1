//! Scalars, structs and maps.

use serde_json::{Value, json};

use super::Desk;
use crate::fixture;

#[test]
fn leaves_are_owned_by_who_applies_them() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x", "number": 1, "flag": true, "float": 1.5, "either": "50%"}));
    assert_eq!(
        *desk.owned("a"),
        json!({"f:text": {}, "f:number": {}, "f:flag": {}, "f:float": {}, "f:either": {}})
    );
    desk.apply("a", json!({"number": 2, "either": 3}));
    assert_eq!(*desk.spec(), json!({"number": 2, "either": 3}));
    assert_eq!(*desk.owned("a"), json!({"f:number": {}, "f:either": {}}));
}

#[test]
fn a_struct_has_an_owner_for_each_of_its_fields() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"pair": {"a": "1"}}));
    desk.apply("b", json!({"pair": {"b": "2"}}));
    assert_eq!(*desk.spec(), json!({"pair": {"a": "1", "b": "2"}}));
    assert_eq!(desk.conflicts("b", json!({"pair": {"a": "3", "b": "2"}})), ["a .spec.pair.a"]);
    desk.apply("a", Value::Null);
    assert_eq!(*desk.spec(), json!({"pair": {"b": "2"}}));
    assert_eq!(desk.managers(), ["b"]);
    desk.apply("b", json!({"text": "x"}));
    assert_eq!(*desk.spec(), json!({"text": "x"}));
}

#[test]
fn a_map_has_an_owner_for_each_of_its_keys() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"map": {"one": "1"}}));
    assert_eq!(*desk.owned("a"), json!({"f:map": {"f:one": {}}}));
    desk.apply("b", json!({"map": {"two": "2"}}));
    assert_eq!(*desk.spec(), json!({"map": {"one": "1", "two": "2"}}));
    desk.apply("a", json!({"map": {}}));
    assert_eq!(*desk.spec(), json!({"map": {"two": "2"}}));
    assert_eq!(*desk.owned("a"), json!({"f:map": {}}));
    desk.apply("b", Value::Null);
    assert_eq!(*desk.owned("a"), json!({"f:map": {}}));
}

#[test]
fn structs_in_a_map_and_maps_in_a_map_have_owners_of_their_own() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"structs": {"x": {"a": "1"}}, "maps": {"m": {"k": "1"}}}));
    assert_eq!(
        *desk.owned("a"),
        json!({"f:structs": {"f:x": {".": {}, "f:a": {}}}, "f:maps": {"f:m": {".": {}, "f:k": {}}}})
    );
    desk.apply("b", json!({"structs": {"x": {"b": "2"}}, "maps": {"m": {"l": "2"}}}));
    desk.apply("a", Value::Null);
    assert_eq!(*desk.spec(), json!({"structs": {"x": {"b": "2"}}, "maps": {"m": {"l": "2"}}}));
    desk.apply("b", Value::Null);
    assert_eq!(desk.object.as_ref().unwrap().get("spec"), None);
}

#[test]
fn what_is_atomic_has_one_owner_and_is_replaced() {
    for (field, first, second) in [
        ("atomicMap", json!({"a": "1", "b": "2"}), json!({"c": "3"})),
        ("atomicPair", json!({"a": "1", "b": "2"}), json!({"b": "3"})),
        ("list", json!(["a", "b"]), json!(["c"])),
    ] {
        let (path, owned) = (format!("a .spec.{field}"), json!({format!("f:{field}"): {}}));
        let mut desk = Desk::new();
        desk.apply("a", json!({field: first}));
        assert_eq!(*desk.owned("a"), owned);
        assert_eq!(desk.conflicts("b", json!({field: second})), [path]);
        desk.force("b", json!({field: second}));
        assert_eq!(*desk.spec(), json!({field: second}));
        assert_eq!((desk.owned("a"), desk.owned("b")), (&Value::Null, &owned));
    }
}

#[test]
fn what_the_schema_does_not_know_is_owned_as_it_looks() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"any": {"map": {"x": 1}, "list": [{"name": "a"}], "scalar": true}, "open": {"more": {"y": 1}}}));
    assert_eq!(
        *desk.owned("a"),
        json!({
            "f:any": {"f:map": {".": {}, "f:x": {}}, "f:list": {}, "f:scalar": {}},
            "f:open": {"f:more": {".": {}, "f:y": {}}},
        })
    );
    desk.apply("b", json!({"any": {"map": {"z": 2}}}));
    assert_eq!(desk.conflicts("b", json!({"any": {"list": []}})), ["a .spec.any.list"]);
    desk.apply("a", Value::Null);
    assert_eq!(*desk.spec(), json!({"any": {"map": {"z": 2}}}));
}

#[test]
fn what_the_schema_does_not_know_may_change_its_type() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"any": {"x": 1}}));
    for value in [json!("text"), json!({"x": {"y": 1}}), json!([1]), json!({"x": [1]}), json!(1), Value::Null]
    {
        desk.apply("a", json!({"any": value}));
        assert_eq!(*desk.spec(), json!({"any": value}));
    }
}

#[test]
fn null_is_a_value_of_a_leaf_and_nothing_of_what_has_fields() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"maybe": null, "map": null, "pair": null}));
    assert_eq!(*desk.owned("a"), json!({"f:maybe": {}, "f:map": {}, "f:pair": {}}));
    let mut desk = Desk::new();
    desk.apply("a", json!({"maybe": "x", "map": {"k": "v"}, "children": [{"name": "c"}]}));
    desk.apply("b", json!({"map": null, "children": null}));
    assert_eq!(*desk.spec(), json!({"maybe": "x", "map": {"k": "v"}, "children": [{"name": "c"}]}));
    assert_eq!(desk.conflicts("b", json!({"maybe": null})), ["a .spec.maybe"]);
    desk.force("b", json!({"maybe": null}));
    assert_eq!(desk.spec()["maybe"], Value::Null);
}

#[test]
fn numbers_are_the_same_however_they_are_written() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"float": 1, "number": 2}));
    desk.apply("b", json!({"float": 1.0, "number": 2.0}));
    assert_eq!(desk.conflicts("b", json!({"float": 1.5})), ["a .spec.float"]);
}

#[test]
fn an_empty_object_is_owned_by_who_brings_it() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"nested": {"pair": {}}}));
    assert_eq!(*desk.owned("a"), json!({"f:nested": {"f:pair": {}}}));
    desk.apply("b", json!({"nested": {"pair": {"a": "1"}}}));
    desk.apply("b", Value::Null);
    desk.apply("a", Value::Null);
    assert_eq!(desk.object.as_ref().unwrap().get("spec"), None);
}

#[test]
fn the_structs_of_a_built_in_kind_are_there_from_the_start_and_nobodys() {
    let mut desk = Desk::new();
    desk.version =
        fixture::version(&json!({"spec": {"type": "object", "x-protobuf-field": 2, "properties": {
            "text": {"type": "string", "x-protobuf-field": 1},
            "map": {"type": "object", "x-protobuf-field": 2, "additionalProperties": {"type": "string"}},
        }}}));
    desk.update("a", json!({"text": "x", "map": {"k": "v"}}));
    assert_eq!(*desk.owned("a"), json!({"f:text": {}, "f:map": {".": {}, "f:k": {}}}));
}
