//! What of an object's metadata is the server's, what may change, and what counts as a change.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{JSON, MERGE, WIDGETS, World, at, key, put, widget};

#[tokio::test]
async fn a_client_cannot_give_what_the_server_gives() {
    let world = World::start().await;
    let mut object = widget("w", json!({}));
    let metadata = &mut object["metadata"];
    metadata["uid"] = "mine".into();
    metadata["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    metadata["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    metadata["deletionGracePeriodSeconds"] = 3.into();
    metadata["generation"] = 7.into();
    metadata["selfLink"] = "/x".into();
    object["status"] = json!({"phase": "mine"});
    let created = world.create(&object).await.expect(201);
    let metadata = &created["metadata"];
    assert_ne!(metadata["uid"], "mine");
    assert_ne!(metadata["creationTimestamp"], "2001-01-01T00:00:00Z");
    assert_eq!(metadata["generation"], 1);
    for gone in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        assert!(metadata.get(gone).is_none(), "{gone}");
    }
    assert!(created.get("status").is_none());
    assert_eq!(world.get(&at("w")).await.expect(200), created);
}

#[tokio::test]
async fn an_update_keeps_what_it_leaves_out_and_refuses_what_may_not_change() {
    let world = World::start().await;
    let created = world.create(&widget("w", json!({}))).await.expect(201);
    let mut bare = widget("w", json!({"text": "a"}));
    bare["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"].clone();
    let updated = world.update(&at("w"), &bare).await.expect(200);
    for kept in ["uid", "creationTimestamp"] {
        assert_eq!(updated["metadata"][kept], created["metadata"][kept], "{kept}");
    }
    assert_eq!(updated["metadata"]["generation"], 2);

    let patched = |patch: Value| {
        let (world, path) = (&world, at("w"));
        async move { world.patch(&path, MERGE, &json!({"metadata": patch})).await }
    };
    for (patch, code, message) in [
        (json!({"uid": "x"}), 422, "metadata.uid: Invalid value: \"x\": field is immutable"),
        (
            json!({"deletionTimestamp": "2030-01-02T03:04:05Z"}),
            422,
            "metadata.deletionTimestamp: Invalid value: 2030-01-02 03:04:05 +0000 UTC: field is immutable",
        ),
        (
            json!({"deletionGracePeriodSeconds": 5}),
            422,
            "metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable",
        ),
        (json!({"name": "x"}), 400, "the name of the object (x) does not match the name on the URL (w)"),
        (
            json!({"namespace": "b"}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            json!({"resourceVersion": null}),
            422,
            "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
        ),
        (json!({"resourceVersion": "1"}), 409, "the object has been modified"),
    ] {
        let refused = patched(patch.clone()).await.refused(code);
        assert!(refused.contains(message), "{patch}: {refused}");
    }
    // Changes of these are passed over.
    for patch in [json!({"creationTimestamp": null}), json!({"generation": 9}), json!({"selfLink": "/x"})] {
        let same = patched(patch.clone()).await.expect(200);
        assert_eq!(same["metadata"], updated["metadata"], "{patch}");
    }
    let mut other = updated.clone();
    other["metadata"]["uid"] = "y".into();
    let message = world.update(&at("w"), &other).await.refused(409);
    let uid = updated["metadata"]["uid"].as_str().unwrap();
    assert!(
        message.ends_with(&format!("Precondition failed: UID in precondition: y, UID in object meta: {uid}")),
        "{message}"
    );
}

#[tokio::test]
async fn what_changes_nothing_is_no_write() {
    let world = World::start().await;
    let created = world.create(&widget("w", json!({"text": "a"}))).await.expect(201);
    let same = world.update(&at("w"), &created).await.expect(200);
    assert_eq!(same, created);
    assert_eq!(world.patch(&at("w"), MERGE, &json!({"spec": {"text": "a"}})).await.expect(200), created);
    let old = created["metadata"]["generation"].clone();
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    let labelled = world.patch(&at("w"), MERGE, &labelled).await.expect(200);
    assert_eq!(labelled["metadata"]["generation"], old, "labels are no new generation");
    assert_ne!(labelled["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_write_of_the_status_takes_the_status_alone_and_the_main_one_all_else() {
    let world = World::start().await;
    let created = world.create(&widget("w", json!({"text": "a"}))).await.expect(201);
    let mut wanted = created.clone();
    wanted["spec"]["text"] = "b".into();
    wanted["metadata"]["labels"] = json!({"a": "b"});
    wanted["status"] = json!({"phase": "x"});
    let path = format!("{}/status", at("w"));
    let written = world.update(&path, &wanted).await.expect(200);
    assert_eq!((&written["spec"], &written["status"]), (&created["spec"], &json!({"phase": "x"})));
    assert!(written["metadata"].get("labels").is_none());
    assert_eq!(written["metadata"]["generation"], 1);
    let mut wanted = written.clone();
    wanted["spec"]["text"] = "b".into();
    wanted["status"] = json!({"phase": "y"});
    let updated = world.update(&at("w"), &wanted).await.expect(200);
    assert_eq!(updated["status"], json!({"phase": "x"}), "the status is not taken");
    // What cannot be read is refused wherever it stands: a Go server would have decoded all of it.
    let mut wanted = updated.clone();
    wanted["status"] = json!({"phase": 1});
    let unread = "Widget in version \"v1\" cannot be handled as a Widget: json: cannot unmarshal number into Go struct \
                  field Widget.status.phase of type string";
    assert_eq!(world.update(&at("w"), &wanted).await.refused(400), unread);
    let wrong = json!({"status": {"phase": 1}});
    assert!(world.patch(&path, MERGE, &wrong).await.refused(422).contains("status.phase"));
}

#[tokio::test]
async fn dry_runs_change_nothing() {
    let world = World::start().await;
    let collection = format!("{WIDGETS}?dryRun=All");
    let dry = world.send("POST", &collection, JSON, widget("w", json!({})).to_string());
    let dry = dry.await.expect(201);
    assert!(dry["metadata"]["uid"].is_string() && dry["metadata"].get("resourceVersion").is_none());
    assert_eq!(world.get(&at("w")).await.code, 404);
    let created = world.create(&widget("w", json!({}))).await.expect(201);
    let taken = world.send("POST", &collection, JSON, widget("w", json!({})).to_string());
    assert_eq!(taken.await.refused(409), "widgets.e.org \"w\" already exists");
    let path = format!("{}?dryRun=All", at("w"));
    let patched = world.patch(&path, MERGE, &json!({"spec": {"text": "x"}})).await.expect(200);
    assert_eq!(patched["spec"]["text"], "x");
    assert_eq!(patched["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    assert_eq!(world.get(&at("w")).await.expect(200), created);
}

#[tokio::test]
async fn a_generated_name_is_tried_anew_and_not_for_ever() {
    let world = World::start().await;
    let mut object = widget("", json!({}));
    object["metadata"] = json!({"generateName": "w-"});
    let created = world.create(&object).await.expect(201);
    let name = created["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.len() == 7 && name.starts_with("w-"), "{name}");
    object["metadata"] = json!({"generateName": "x".repeat(80)});
    let long = world.create(&object).await.expect(201);
    assert_eq!(long["metadata"]["name"].as_str().unwrap().len(), 63);

    object["metadata"] = json!({"generateName": "w-", "name": name});
    let refused = world.create(&object).await.expect(409);
    assert_eq!(
        refused["message"],
        format!(
            "widgets.e.org {name:?} already exists, the server was not able to generate a unique name for the object"
        )
    );
    assert_eq!(
        (&refused["reason"], &refused["details"]["retryAfterSeconds"]),
        (&json!("AlreadyExists"), &json!(1))
    );
}

#[tokio::test]
async fn what_stands_in_the_way_may_be_on_its_way_out() {
    let world = World::start().await;
    let mut going = world.create(&widget("w", json!({}))).await.expect(201);
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    going["metadata"]["finalizers"] = json!(["e.org/hold"]);
    going["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let (mut once, key) = (true, key("w"));
    world.store.before_each_write(move || std::mem::take(&mut once).then(|| put(&key, &going)));
    let message = world.create(&widget("w", json!({}))).await.refused(409);
    assert_eq!(message, "object is being deleted: widgets.e.org \"w\" already exists");
    let more = json!({"metadata": {"finalizers": ["e.org/hold", "e.org/more"]}});
    let message = world.patch(&at("w"), MERGE, &more).await.refused(422);
    assert!(message.contains("found new finalizers []string{\"e.org/more\"}"), "{message}");
    world.patch(&at("w"), MERGE, &json!({"metadata": {"finalizers": null}})).await.expect(200);
    assert_eq!(world.get(&at("w")).await.code, 404, "the last hold was let go");
}

#[tokio::test]
async fn an_update_may_make_its_object_where_the_kind_says_so() {
    let strategy = Arc::new(detectviz_server::strategy::Plain);
    let extensions = json!({"allowCreateOnUpdate": true, "allowUnconditionalUpdate": true});
    let world = World::with(Vec::new(), strategy, extensions).await;
    let made = world.update(&at("w"), &widget("w", json!({}))).await.expect(201);
    assert!(made["metadata"]["uid"].is_string());
    world.update(&at("w"), &widget("w", json!({"text": "x"}))).await.expect(200);
    let mut other = widget("v", json!({}));
    other["metadata"]["uid"] = "x".into();
    assert!(world.update(&at("v"), &other).await.refused(409).contains("UID in precondition: x"));
    assert_eq!(world.update(&format!("{}/status", at("v")), &widget("v", json!({}))).await.code, 404);
    let plain = World::start().await;
    assert_eq!(
        plain.update(&at("w"), &widget("w", json!({}))).await.refused(404),
        "widgets.e.org \"w\" not found"
    );
}

#[tokio::test]
async fn an_object_that_does_not_fit_with_its_books_is_stored_without() {
    let world = World::start().await;
    let created = world.create(&widget("w", json!({"text": "x".repeat(100)}))).await.expect(201);
    assert!(created["metadata"]["managedFields"].is_array());
    let mut bare = created.clone();
    bare["metadata"].as_object_mut().unwrap().remove("managedFields");
    *world.store.max.lock().unwrap() = bare.to_string().len() + 20;
    let patch = json!({"spec": {"text": "y".repeat(100)}});
    let written = world.patch(&at("w"), MERGE, &patch).await.expect(200);
    assert!(written["metadata"].get("managedFields").is_none());
    let created = world.create(&widget("v", json!({"text": "x".repeat(100)}))).await.expect(201);
    assert!(created["metadata"].get("managedFields").is_none());
    let patch = json!({"spec": {"text": "y".repeat(1000)}});
    assert_eq!(world.patch(&at("w"), MERGE, &patch).await.code, 413);
}

/// Has something to say of every widget.
struct Talkative;

impl Strategy for Talkative {
    fn normalize(&self, object: &mut Value) {
        object["spec"]["text"] = "normal".into();
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let wrong = object["spec"]["replicas"] == 13;
        let cause = || Cause {
            reason: "FieldValueInvalid".into(),
            message: "Invalid value: 13".into(),
            field: "spec.replicas".into(),
        };
        wrong.then(cause).into_iter().collect()
    }

    fn warnings(&self, _: &Value, old: Option<&Value>) -> Vec<String> {
        vec![if old.is_some() { "changed".to_owned() } else { "made".to_owned() }]
    }
}

#[tokio::test]
async fn a_strategy_warns_of_what_is_valid() {
    let world = World::with(Vec::new(), Arc::new(Talkative), json!({})).await;
    let made = world.create(&widget("w", json!({}))).await;
    assert_eq!(made.warnings, ["299 - \"made\""]);
    assert_eq!(made.expect(201)["spec"]["text"], "normal");
    let changed = world.patch(&at("w"), MERGE, &json!({"spec": {"text": "else"}, "more": 1})).await;
    assert_eq!(changed.warnings, ["299 - \"unknown field \\\"more\\\"\"", "299 - \"changed\""]);
    let refused = world.patch(&at("w"), MERGE, &json!({"spec": {"replicas": 13}})).await;
    assert_eq!((refused.code, refused.warnings.len()), (422, 0));
}

/// Books that are sent are read, and what can be read is not valid for that.
#[tokio::test]
async fn books_that_are_sent_are_held_against_upstreams_rules() {
    let world = World::start().await;
    let mut object = widget("w", json!({"text": "a"}));
    let books = |manager: &str, subresource: &str| {
        json!([{"manager": manager, "operation": "Update", "apiVersion": "e.org/v1", "fieldsType": "FieldsV1",
            "subresource": subresource, "fieldsV1": {"f:spec": {"f:tags": {}}}}])
    };
    let (long, longer, nothing) = ("x".repeat(129), "x".repeat(257), "\t".repeat(100_000));
    for (manager, subresource, fault) in [
        (&*long, "", "metadata.managedFields[0].manager: Too long: may not be more than 128 bytes"),
        ("x", &*longer, "metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes"),
        (
            "a\tb",
            "",
            "metadata.managedFields[0].manager: Invalid value: \"a\\tb\": invalid character U+0009 (at position 1)",
        ),
        (&*nothing, "", "metadata.managedFields[0].manager: Too long"),
    ] {
        object["metadata"]["managedFields"] = books(manager, subresource);
        let refused = world.create(&object).await.refused(422);
        assert!(refused.contains(fault) && refused.len() < 10_000, "{refused:.2000}");
    }
    object["metadata"]["managedFields"] = books("x", "");
    let created = world.create(&object).await.expect(201);
    let patch = json!({"metadata": {"managedFields": books(&long, "")}});
    world.patch(&at("w"), MERGE, &patch).await.refused(422);
    assert_eq!(world.get(&at("w")).await.expect(200), created);
}
