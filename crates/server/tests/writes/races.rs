//! Others who are faster: whoever loses a race does its work on what the winner left, or is told.

use detectviz_storage::{Compare, Op, Txn};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{APPLY, JSON, MERGE, World, at, gone, key, put, widget};

/// A widget as it is stored, with one applier who owns its text.
fn stored(uid: &str, text: &str) -> Value {
    let mut object = widget("w", json!({"text": text, "color": "blue"}));
    object["metadata"] = json!({
        "name": "w", "namespace": "a", "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "theirs", "operation": "Apply", "apiVersion": "e.org/v1", "fieldsType": "FieldsV1",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:text": {}}}}],
    });
    object
}

fn made(object: &Value) -> Txn {
    Txn::new(key("w"), Compare::Absent, Op::Put(object.to_string().into()))
}

/// A server where `object` is made right before the next write.
async fn with_winner(object: Value) -> World {
    let world = World::start().await;
    let mut once = true;
    world.store.before_each_write(move || std::mem::take(&mut once).then(|| made(&object)));
    world
}

async fn apply(world: &World, spec: Value, query: &str) -> crate::support::Answer {
    let config = widget("w", spec).to_string();
    world.send("PATCH", &format!("{}?fieldManager=mine{query}", at("w")), APPLY, config).await
}

#[tokio::test]
async fn who_applies_at_once_applies_to_what_the_other_made() {
    let world = with_winner(stored("1", "theirs")).await;
    let applied = apply(&world, json!({"tags": {"a": "mine"}}), "").await.expect(200);
    assert_eq!(applied["metadata"]["uid"], "1", "there is one object");
    assert_eq!(applied["spec"], json!({"text": "theirs", "color": "blue", "tags": {"a": "mine"}}));
    let books = applied["metadata"]["managedFields"].as_array().unwrap();
    let managers: Vec<&Value> = books.iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(managers, ["theirs", "mine"]);

    let world = with_winner(stored("1", "theirs")).await;
    let refused = apply(&world, json!({"text": "mine"}), "").await.refused(409);
    assert_eq!(refused, "Apply failed with 1 conflict: conflict with \"theirs\": .spec.text");
    assert_eq!(world.get(&at("w")).await.expect(200)["spec"]["text"], "theirs");

    let world = with_winner(stored("1", "theirs")).await;
    let forced = apply(&world, json!({"text": "mine"}), "&force=true").await.expect(200);
    assert_eq!((&forced["spec"]["text"], &forced["metadata"]["uid"]), (&json!("mine"), &json!("1")));
}

#[tokio::test]
async fn what_was_deleted_meanwhile_is_made_anew_by_an_apply() {
    let world = World::start().await;
    let old = apply(&world, json!({"text": "mine"}), "").await.expect(201);
    let mut once = true;
    world.store.before_each_write(move || std::mem::take(&mut once).then(|| gone(&key("w"))));
    let anew = apply(&world, json!({"tags": {"a": "b"}}), "").await.expect(201);
    assert_ne!(anew["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(anew["spec"], json!({"tags": {"a": "b"}, "color": "blue"}), "nothing of the old one is left");
}

/// An object of the same name is not the object that the client means.
#[tokio::test]
async fn what_was_made_anew_is_another_object() {
    let strategy = Arc::new(detectviz_server::strategy::Plain);
    let world = World::with(Vec::new(), strategy, json!({"allowUnconditionalUpdate": true})).await;
    let old = world.create(&widget("w", json!({"text": "old"}))).await.expect(201);
    world.send("DELETE", &at("w"), JSON, "").await.expect(200);
    let new = world.create(&widget("w", json!({"text": "new"}))).await.expect(201);
    let uids = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    let mismatch = format!(
        "Operation cannot be fulfilled on widgets.e.org \"w\": Precondition failed: UID in precondition: {}, UID in object meta: {}",
        uids(&old),
        uids(&new)
    );
    let mut without_version = old.clone();
    without_version["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let mut without_uid = old.clone();
    without_uid["metadata"].as_object_mut().unwrap().remove("uid");
    assert_eq!(world.update(&at("w"), &old).await.refused(409), mismatch);
    assert_eq!(world.update(&at("w"), &without_version).await.refused(409), mismatch);
    assert!(world.update(&at("w"), &without_uid).await.refused(409).contains("has been modified"));
    let version =
        json!({"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "spec": {"text": "x"}});
    assert!(world.patch(&at("w"), MERGE, &version).await.refused(409).contains("has been modified"));
    let uid = json!({"metadata": {"uid": uids(&old)}, "spec": {"text": "x"}});
    assert!(world.patch(&at("w"), MERGE, &uid).await.refused(422).contains("field is immutable"));
    assert_eq!(world.get(&at("w")).await.expect(200), new);

    // The same when it happens between the read and the write.
    let mut once = true;
    world
        .store
        .before_each_write(move || std::mem::take(&mut once).then(|| put(&key("w"), &stored("3", "newest"))));
    let mut meant = new.clone();
    meant["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    meant["spec"]["text"] = "x".into();
    let refused = world.update(&at("w"), &meant).await.refused(409);
    assert!(refused.ends_with("UID in object meta: 3"), "{refused}");
    assert_eq!(world.get(&at("w")).await.expect(200)["spec"]["text"], "newest");
}
