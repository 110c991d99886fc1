//! The list of entries: times, order, what a client sends, how many there may be, and what becomes of old ones.

use serde_json::{Value, json};

use super::super::{Writer, managed_faults, only_times_differ};
use super::{API_VERSION, Desk};

fn times(desk: &Desk) -> Vec<(&str, &Value)> {
    desk.entries().iter().map(|entry| (entry["manager"].as_str().unwrap(), &entry["time"])).collect()
}

#[test]
fn an_entry_is_of_the_time_at_which_its_manager_last_changed_the_object() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x"}));
    let first = json!("2026-01-01T00:00:01Z");
    assert_eq!(times(&desk), [("a", &first)]);
    desk.apply("a", json!({"text": "x"}));
    assert_eq!(times(&desk), [("a", &first)]);
    // Whoever joins without a change has no time yet, as upstream.
    desk.apply("b", json!({"text": "x"}));
    assert_eq!(times(&desk), [("b", &Value::Null), ("a", &first)]);
    desk.update("c", json!({"text": "y"}));
    assert_eq!(times(&desk), [("c", &json!("2026-01-01T00:00:04Z"))]);
    desk.update("c", json!({"text": "y"}));
    assert_eq!(times(&desk), [("c", &json!("2026-01-01T00:00:04Z"))]);
    desk.update("c", json!({"text": "z"}));
    assert_eq!(times(&desk), [("c", &json!("2026-01-01T00:00:06Z"))]);
}

#[test]
fn to_lose_a_field_does_not_make_an_entry_younger() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x", "number": 1}));
    desk.update("b", json!({"text": "y", "number": 1}));
    assert_eq!(times(&desk)[0], ("a", &json!("2026-01-01T00:00:01Z")));
}

#[test]
fn applies_stand_first_then_the_older() {
    let mut desk = Desk::with("late", json!({"text": "x"}));
    desk.update("early", json!({"text": "x", "number": 1}));
    desk.apply("b", json!({"flag": true}));
    desk.apply("a", json!({"maybe": "m"}));
    assert_eq!(desk.managers(), ["b", "a", "late", "early"]);
}

#[test]
fn an_entry_says_all_and_nothing_empty() {
    let mut desk = Desk::with("", json!({"text": "x"}));
    assert_eq!(
        desk.entries(),
        [json!({
            "manager": "unknown", "operation": "Update", "apiVersion": API_VERSION, "time": "2026-01-01T00:00:01Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {".": {}, "f:text": {}}},
        })]
    );
    desk.apply("a", json!({"text": "x"}));
    assert_eq!(desk.entries()[0]["operation"], "Apply");
}

#[test]
fn a_client_may_leave_the_entries_out_or_spoil_them_and_changes_nothing() {
    for sent in [
        Value::Null,
        json!("text"),
        json!([1]),
        json!([{"manager": "m"}]),
        json!([{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV2"}]),
        json!([{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"x": {}}}]),
    ] {
        let mut desk = Desk::with("a", json!({"text": "x"}));
        let before = desk.entries().to_vec();
        desk.edit("b", |object| object["metadata"]["managedFields"] = sent);
        assert_eq!(desk.entries(), before);
        desk.edit("b", |object| {
            object["metadata"].as_object_mut().unwrap().remove("managedFields");
        });
        assert_eq!(desk.entries(), before);
    }
}

#[test]
fn a_write_whose_fields_cannot_be_told_apart_leaves_the_entries_as_they_are() {
    let mut desk = Desk::with("a", json!({"text": "x"}));
    let before = desk.entries().to_vec();
    desk.update("b", json!({"text": "y", "children": [{"value": 1}]}));
    assert_eq!(desk.entries(), before);
}

#[test]
fn a_client_may_write_entries_but_not_through_a_subresource() {
    let entry = json!({
        "manager": "m", "operation": "Apply", "apiVersion": API_VERSION, "time": "2025-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:text": {".": {}}}},
    });
    let mut canonical = entry.clone();
    canonical["fieldsV1"] = json!({"f:spec": {"f:text": {}}});
    let mut desk = Desk::with("a", json!({"text": "x"}));
    let before = desk.entries().to_vec();
    let status = Writer { manager: "b", subresource: "status", api_version: API_VERSION, now: "" };
    desk.write(status, |object| object["metadata"]["managedFields"] = json!([entry]));
    assert_eq!(desk.entries(), before);
    desk.edit("b", |object| object["metadata"]["managedFields"] = json!([entry]));
    assert_eq!(desk.entries(), [canonical]);
    assert_eq!(desk.conflicts("c", json!({"text": "y"})), ["m .spec.text"]);
}

#[test]
fn an_empty_list_ends_the_tracking_until_the_next_apply() {
    for reset in [json!([]), json!([{}])] {
        let mut desk = Desk::with("a", json!({"text": "x"}));
        desk.edit("b", |object| object["metadata"]["managedFields"] = reset);
        assert_eq!(desk.object.as_ref().unwrap()["metadata"].get("managedFields"), None);
        desk.update("b", json!({"text": "y"}));
        assert!(desk.entries().is_empty());
        assert_eq!(desk.conflicts("c", json!({"text": "z"})), ["before-first-apply .spec.text"]);
        desk.apply("c", json!({"number": 1}));
        assert_eq!(desk.managers(), ["c", "before-first-apply"]);
        assert_eq!(*desk.owned("before-first-apply"), json!({".": {}, "f:text": {}}));
    }
}

#[test]
fn the_oldest_updates_become_one() {
    let mut desk = Desk::with("m00", json!({"map": {"m00": "x"}}));
    for number in 1..=14 {
        let manager = format!("m{number:02}");
        let mut spec = desk.spec().clone();
        spec["map"][&manager] = json!("x");
        desk.update(&manager, spec);
        let updates = desk.entries().len();
        assert_eq!(updates, (number + 1).min(10));
    }
    assert_eq!(desk.managers()[..2], ["ancient-changes", "m06"]);
    let ancient = &desk.entries()[0];
    assert_eq!(ancient["time"], "2026-01-01T00:00:06Z");
    assert_eq!(ancient["fieldsV1"]["f:spec"]["f:map"].as_object().unwrap().len(), 7);
    for number in 0..20 {
        desk.apply(&format!("a{number:02}"), json!({"numbers": [number]}));
    }
    assert_eq!(desk.entries().len(), 30);
}

#[test]
fn entries_of_other_versions_are_apart_and_an_applier_goes_on() {
    let mut desk = Desk::new();
    let old = Writer { manager: "u", subresource: "", api_version: "example.org/v1beta1", now: "" };
    desk.write(old, |object| object["spec"] = json!({"text": "x", "number": 1}));
    desk.update("u", json!({"text": "y", "number": 1}));
    let versions: Vec<&Value> = desk.entries().iter().map(|entry| &entry["apiVersion"]).collect();
    assert_eq!(versions, ["example.org/v1beta1", API_VERSION]);
    assert_eq!(desk.entries()[0]["fieldsV1"]["f:spec"], json!({".": {}, "f:number": {}}));
    desk.apply("a", json!({"flag": true}));
    let mut entry = desk.entries()[0].clone();
    assert_eq!(entry["manager"], "a");
    entry["apiVersion"] = json!("example.org/v1beta1");
    desk.object.as_mut().unwrap()["metadata"]["managedFields"][0] = entry;
    desk.apply("a", json!({"maybe": "m"}));
    assert_eq!((desk.owned("a"), desk.spec().get("flag")), (&json!({"f:maybe": {}}), None));
    assert_eq!(desk.entries()[0]["apiVersion"], API_VERSION);
}

#[test]
fn what_has_become_atomic_is_one_field() {
    let entry = |fields: Value| {
        json!({"manager": "m", "operation": "Apply", "apiVersion": API_VERSION, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": fields}})
    };
    let mut desk = Desk::with("a", json!({"atomicMap": {"x": "1"}, "list": ["x"], "map": {"k": "v"}}));
    let stale = json!({"f:atomicMap": {".": {}, "f:x": {}}, "f:list": {"v:\"x\"": {}}, "f:map": {"f:k": {}}});
    desk.object.as_mut().unwrap()["metadata"]["managedFields"] = json!([entry(stale)]);
    assert_eq!(
        desk.conflicts("b", json!({"atomicMap": {"x": "2"}, "list": ["y"]})),
        ["m .spec.atomicMap", "m .spec.list"]
    );
    desk.update("b", json!({"atomicMap": {"x": "1"}, "list": ["x"], "map": {"k": "w"}}));
    assert_eq!(*desk.owned("m"), json!({"f:atomicMap": {}, "f:list": {}}));
    // The other way nothing can be known: who owned all as one owns only the one.
    desk.object.as_mut().unwrap()["metadata"]["managedFields"] = json!([entry(json!({"f:map": {}}))]);
    desk.apply("c", json!({"map": {"k": "other"}}));
    desk.apply("m", json!({"text": "t"}));
    assert_eq!(desk.spec()["map"], json!({"k": "other"}));
}

#[test]
fn two_objects_that_differ_in_times_alone_are_no_write() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x"}));
    let old = desk.object.clone().unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        only_times_differ(&old, &new)
    };
    assert!(changed(&|_| ()));
    assert!(changed(&|new| new["metadata"]["managedFields"][0]["time"] = json!("2027-01-01T00:00:00Z")));
    assert!(changed(&|new| new["metadata"]["resourceVersion"] = json!("7")));
    assert!(!changed(&|new| new["metadata"]["managedFields"][0]["manager"] = json!("b")));
    assert!(!changed(&|new| new["metadata"]["managedFields"] = json!([])));
    assert!(!changed(&|new| new["metadata"]["managedFields"] = Value::Null));
    assert!(!changed(&|new| new["metadata"]["labels"] = json!({"a": "b"})));
    assert!(!changed(&|new| new["spec"]["text"] = json!("y")));
}

#[test]
fn faults_of_entries_are_told_in_upstreams_words() {
    let long = "x".repeat(300);
    let object = json!({"metadata": {"managedFields": [
        {"manager": "ok", "operation": "Apply", "fieldsType": "FieldsV1"},
        {"manager": "a\tb", "operation": "Patch", "fieldsType": "FieldsV2", "subresource": long},
        {"manager": long, "operation": "Update"},
    ]}});
    let faults: Vec<String> = managed_faults(&object)
        .into_iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    assert_eq!(
        faults,
        [
            "metadata.managedFields[1].operation: Invalid value: \"Patch\": must be `Apply` or `Update`",
            "metadata.managedFields[1].fieldsType: Invalid value: \"FieldsV2\": must be `FieldsV1`",
            "metadata.managedFields[1].manager: Invalid value: \"a\\tb\": invalid character U+0009 (at position 1)",
            "metadata.managedFields[1].subresource: Too long: may not be more than 256 bytes",
            "metadata.managedFields[2].manager: Too long: may not be more than 128 bytes",
        ]
    );
}
