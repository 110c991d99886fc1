//! Server-side apply, as several managers of one object meet it.

use detectviz_tests::variants;
use serde_json::{Value, json};

use super::{APPLY, MERGE, apply, entry, refuse, send};
use crate::support::{CONFIG_MAPS, create, version};

fn config(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

#[test]
fn an_apply_makes_its_object_and_changes_it_as_its_manager_says() {
    variants(|server| {
        let admin = server.admin();
        let one = format!("{CONFIG_MAPS}/a");
        let made = apply(&admin, &one, "m", "", &config(&json!({"x": "1", "y": "1"}))).expect(201);
        let books = entry(&made, "m").unwrap();
        assert_eq!((&books["operation"], &books["apiVersion"]), (&json!("Apply"), &json!("v1")));
        assert_eq!(books["fieldsV1"], json!({"f:data": {"f:x": {}, "f:y": {}}}));
        // The same again is no write, however often.
        for _ in 0..3 {
            let same = apply(&admin, &one, "m", "", &config(&json!({"x": "1", "y": "1"}))).expect(200);
            assert_eq!(same, made);
        }
        let changed = apply(&admin, &one, "m", "", &config(&json!({"x": "2"}))).expect(200);
        assert_eq!(changed["data"], json!({"x": "2"}), "what is no longer applied goes");
        assert!(version(&changed) > version(&made));
        assert_eq!(admin.get(&one).expect(200), changed);
    });
}

#[test]
fn what_another_manager_owns_is_a_conflict_unless_it_is_taken() {
    variants(|server| {
        let admin = server.admin();
        let one = format!("{CONFIG_MAPS}/a");
        apply(&admin, &one, "first", "", &config(&json!({"x": "1", "y": "1"}))).expect(201);
        let refused = apply(&admin, &one, "second", "", &config(&json!({"x": "2"}))).refused(409, "Conflict");
        assert_eq!(refused["message"], "Apply failed with 1 conflict: conflict with \"first\": .data.x");
        let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"first\"", "field": ".data.x"});
        assert_eq!(refused["details"]["causes"], json!([cause]));
        // What both want is owned by both.
        let both = apply(&admin, &one, "second", "", &config(&json!({"x": "1"}))).expect(200);
        assert!(entry(&both, "first").is_some() && entry(&both, "second").is_some());
        let kept = apply(&admin, &one, "first", "", &config(&json!({"y": "1"}))).expect(200);
        assert_eq!(kept["data"], json!({"x": "1", "y": "1"}), "the other still owns it");
        let taken = apply(&admin, &one, "third", "&force=true", &config(&json!({"x": "3"}))).expect(200);
        assert_eq!(taken["data"], json!({"x": "3", "y": "1"}));
        assert!(entry(&taken, "second").is_none());
        let gone = apply(&admin, &one, "third", "", &config(&json!({}))).expect(200);
        assert_eq!(gone["data"], json!({"y": "1"}));
        // Other writes own what they change, and a conflict says in which version.
        send(&admin, "PATCH", &format!("{one}?fieldManager=editor"), MERGE, r#"{"data":{"y":"9"}}"#)
            .expect(200);
        let refused = apply(&admin, &one, "first", "", &config(&json!({"y": "1"}))).refused(409, "Conflict");
        let message = refused["message"].as_str().unwrap();
        assert_eq!(message, "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.y");
    });
}

#[test]
fn books_are_reset_by_an_empty_list() {
    variants(|server| {
        let admin = server.admin();
        let one = format!("{CONFIG_MAPS}/a");
        apply(&admin, &one, "m", "", &config(&json!({"x": "1"}))).expect(201);
        let reset = r#"{"metadata":{"managedFields":[{}]}}"#;
        let bare = send(&admin, "PATCH", &one, MERGE, reset).expect(200);
        assert!(entry(&bare, "m").is_none(), "{bare}");
        assert_eq!(bare["data"], json!({"x": "1"}));
    });
}

#[test]
fn who_applied_on_the_client_goes_on_on_the_server() {
    variants(|server| {
        let admin = server.admin();
        let one = format!("{CONFIG_MAPS}/a");
        let mut old = config(&json!({"x": "1", "y": "1"}));
        let last = old.to_string();
        old["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
        let path = format!("{CONFIG_MAPS}?fieldManager=kubectl-client-side-apply");
        create(&admin, &path, &old);
        let new = config(&json!({"x": "2"}));
        apply(&admin, &one, "other", "", &new).refused(409, "Conflict");
        let applied = apply(&admin, &one, "kubectl", "", &new).expect(200);
        // What is left over goes when the client moves its books, which it does in JSON.
        assert_eq!(applied["data"], json!({"x": "2", "y": "1"}), "{applied}");
        let last = &applied["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
        let last: Value = serde_json::from_str(last.as_str().unwrap()).unwrap();
        assert_eq!(last["data"], json!({"x": "2"}), "old clients see what was applied");
    });
}

#[test]
fn who_manages_is_kept_through_create_and_delete() {
    variants(|server| {
        let admin = server.admin();
        let one = format!("{CONFIG_MAPS}/a");
        apply(&admin, &one, "m", "", &config(&json!({"x": "1"}))).expect(201);
        admin.delete(&one).expect(200);
        let again = apply(&admin, &one, "n", "", &config(&json!({"x": "2"}))).expect(201);
        assert!(entry(&again, "m").is_none() && entry(&again, "n").is_some());
        let stale = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "resourceVersion": "1"}, "data": {"x": "3"}});
        apply(&admin, &one, "n", "", &stale).refused(409, "Conflict");
        let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "u"}});
        let message = "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"u\": field is immutable";
        let refusal = (422, "Invalid", message, "FieldValueInvalid");
        refuse(&admin, "PATCH", &format!("{one}?fieldManager=n"), (APPLY, &other.to_string()), refusal);
    });
}
