//! Entries that were made through another form of the objects.

use serde_json::{Value, json};

use super::{Desk, object};

const OTHER: &str = "other.org/v1";

/// A desk where `theirs` owns the text and the number through a form in which `spec` is `wanted` and `status` is `spec`.
fn desk() -> Desk {
    let mut desk = Desk::with("me", json!({"text": "a", "number": 1, "flag": true}));
    let names =
        [("wanted", "spec"), ("spec", "status")].map(|(there, here)| (there.to_owned(), here.to_owned()));
    desk.version.add_form(OTHER.to_owned(), names.into());
    let entries = json!([entry("theirs", "Update", &json!({"f:wanted": {"f:text": {}, "f:number": {}}}))]);
    desk.edit("me", |object| object["metadata"]["managedFields"] = entries);
    desk
}

fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": OTHER, "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": fields})
}

#[test]
fn an_owner_is_asked_and_named_in_its_own_words() {
    let mut desk = desk();
    assert_eq!(desk.conflicts("a", json!({"text": "b"})), ["theirs .wanted.text"]);
    desk.apply("a", json!({"text": "a"}));
    desk.force("b", json!({"text": "c"}));
    let theirs = entry("theirs", "Update", &json!({"f:wanted": {"f:number": {}}}));
    assert!(desk.entries().contains(&theirs), "{:?}", desk.entries());
    desk.update("me", json!({"text": "c", "number": 2, "flag": true}));
    assert_eq!(desk.managers(), ["b", "me"]);
}

#[test]
fn what_nobody_touches_stays_as_it_was_written() {
    let mut desk = desk();
    let before = desk.entries().to_vec();
    desk.apply("a", json!({"flag": true, "map": {"x": "y"}}));
    assert!(before.iter().all(|entry| desk.entries().contains(entry)), "{:?}", desk.entries());
}

#[test]
fn an_applier_goes_on_through_another_form() {
    let mut desk = desk();
    let entries = json!([entry("a", "Apply", &json!({"f:wanted": {"f:text": {}, "f:number": {}}}))]);
    desk.edit("me", |object| object["metadata"]["managedFields"] = entries);
    desk.run("a", &object(json!({"text": "a"})), false).unwrap();
    assert_eq!(*desk.spec(), json!({"text": "a", "flag": true}), "what it no longer names is gone");
    assert_eq!(*desk.owned("a"), json!({"f:text": {}}));
}
