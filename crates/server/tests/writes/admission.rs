//! Plugins see every write there is, with the object as it is stored beside it, and what they say counts.

use async_trait::async_trait;
use detectviz_api::{Reason, Status, meta};
use detectviz_server::admission::{Admission, Attributes, Operation};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

use crate::support::{APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC, WIDGETS, World, at, gone, key, put, widget};

/// Refuses whatever says `forbidden`, and remembers what it was asked.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<String>>,
    /// Whether to refuse among the mutating plugins already.
    early: bool,
    olds: Mutex<Vec<Value>>,
}

impl Recorder {
    fn judge(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        let says = attributes.object.to_string();
        let replicas = attributes.object.pointer("/spec/replicas").and_then(Value::as_i64);
        if says.contains("forbidden") || replicas == Some(13) {
            return Err(Status::failure(Reason::Forbidden, "not this"));
        }
        Ok(())
    }
}

#[async_trait]
impl Admission for Recorder {
    fn mutates(&self) -> bool {
        false
    }

    async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status> {
        if self.early { self.judge(attributes) } else { Ok(()) }
    }

    async fn validate(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        let info = attributes.info.resource.as_ref().unwrap();
        let dry = if attributes.is_dry_run() { " dry" } else { "" };
        self.seen.lock().unwrap().push(format!(
            "{:?} {}/{}{dry} {} old={}",
            attributes.operation,
            attributes.name(),
            info.subresource,
            attributes.object["kind"].as_str().unwrap_or("-"),
            attributes.old.is_some(),
        ));
        self.olds.lock().unwrap().extend(attributes.old.cloned());
        if self.early { Ok(()) } else { self.judge(attributes) }
    }
}

fn said(recorder: &Recorder) -> Vec<String> {
    std::mem::take(&mut recorder.seen.lock().unwrap())
}

/// A world whose writes a recorder sees.
async fn recorded() -> (Arc<Recorder>, World) {
    let recorder = Arc::new(Recorder::default());
    let world = World::with(
        vec![Arc::clone(&recorder) as Arc<dyn Admission>],
        Arc::new(detectviz_server::strategy::Plain),
        json!({"allowUnconditionalUpdate": true}),
    )
    .await;
    (recorder, world)
}

/// Every way to write a text into a widget, with what plugins are told of it.
fn ways(text: &str) -> Vec<(&'static str, String, &'static str, String, &'static str)> {
    let spec = json!({"spec": {"text": text}});
    let status = json!({"status": {"phase": text}});
    let whole = |name: &str| widget(name, json!({"text": text}));
    let mut with_status = widget("w", json!({}));
    with_status["status"] = status["status"].clone();
    let path = at("w");
    let add = json!([{"op": "add", "path": "/spec/text", "value": text}]);
    let apply = |query: &str| format!("{}?fieldManager=m&force=true{query}", at("w"));
    vec![
        ("POST", WIDGETS.to_owned(), JSON, whole("new").to_string(), "Create new/ Widget old=false"),
        (
            "POST",
            format!("{WIDGETS}?dryRun=All"),
            JSON,
            whole("dry").to_string(),
            "Create dry/ dry Widget old=false",
        ),
        ("PUT", path.clone(), JSON, whole("w").to_string(), "Update w/ Widget old=true"),
        ("PUT", format!("{path}?dryRun=All"), JSON, whole("w").to_string(), "Update w/ dry Widget old=true"),
        ("PATCH", path.clone(), JSON_PATCH, add.to_string(), "Update w/ Widget old=true"),
        ("PATCH", path.clone(), MERGE, spec.to_string(), "Update w/ Widget old=true"),
        ("PATCH", path.clone(), STRATEGIC, spec.to_string(), "Update w/ Widget old=true"),
        ("PATCH", apply(""), APPLY, whole("w").to_string(), "Update w/ Widget old=true"),
        ("PATCH", apply("&dryRun=All"), APPLY, whole("w").to_string(), "Update w/ dry Widget old=true"),
        (
            "PATCH",
            format!("{}?fieldManager=m", at("applied")),
            APPLY,
            whole("applied").to_string(),
            "Create applied/ Widget old=false",
        ),
        ("PUT", format!("{path}/status"), JSON, with_status.to_string(), "Update w/status Widget old=true"),
        ("PATCH", format!("{path}/status"), MERGE, status.to_string(), "Update w/status Widget old=true"),
        (
            "PATCH",
            format!("{path}/status?fieldManager=m&force=true"),
            APPLY,
            with_status.to_string(),
            "Update w/status Widget old=true",
        ),
    ]
}

#[tokio::test]
async fn nothing_is_written_past_a_plugin() {
    for early in [false, true] {
        let recorder = Arc::new(Recorder { early, ..Recorder::default() });
        let world = World::with(
            vec![Arc::clone(&recorder) as Arc<dyn Admission>],
            Arc::new(detectviz_server::strategy::Plain),
            json!({"allowUnconditionalUpdate": true}),
        )
        .await;
        world.create(&widget("w", json!({"replicas": 1}))).await.expect(201);
        let before = world.get(&at("w")).await.expect(200);
        for (method, path, kind, body, told) in ways("forbidden") {
            said(&recorder);
            let message = world.send(method, &path, kind, body).await.refused(403);
            assert_eq!(message, "not this", "{method} {path} {kind}");
            assert_eq!(said(&recorder), if early { vec![] } else { vec![told] }, "{method} {path} {kind}");
        }
        for (method, kind, body) in [
            ("PUT", JSON, json!({"metadata": {"name": "w"}, "spec": {"replicas": 13}})),
            ("PATCH", MERGE, json!({"spec": {"replicas": 13}})),
        ] {
            world.send(method, &format!("{}/scale", at("w")), kind, body.to_string()).await.refused(403);
            let told: Vec<_> = (!early).then_some("Update w/scale Scale old=true").into_iter().collect();
            assert_eq!(said(&recorder), told);
        }
        assert_eq!(world.get(&at("w")).await.expect(200), before);
        for name in ["new", "dry", "applied"] {
            assert_eq!(world.get(&at(name)).await.code, 404);
        }
    }
}

#[tokio::test]
async fn plugins_are_told_of_every_write_that_is_done() {
    let (recorder, world) = recorded().await;
    world.create(&widget("w", json!({}))).await.expect(201);
    for (index, (method, path, kind, body, told)) in ways("x").into_iter().enumerate() {
        said(&recorder);
        // Each writes another text, so that none is done already.
        let body = body.replace("\"x\"", &format!("\"x{index}\""));
        let answer = world.send(method, &path, kind, body).await;
        let created = told.starts_with("Create");
        assert_eq!(answer.code, if created { 201 } else { 200 }, "{method} {path} {kind}: {}", answer.body);
        assert_eq!(said(&recorder), [told], "{method} {path} {kind}");
    }
}

/// Whoever is faster: what plugins compare with is what is replaced (CVE-2021-25735).
#[tokio::test]
async fn the_old_object_is_the_one_that_is_replaced() {
    let (recorder, world) = recorded().await;
    let created = world.create(&widget("w", json!({}))).await.expect(201);
    let kinds = [
        ("PATCH", MERGE, at("w"), json!({"spec": {"text": "mine"}})),
        ("PATCH", STRATEGIC, at("w"), json!({"spec": {"text": "mine again"}})),
        ("PATCH", JSON_PATCH, at("w"), json!([{"op": "add", "path": "/spec/text", "value": "and again"}])),
        ("PATCH", MERGE, format!("{}/status", at("w")), json!({"status": {"phase": "mine"}})),
        ("PATCH", MERGE, format!("{}/scale", at("w")), json!({"spec": {"replicas": 2}})),
        ("PUT", JSON, at("w"), widget("w", json!({"text": "put"}))),
        (
            "PATCH",
            APPLY,
            format!("{}?fieldManager=m&force=true", at("w")),
            widget("w", json!({"text": "applied"})),
        ),
    ];
    for (round, (method, kind, path, body)) in kinds.into_iter().enumerate() {
        recorder.olds.lock().unwrap().clear();
        let (mut left, stored, key) = (5, created.clone(), key("w"));
        world.store.before_each_write(move || {
            left = i32::checked_sub(left, 1).filter(|left| *left >= 0)?;
            let mut theirs = stored.clone();
            theirs["spec"]["tags"] = json!({"theirs": format!("{round}-{left}")});
            theirs["metadata"].as_object_mut().unwrap().remove("resourceVersion");
            Some(put(&key, &theirs))
        });
        let written = world.send(method, &path, kind, body.to_string()).await.expect(200);
        let olds = recorder.olds.lock().unwrap();
        assert_eq!(olds.len(), 6, "{method} {kind}");
        let versions: Vec<u64> =
            olds.iter().map(|old| meta::resource_version(old).parse().unwrap()).collect();
        let written: u64 = meta::resource_version(&written).parse().unwrap();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(versions.last(), Some(&(written - 1)), "nobody wrote in between");
        if olds[5]["kind"] == "Widget" {
            assert_eq!(olds[5]["spec"]["tags"], json!({"theirs": format!("{round}-0")}));
        }
    }
}

#[tokio::test]
async fn who_insists_on_a_version_has_one_try() {
    let world = World::start().await;
    let created = world.create(&widget("w", json!({}))).await.expect(201);
    let (mut once, stored, key) = (true, created.clone(), key("w"));
    world.store.before_each_write(move || {
        let mut theirs = stored.clone();
        theirs["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        std::mem::take(&mut once).then(|| put(&key, &theirs))
    });
    let mut wanted = created.clone();
    wanted["spec"]["text"] = "mine".into();
    let message = world.update(&at("w"), &wanted).await.refused(409);
    assert!(message.ends_with("please apply your changes to the latest version and try again"), "{message}");
    let patch = json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}});
    assert_eq!(world.patch(&at("w"), MERGE, &patch).await.refused(409), message);
}

#[tokio::test]
async fn what_was_deleted_meanwhile_is_not_found_and_no_conflict() {
    for (method, kind, path) in [
        ("PUT", JSON, at("w")),
        ("PATCH", MERGE, at("w")),
        ("PUT", JSON, format!("{}/status", at("w"))),
        ("PATCH", MERGE, format!("{}/scale", at("w"))),
    ] {
        let world = World::start().await;
        let mut wanted = world.create(&widget("w", json!({"replicas": 1}))).await.expect(201);
        wanted["spec"]["replicas"] = 2.into();
        wanted["status"] = json!({"phase": "x"});
        let body = if kind == JSON { wanted } else { json!({"spec": {"replicas": 2}}) };
        let mut once = true;
        world.store.before_each_write(move || std::mem::take(&mut once).then(|| gone(&key("w"))));
        let message = world.send(method, &path, kind, body.to_string()).await.refused(404);
        assert_eq!(message, "widgets.e.org \"w\" not found", "{method} {path}");
    }
}

/// Changes what it sees.
struct Mutator(fn(&mut Value));

#[async_trait]
impl Admission for Mutator {
    async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status> {
        if attributes.operation != Operation::Delete {
            (self.0)(attributes.object);
        }
        Ok(())
    }
}

#[tokio::test]
async fn what_a_plugin_makes_is_defaulted_pruned_and_checked() {
    let world = World::admitting(Arc::new(Mutator(|object| {
        assert_eq!(object["spec"]["color"], "blue", "defaults come before plugins");
        object["spec"].as_object_mut().unwrap().remove("color");
        object["spec"]["more"] = 1.into();
    })))
    .await;
    let created = world.create(&widget("w", json!({}))).await.expect(201);
    assert_eq!(created["spec"], json!({"color": "blue"}));

    let world = World::admitting(Arc::new(Mutator(|object| object["spec"]["color"] = "green".into()))).await;
    let message = world.create(&widget("w", json!({}))).await.refused(422);
    assert!(message.contains("spec.color: Unsupported value: \"green\""), "{message}");

    let world = World::admitting(Arc::new(Mutator(|object| {
        if object["spec"]["text"] == "rename" {
            object["metadata"]["name"] = "other".into();
        }
    })))
    .await;
    world.create(&widget("w", json!({}))).await.expect(201);
    let message = world.patch(&at("w"), MERGE, &json!({"spec": {"text": "rename"}})).await.refused(422);
    assert!(message.contains("metadata.name: Invalid value: \"other\": field is immutable"), "{message}");
}

#[tokio::test]
async fn plugins_change_by_a_write_what_it_takes_and_nothing_else() {
    let world = World::admitting(Arc::new(Mutator(|object| {
        if object["kind"] == "Widget" {
            object["spec"]["text"] = "plugin".into();
            object["metadata"]["labels"] = json!({"by": "plugin"});
            object["status"]["selector"] = "plugin".into();
        }
    })))
    .await;
    let created = world.create(&widget("w", json!({}))).await.expect(201);
    assert_eq!((&created["spec"]["text"], created.get("status")), (&json!("plugin"), None));
    let other = json!({"metadata": {"labels": null}, "spec": {"text": "mine"}, "status": {"phase": "mine"}});
    let updated = world.patch(&at("w"), MERGE, &other).await.expect(200);
    assert_eq!((&updated["spec"]["text"], updated.get("status")), (&json!("plugin"), None));
    let status = world.patch(&format!("{}/status", at("w")), MERGE, &other).await.expect(200);
    assert_eq!(status["status"], json!({"phase": "mine", "selector": "plugin"}));
    assert_eq!(
        (&status["spec"], &status["metadata"]["labels"]),
        (&updated["spec"], &updated["metadata"]["labels"])
    );
}

#[tokio::test]
async fn books_that_a_plugin_damages_are_put_back() {
    let world = World::admitting(Arc::new(Mutator(|object| {
        object["metadata"]["managedFields"] =
            json!([{"manager": "x", "operation": "Guess", "fieldsType": "FieldsV1"}]);
    })))
    .await;
    let answer = world.create(&widget("w", json!({"text": "a"}))).await;
    assert!(answer.warnings[0].contains(".metadata.managedFields was in an invalid state after admission"));
    let created = answer.expect(201);
    let books = &created["metadata"]["managedFields"];
    assert_eq!((&books[0]["manager"], &books[0]["operation"]), (&json!("tester"), &json!("Update")));
}

#[tokio::test]
async fn owners_that_stand_twice_stand_once() {
    let world = World::start().await;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "1"});
    let mut object = widget("w", json!({}));
    object["metadata"]["ownerReferences"] = json!([owner, owner]);
    let answer = world.create(&object).await;
    assert!(answer.warnings[0].contains("duplicate UID(s) observed: 1"), "{:?}", answer.warnings);
    let created = answer.expect(201);
    assert_eq!(created["metadata"]["ownerReferences"], json!([owner]));
    let patch = json!({"metadata": {"ownerReferences": [owner, owner]}});
    let answer = world.patch(&at("w"), MERGE, &patch).await;
    assert!(answer.warnings[0].contains("after mutating admission happens"), "{:?}", answer.warnings);
}

/// Refuses what is stored already.
struct TooLate;

#[async_trait]
impl Admission for TooLate {
    fn mutates(&self) -> bool {
        false
    }

    async fn created(&self, attributes: &Attributes<'_>, revision: u64) -> Result<(), Status> {
        assert!(revision > 0 && attributes.operation == Operation::Create);
        Err(Status::failure(Reason::Forbidden, format!("not {} any more", attributes.name())))
    }
}

#[tokio::test]
async fn what_a_plugin_refuses_once_it_is_stored_is_taken_back() {
    for others in [false, true] {
        let world = World::admitting(Arc::new(TooLate)).await;
        let mut writes = 0;
        world.store.before_each_write(move || {
            writes += 1;
            // Somebody who saw the new object changes it before it is taken back.
            (others && writes == 2).then(|| put(&key("w"), &widget("w", json!({"text": "theirs"}))))
        });
        let created = world.create(&widget("w", json!({}))).await;
        assert_eq!(created.refused(403), "not w any more");
        world.send("GET", &at("w"), JSON, String::new()).await.refused(404);
    }
}
