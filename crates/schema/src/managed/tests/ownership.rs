//! Who owns what after several managers, and what becomes of fields that somebody drops.

use serde_json::{Value, json};

use super::super::Writer;
use super::{API_VERSION, Desk, object};

#[test]
fn two_appliers_of_one_value_share_it_and_the_last_one_takes_it_along() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x", "number": 1}));
    desk.apply("b", json!({"text": "x"}));
    assert_eq!(desk.conflicts("a", json!({"text": "y"})), ["b .spec.text"]);
    desk.apply("a", json!({"number": 1}));
    assert_eq!(*desk.spec(), json!({"text": "x", "number": 1}));
    desk.apply("b", Value::Null);
    assert_eq!(*desk.spec(), json!({"number": 1}));
}

#[test]
fn force_takes_and_conflicts_name_each_owner() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x", "number": 1, "set": ["v"]}));
    desk.apply("b", json!({"text": "x"}));
    let change = json!({"text": "y", "number": 2, "set": ["v"]});
    assert_eq!(desk.conflicts("c", change.clone()), ["b .spec.text", "a .spec.number", "a .spec.text"]);
    desk.force("c", change);
    assert_eq!(desk.managers(), ["a", "c"]);
    assert_eq!(*desk.owned("a"), json!({"f:set": {"v:\"v\"": {}}}));
    assert_eq!(*desk.owned("c"), json!({"f:text": {}, "f:number": {}, "f:set": {"v:\"v\"": {}}}));
}

#[test]
fn an_update_takes_what_it_changes_without_asking() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x", "number": 1}));
    desk.update("b", json!({"text": "y", "number": 1, "flag": true}));
    assert_eq!(*desk.owned("a"), json!({"f:number": {}}));
    assert_eq!(*desk.owned("b"), json!({"f:text": {}, "f:flag": {}}));
    assert_eq!(desk.conflicts("a", json!({"text": "x", "number": 1})), ["b .spec.text"]);
    desk.update("b", json!({"text": "y", "flag": true}));
    assert_eq!((desk.owned("a"), desk.managers()), (&Value::Null, vec!["b"]));
}

#[test]
fn an_update_that_changes_nothing_owns_nothing() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x"}));
    let before = desk.entries().to_vec();
    desk.update("b", json!({"text": "x"}));
    assert_eq!(desk.entries(), before);
}

#[test]
fn what_an_updater_owns_stays_when_an_applier_drops_it() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"map": {"x": "1", "y": "1"}}));
    desk.update("b", json!({"map": {"x": "2", "y": "1"}}));
    desk.apply("a", json!({"text": "t"}));
    assert_eq!(*desk.spec(), json!({"map": {"x": "2"}, "text": "t"}));
}

#[test]
fn what_nobody_owns_stays_while_anything_beside_it_does() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"pair": {"a": "1"}, "text": "x"}));
    // A default of the server: there, and nobody's.
    desk.object.as_mut().unwrap()["spec"]["pair"]["b"] = json!("default");
    desk.apply("a", json!({"pair": {"a": "2"}}));
    assert_eq!(*desk.spec(), json!({"pair": {"a": "2", "b": "default"}}));
    desk.apply("b", json!({"number": 1}));
    desk.apply("a", json!({"pair": {}}));
    assert_eq!(*desk.spec(), json!({"pair": {"b": "default"}, "number": 1}));
    // With the struct itself goes all that was in it.
    desk.apply("a", Value::Null);
    assert_eq!(*desk.spec(), json!({"number": 1}));
}

#[test]
fn an_item_goes_with_all_that_is_in_it_unless_another_brought_it_too() {
    let children = |items: Value| json!({"children": items});
    let mut desk = Desk::new();
    desk.apply("a", children(json!([{"name": "x"}, {"name": "y"}])));
    desk.object.as_mut().unwrap()["spec"]["children"][0]["value"] = json!(7);
    desk.apply("a", children(json!([{"name": "y"}])));
    assert_eq!(*desk.spec(), children(json!([{"name": "y"}])));

    // Whoever only changed a field of it does not hold the item.
    let mut desk = Desk::new();
    desk.apply("a", children(json!([{"name": "x"}, {"name": "y"}])));
    desk.update("b", children(json!([{"name": "x", "value": 7}, {"name": "y"}])));
    desk.apply("a", children(json!([{"name": "y"}])));
    assert_eq!((desk.spec(), desk.managers()), (&children(json!([{"name": "y"}])), vec!["a"]));

    let mut desk = Desk::new();
    desk.apply("a", children(json!([{"name": "x"}, {"name": "y"}])));
    desk.apply("b", children(json!([{"name": "x", "value": 7}])));
    desk.apply("a", children(json!([{"name": "y"}])));
    assert_eq!(*desk.spec(), children(json!([{"name": "x", "value": 7}, {"name": "y"}])));
}

#[test]
fn an_applier_never_conflicts_with_itself_but_with_its_updates() {
    let mut desk = Desk::new();
    desk.update("a", json!({"text": "x"}));
    desk.apply("a", json!({"text": "x"}));
    assert_eq!(desk.entries().len(), 2);
    assert_eq!(desk.conflicts("a", json!({"text": "y"})), ["a .spec.text"]);
}

#[test]
fn each_subresource_has_an_entry_of_its_own() {
    let mut desk = Desk::with("a", json!({"text": "x"}));
    let status = Writer { manager: "a", subresource: "status", api_version: API_VERSION, now: "" };
    desk.write(status, |object| object["status"] = json!({"text": "y"}));
    // The main endpoint resets the status, so nobody owns that through it; here nothing resets it.
    assert_eq!(desk.entries().len(), 1);
    let mut new = desk.object.clone().unwrap();
    new["status"] = json!({"text": "z"});
    let status = Writer { now: "2026-02-01T00:00:00Z", ..status };
    desk.version.manage_update(
        desk.object.as_ref(),
        &mut new,
        &status,
        &[&["spec"], &["metadata", "labels"]],
    );
    let entries = super::super::list_in(&new);
    assert_eq!((entries.len(), &entries[1]["subresource"]), (2, &json!("status")));
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {"f:text": {}}}));
}

#[test]
fn what_the_server_resets_is_neither_owned_nor_contested() {
    let mut desk = Desk::new();
    let mut config = object(json!({"text": "x"}));
    config["status"] = json!({"text": "mine"});
    desk.run("a", &config, false).unwrap();
    assert_eq!(desk.entries()[0]["fieldsV1"], json!({"f:spec": {"f:text": {}}}));
    config["status"]["text"] = json!("other");
    desk.run("b", &config, false).unwrap();
}

#[test]
fn what_comes_with_the_object_is_nobodys() {
    let mut desk = Desk::new();
    desk.edit("a", |object| {
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        object["metadata"]["labels"] = json!({"l": "1"});
        object["metadata"]["finalizers"] = json!(["example.org/f"]);
        object["metadata"]["generateName"] = json!("w-");
    });
    assert_eq!(
        desk.entries()[0]["fieldsV1"],
        json!({"f:metadata": {
            "f:labels": {".": {}, "f:l": {}},
            "f:finalizers": {".": {}, "v:\"example.org/f\"": {}},
            "f:generateName": {},
        }})
    );
}

#[test]
fn owner_references_are_told_apart_by_uid_and_owned_as_one() {
    let reference =
        |uid: &str, name: &str| json!({"apiVersion": "v1", "kind": "K", "name": name, "uid": uid});
    let mut desk = Desk::new();
    let mut config = object(Value::Null);
    config["metadata"]["ownerReferences"] = json!([reference("1", "one")]);
    desk.run("a", &config, false).unwrap();
    assert_eq!(
        desk.entries()[0]["fieldsV1"],
        json!({"f:metadata": {"f:ownerReferences": {"k:{\"uid\":\"1\"}": {}}}})
    );
    config["metadata"]["ownerReferences"] = json!([reference("2", "two")]);
    desk.run("b", &config, false).unwrap();
    assert_eq!(desk.object.as_ref().unwrap()["metadata"]["ownerReferences"].as_array().unwrap().len(), 2);
    config["metadata"]["ownerReferences"] = json!([reference("1", "other")]);
    let error = desk.run("b", &config, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"a\": .metadata.ownerReferences[uid=\"1\"]"
    );
}

/// An empty list is nobody's, as upstream has it. So the object has no owners, and what is there when it is applied again counts as
/// there before the first apply; from then on, nothing changes any more.
#[test]
fn who_applies_nothing_but_empty_lists_owns_nothing() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"set": []}));
    assert_eq!((desk.managers(), desk.spec()), (vec![], &json!({"set": []})));
    desk.apply("a", json!({"set": []}));
    assert_eq!(desk.managers(), ["before-first-apply"]);
    let twice = desk.object.clone();
    desk.apply("a", json!({"set": []}));
    assert_eq!(desk.object, twice);
}
