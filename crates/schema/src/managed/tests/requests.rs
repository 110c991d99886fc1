//! Configurations that cannot be applied, and the texts of refusals.

use detectviz_api::Status;
use serde_json::{Value, json};

use super::super::{ApplyError, Writer};
use super::{API_VERSION, Desk, object};

#[test]
fn a_configuration_that_does_not_fit_is_refused_in_upstreams_words() {
    for (spec, fault) in [
        (json!({"other": 1}), ".spec.other: field not declared in schema"),
        (json!({"pair": {"c": "1"}}), ".spec.pair.c: field not declared in schema"),
        (json!({"number": "1"}), ".spec.number: expected numeric (int or float), got string"),
        (json!({"number": {}}), ".spec.number: expected numeric (int or float), got map[string]interface {}"),
        (json!({"text": 1}), ".spec.text: expected string, got &value.valueUnstructured{Value:1}"),
        (
            json!({"text": {"a": ["b"]}}),
            ".spec.text: expected string, got &value.valueUnstructured\
             {Value:map[string]interface {}{\"a\":[]interface {}{\"b\"}}}",
        ),
        (json!({"flag": "yes"}), ".spec.flag: expected boolean, got &{yes}"),
        (json!({"either": [1, "a"]}), ".spec.either: expected any scalar, got &{[1 a]}"),
        (json!({"map": ["a"]}), ".spec.map: expected map, got &{[a]}"),
        (json!({"list": {"a": 1}}), ".spec.list: expected list, got &{map[a:1]}"),
        (json!({"list": ["a", 1]}), ".spec.list[1]: expected string, got &value.valueUnstructured{Value:1}"),
        (json!({"set": ["a", "b", "a"]}), ".spec.set: duplicate entries for key [=\"a\"]"),
        (
            json!({"set": [{}]}),
            ".spec.set: element 0: associative list without keys has an element that's a map type",
        ),
        (
            json!({"set": [null]}),
            ".spec.set: element 0: associative list without keys has an element that's an explicit null",
        ),
        (
            json!({"set": [["a"]]}),
            ".spec.set: element 0: not supported: associative list with lists as elements",
        ),
        (
            json!({"children": [{"value": 1}]}),
            ".spec.children: element 0: associative list with keys has an element that omits key field \"name\" \
             (and doesn't have default value)",
        ),
        (
            json!({"children": [{"name": "a"}, 1]}),
            ".spec.children: element 1: associative list with keys may not have non-map elements",
        ),
        (
            json!({"children": [null]}),
            ".spec.children: element 0: associative list with keys may not have a null element",
        ),
        (
            json!({"ports": [{"port": 1, "protocol": "TCP"}, {"port": 1}]}),
            ".spec.ports: duplicate entries for key [port=1,protocol=\"TCP\"]",
        ),
        (
            json!({"children": [{"name": "a", "value": true}]}),
            ".spec.children[name=\"a\"].value: expected numeric (int or float), got bool",
        ),
        (
            json!({"number": "1", "pair": {"c": "1"}}),
            "errors:\n  .spec.number: expected numeric (int or float), got string\n  .spec.pair.c: field not declared in schema",
        ),
    ] {
        assert_eq!(Desk::new().refusal(spec), fault);
    }
}

#[test]
fn a_refusal_of_the_configuration_has_no_reason_as_upstream() {
    let error = Desk::new().run("a", &object(json!({"other": 1})), false).unwrap_err();
    let status = Status::from(error);
    assert_eq!((status.code, &*status.reason), (500, ""));
    assert_eq!(
        status.message,
        "failed to create typed patch object (default/w; example.org/v1, Kind=Widget): \
         .spec.other: field not declared in schema"
    );
}

#[test]
fn an_object_that_cannot_be_merged_is_said_to_be_at_fault() {
    let mut desk = Desk::with("a", json!({"children": [{"value": 1}]}));
    let error = desk.run("b", &object(json!({"children": [{"name": "x"}]})), false).unwrap_err();
    assert!(error.to_string().starts_with(
        "failed to create typed live object (default/w; example.org/v1, Kind=Widget): element 0: "
    ));
}

#[test]
fn the_request_must_be_for_this_version_and_kind_and_bring_no_entries() {
    let refusal = |change: &dyn Fn(&mut Value)| {
        let mut desk = Desk::with("a", json!({"text": "x"}));
        let mut config = object(json!({"text": "x"}));
        change(&mut config);
        let error = desk.run("b", &config, true).unwrap_err();
        assert!(matches!(error, ApplyError::BadRequest(_)));
        let status = Status::from(error);
        assert_eq!((status.code, &*status.reason), (400, "BadRequest"));
        status.message
    };
    assert_eq!(
        refusal(&|config| config["apiVersion"] = json!("v2")),
        "invalid object type: /v2, Kind=Widget"
    );
    assert_eq!(
        refusal(&|config| config["kind"] = json!("Other")),
        "invalid object type: example.org/v1, Kind=Other"
    );
    assert_eq!(
        refusal(&|config| config["metadata"]["managedFields"] = json!([])),
        "metadata.managedFields must be nil"
    );
}

#[test]
fn entries_of_the_object_that_cannot_be_read_are_an_error() {
    let mut desk = Desk::with("a", json!({"text": "x"}));
    desk.object.as_mut().unwrap()["metadata"]["managedFields"] = json!([{"operation": "Apply"}]);
    let error = desk.run("b", &object(Value::Null), false).unwrap_err();
    assert_eq!(error.to_string(), "failed to decode managed fields: apiVersion must not be empty");
}

#[test]
fn conflicts_are_a_409_that_names_each_field_and_its_owner() {
    let mut desk = Desk::new();
    desk.apply("applier", json!({"text": "x"}));
    desk.edit("updater", |object| object["spec"]["number"] = json!(1));
    let error = desk.run("b", &object(json!({"text": "y"})), false).unwrap_err();
    let status = serde_json::to_value(Status::from(error)).unwrap();
    assert_eq!(
        status,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Conflict", "code": 409,
            "message": "Apply failed with 1 conflict: conflict with \"applier\": .spec.text",
            "details": {"causes": [{
                "reason": "FieldManagerConflict", "message": "conflict with \"applier\"", "field": ".spec.text",
            }]},
        })
    );
    let error = desk.run("b", &object(json!({"text": "y", "number": 2})), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"applier\":\n- .spec.text\n\
         conflicts with \"updater\" using example.org/v1:\n- .spec.number"
    );
    let causes = Status::from(error).details.unwrap().causes;
    assert_eq!(causes[1].message, "conflict with \"updater\" using example.org/v1");
}

#[test]
fn a_conflict_names_the_subresource() {
    let desk = Desk::with("a", json!({"text": "x"}));
    let mut new = desk.object.clone().unwrap();
    new["status"] = json!({"text": "s"});
    let status = Writer {
        manager: "kubelet",
        subresource: "status",
        api_version: API_VERSION,
        now: "2026-02-01T00:00:00Z",
    };
    desk.version.manage_update(desk.object.as_ref(), &mut new, &status, &[&["spec"]]);
    let mut config = object(Value::Null);
    config["status"] = json!({"text": "other"});
    let writer = Writer { manager: "b", ..status };
    let error = desk.version.apply(Some(&new), &config, &writer, false, &[&["spec"]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubelet\" with subresource \"status\" \
         using example.org/v1: .status.text"
    );
}
