//! From client-side apply to server-side apply, and back.

use serde_json::{Value, json};

use super::{API_VERSION, Desk, object};

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object that `kubectl apply` of the client's side has made of `spec`.
fn applied_by_the_client(spec: &Value) -> Desk {
    let mut desk = Desk::new();
    let text = object(spec.clone()).to_string();
    desk.edit("kubectl-client-side-apply", |new| {
        new["spec"] = spec.clone();
        new["metadata"]["annotations"] = json!({ANNOTATION: text});
    });
    desk
}

fn annotation(desk: &Desk) -> Option<Value> {
    let text = desk.object.as_ref().unwrap()["metadata"]["annotations"].get(ANNOTATION)?.as_str().unwrap();
    Some(serde_json::from_str(text).unwrap())
}

#[test]
fn kubectl_goes_on_where_its_client_side_was() {
    let mut desk = applied_by_the_client(&json!({"text": "x", "number": 1}));
    desk.apply("kubectl", json!({"text": "y", "number": 1}));
    assert_eq!(*desk.spec(), json!({"text": "y", "number": 1}));
    assert_eq!(*desk.owned("kubectl"), json!({"f:text": {}, "f:number": {}}));
    assert_eq!(annotation(&desk), Some(object(json!({"text": "y", "number": 1}))));
}

#[test]
fn another_manager_does_not() {
    let mut desk = applied_by_the_client(&json!({"text": "x"}));
    assert_eq!(desk.conflicts("flux", json!({"text": "y"})), ["kubectl-client-side-apply .spec.text"]);
    desk.force("flux", json!({"text": "y"}));
    assert_eq!(annotation(&desk), Some(object(json!({"text": "x"}))));
}

#[test]
fn what_somebody_changed_since_is_in_conflict_even_so() {
    let mut desk = applied_by_the_client(&json!({"text": "x", "number": 1}));
    desk.edit("scaler", |object| object["spec"]["number"] = json!(5));
    assert_eq!(desk.conflicts("kubectl", json!({"text": "y", "number": 1})), ["scaler .spec.number"]);
}

#[test]
fn an_annotation_that_cannot_be_read_allows_nothing() {
    for text in [
        "",
        "{",
        "[]",
        "{\"apiVersion\":\"v2\"}",
        "{\"apiVersion\":\"example.org/v1\",\"spec\":{\"other\":1}}",
    ] {
        let mut desk = applied_by_the_client(&json!({"text": "x"}));
        desk.object.as_mut().unwrap()["metadata"]["annotations"][ANNOTATION] = json!(text);
        assert_eq!(
            desk.conflicts("kubectl", json!({"text": "y"})),
            ["kubectl-client-side-apply .spec.text"],
            "{text}"
        );
    }
}

#[test]
fn the_annotation_is_kept_for_the_way_back_without_itself() {
    let mut desk = applied_by_the_client(&json!({"text": "x"}));
    let mut config = object(json!({"text": "y"}));
    config["metadata"]["annotations"] = json!({"other": "1", ANNOTATION: "old"});
    desk.run("kubectl", &config, true).unwrap();
    config["metadata"]["annotations"].as_object_mut().unwrap().remove(ANNOTATION);
    assert_eq!(annotation(&desk), Some(config));
    let text =
        desk.object.as_ref().unwrap()["metadata"]["annotations"][ANNOTATION].as_str().unwrap().to_owned();
    assert!(text.ends_with("}\n"));
}

#[test]
fn no_annotation_is_made_and_one_too_large_goes() {
    let mut desk = Desk::new();
    desk.apply("kubectl", json!({"text": "x"}));
    assert_eq!(desk.object.as_ref().unwrap()["metadata"].get("annotations"), None);
    let mut desk = applied_by_the_client(&json!({"text": "x"}));
    desk.apply("kubectl", json!({"text": "x".repeat(257 * 1024)}));
    assert_eq!(annotation(&desk), None);
}

/// What kubectl itself does to migrate: it makes the client side's entry an applier's, by a patch of `managedFields`.
#[test]
fn an_entry_may_be_made_an_appliers() {
    let mut desk = applied_by_the_client(&json!({"text": "x", "number": 1}));
    desk.edit("kubectl", |object| {
        let entry = &mut object["metadata"]["managedFields"][0];
        entry["manager"] = json!("kubectl");
        entry["operation"] = json!("Apply");
    });
    desk.apply("kubectl", json!({"text": "x"}));
    assert_eq!(*desk.spec(), json!({"text": "x"}));
    let entries: Vec<_> =
        desk.entries().iter().map(|entry| (&entry["manager"], &entry["apiVersion"])).collect();
    assert_eq!(entries, [(&json!("kubectl"), &json!(API_VERSION))]);
}
