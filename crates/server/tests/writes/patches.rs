//! The patch types: what each takes, and what each refuses in which words.

use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{APPLY, Answer, JSON, JSON_PATCH, MERGE, STRATEGIC, World, at, widget};

/// How a configuration of a widget begins.
const HEAD: &str = "apiVersion: e.org/v1\nkind: Widget\n";

/// The answer to an apply of `body` to the widget `w`, with what `query` adds.
async fn apply(world: &World, query: &str, body: &str) -> Answer {
    world.send("PATCH", &format!("{}?fieldManager=m{query}", at("w")), APPLY, body.to_owned()).await
}

#[tokio::test]
async fn each_type_has_its_media_type() {
    let world = World::start().await;
    world.create(&widget("w", json!({}))).await.expect(201);
    let built_in = "the body of the request was in an unknown format - accepted media types include: \
                    application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
                    application/apply-patch+yaml";
    for kind in [JSON, "application/yaml", "application/apply-patch+cbor", ""] {
        assert_eq!(world.patch(&at("w"), kind, &json!({})).await.refused(415), built_in, "{kind}");
    }
    let strategy = Arc::new(detectviz_server::strategy::Plain);
    let custom = World::with(Vec::new(), strategy, json!({"custom": true})).await;
    custom.create(&widget("w", json!({}))).await.expect(201);
    for path in [at("w"), format!("{}/scale", at("w"))] {
        let refused = custom.patch(&path, STRATEGIC, &json!({})).await.refused(415);
        assert_eq!(
            refused,
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        );
    }
    custom.patch(&at("w"), MERGE, &json!({"spec": {"text": "x"}})).await.expect(200);
}

/// A refusal's code, reason, message and its causes as `reason field: message`.
fn read(status: &Value) -> (u64, &str, &str, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let causes = causes.map(|cause| {
        format!("{} {}: {}", text(&cause["reason"]), text(&cause["field"]), text(&cause["message"]))
    });
    (
        status["code"].as_u64().unwrap(),
        status["reason"].as_str().unwrap_or_default(),
        status["message"].as_str().unwrap_or_default(),
        causes.collect(),
    )
}

#[tokio::test]
async fn unknown_and_double_fields_of_a_patch_are_told_or_refused() {
    let world = World::start().await;
    world.create(&widget("w", json!({}))).await.expect(201);
    for (kind, body, warnings) in [
        (MERGE, r#"{"spec": {"more": 1}}"#, vec!["unknown field \"spec.more\""]),
        (
            MERGE,
            r#"{"spec": {"text": "a", "text": "b", "more": 1}}"#,
            vec!["duplicate field \"spec.text\"", "unknown field \"spec.more\""],
        ),
        (STRATEGIC, r#"{"spec": {"more": 1}}"#, vec!["unknown field \"spec.more\""]),
        (
            JSON_PATCH,
            r#"[{"op": "add", "path": "/spec/more", "value": 1, "extra": 2}]"#,
            vec!["json patch unknown field \"[0].extra\"", "unknown field \"spec.more\""],
        ),
    ] {
        let warned = world.send("PATCH", &at("w"), kind, body).await;
        let expected: Vec<String> =
            warnings.iter().map(|text| format!("299 - \"{}\"", text.replace('"', "\\\""))).collect();
        assert_eq!((warned.code, &warned.warnings), (200, &expected), "{body}: {}", warned.body);
        let ignored = world.send("PATCH", &format!("{}?fieldValidation=Ignore", at("w")), kind, body).await;
        assert_eq!((ignored.code, ignored.warnings.len()), (200, 0), "{body}");
        let strict = format!("{}?fieldValidation=Strict", at("w"));
        let status = world.send("PATCH", &strict, kind, body).await.expect(422);
        let (_, reason, message, causes) = read(&status);
        assert_eq!(reason, "Invalid");
        assert!(message.starts_with(" \"\" is invalid: patch: Invalid value: "), "{message}");
        assert!(causes[0].starts_with("FieldValueInvalid patch: Invalid value: "), "{causes:?}");
        let end = format!("strict decoding error: {}", warnings.join(", "));
        assert!(causes[0].ends_with(&end), "{causes:?}");
        if kind == STRATEGIC {
            assert!(message.contains("\"map[spec:map[more:1]]\""), "{message}");
        }
    }
}

#[tokio::test]
async fn a_patch_leaves_an_object_of_its_kind_and_name() {
    let world = World::start().await;
    let before = world.create(&widget("w", json!({}))).await.expect(201);
    for (body, code, reason, part) in [
        (
            json!({"kind": "Gadget"}),
            422,
            "Invalid",
            "the kind in the data (Gadget) does not match the expected kind (Widget)",
        ),
        (
            json!({"apiVersion": "e.org/v2"}),
            422,
            "Invalid",
            "the API version in the data (e.org/v2) does not match the expected API version (e.org/v1)",
        ),
        (json!({"kind": null}), 422, "Invalid", "Object 'Kind' is missing"),
        (json!({"metadata": 1}), 422, "Invalid", "metadata"),
        (
            json!({"metadata": {"name": null}}),
            400,
            "BadRequest",
            "the name of the object (w based on URL) was undeterminable: name must be provided",
        ),
        (json!([]), 400, "BadRequest", "error decoding patch"),
        (json!({"spec": {"color": "green"}}), 422, "Invalid", "spec.color: Unsupported value: \"green\""),
    ] {
        let status = world.patch(&at("w"), MERGE, &body).await.expect(code);
        let (_, found, message, _) = read(&status);
        assert_eq!(found, reason, "{body}");
        assert!(message.contains(part), "{body}: {message}");
    }
    assert_eq!(world.get(&at("w")).await.expect(200), before);
    assert_eq!(world.patch(&at("v"), MERGE, &json!({})).await.refused(404), "widgets.e.org \"v\" not found");
}

#[tokio::test]
async fn options_are_those_of_the_verb() {
    let world = World::start().await;
    world.create(&widget("w", json!({}))).await.expect(201);
    for (method, kind, query, message) in [
        (
            "PUT",
            JSON,
            "dryRun=x",
            "UpdateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"x\"",
        ),
        (
            "PATCH",
            MERGE,
            "force=true",
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
        ),
        (
            "PATCH",
            APPLY,
            "",
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ),
    ] {
        let path = format!("{}?{query}", at("w"));
        let refused = world.send(method, &path, kind, widget("w", json!({})).to_string()).await.refused(422);
        assert!(refused.starts_with(message), "{refused}");
    }
}

#[tokio::test]
async fn a_configuration_is_read_and_held_against_its_path() {
    let world = World::start().await;
    for (body, code, message) in [
        ("a: [".to_owned(), 400, "error decoding YAML: "),
        ("[]".to_owned(), 400, "error decoding YAML: "),
        (
            "kind: Widget\nmetadata: {name: w}\n".to_owned(),
            400,
            "Incorrect version specified in apply patch. Specified patch version: , expected: e.org/v1",
        ),
        (
            "apiVersion: e.org/v1\nkind: Gadget\nmetadata: {name: w}\n".to_owned(),
            400,
            "the kind in the data (Gadget) does not match the expected kind (Widget)",
        ),
        (
            format!("{HEAD}metadata: {{name: v}}\n"),
            400,
            "the name of the object (v) does not match the name on the URL (w)",
        ),
        (
            format!("{HEAD}spec: {{}}\n"),
            400,
            "the name of the object (w based on URL) was undeterminable: name must be provided",
        ),
        (
            format!("{HEAD}metadata: {{name: w, namespace: b}}\n"),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            format!("{HEAD}metadata: {{name: w, uid: x}}\n"),
            409,
            "Operation cannot be fulfilled on widgets.e.org \"w\": uid mismatch: the provided object specified uid x, and no existing object was found",
        ),
        (
            format!("{HEAD}metadata: {{name: w, managedFields: []}}\n"),
            400,
            "metadata.managedFields must be nil",
        ),
    ] {
        let refused = apply(&world, "", &body).await.refused(code);
        assert!(refused.starts_with(message), "{body}: {refused}");
    }
}

#[tokio::test]
async fn a_configuration_may_say_something_twice_and_be_json() {
    let world = World::start().await;
    let twice = format!("{HEAD}metadata: {{name: w}}\nspec: {{text: a, text: b}}\n");
    let refused = apply(&world, "&fieldValidation=Strict", &twice).await.refused(400);
    assert_eq!(refused, "error strict decoding YAML: duplicate field \"spec.text\"");
    let made = apply(&world, "", &twice).await;
    assert_eq!(made.warnings, ["299 - \"duplicate field \\\"spec.text\\\"\""]);
    let made = made.expect(201);
    assert_eq!(made["spec"], json!({"text": "b", "color": "blue"}));
    let json = widget("w", json!({"text": "b"})).to_string();
    assert_eq!(apply(&world, "", &json).await.expect(200), made, "JSON is YAML, and nothing changed");
    let stale = format!("{HEAD}metadata: {{name: w, resourceVersion: '1'}}\nspec: {{text: c}}\n");
    let refused = apply(&world, "", &stale).await.refused(409);
    assert!(refused.contains("the object has been modified"), "{refused}");
    assert_eq!(
        world
            .send(
                "PATCH",
                &format!("{}/status?fieldManager=m", at("v")),
                APPLY,
                widget("v", json!({})).to_string()
            )
            .await
            .code,
        404,
        "a subresource makes no object"
    );
}

/// What a write takes is held against the schema, and what it does not take is not.
#[tokio::test]
async fn a_status_is_checked_where_it_is_written() {
    let world = World::start().await;
    let created = world.create(&widget("w", json!({}))).await.expect(201);
    let path = format!("{}/status", at("w"));
    let status = |replicas: i64| json!({"status": {"replicas": replicas}});
    let mut whole = created.clone();
    whole["status"] = json!({"replicas": -1});
    let mut config = widget("w", json!({}));
    config["status"] = json!({"replicas": -1});
    let program = json!([{"op": "add", "path": "/status", "value": {"replicas": -1}}]);
    let applied = format!("{path}?fieldManager=m");
    for (method, path, kind, body) in [
        ("PUT", &path, JSON, &whole),
        ("PATCH", &path, MERGE, &status(-1)),
        ("PATCH", &path, STRATEGIC, &status(-1)),
        ("PATCH", &path, JSON_PATCH, &program),
        ("PATCH", &applied, APPLY, &config),
    ] {
        let refused = world.send(method, path, kind, body.to_string()).await.expect(422);
        assert_eq!(refused["details"]["causes"][0]["field"], "status.replicas", "{method} {kind}: {refused}");
    }
    assert_eq!(world.get(&at("w")).await.expect(200), created);
    // Each takes its own part, so that faults of the other are none of it.
    let kept = world.patch(&at("w"), MERGE, &status(-1)).await.expect(200);
    assert_eq!(kept.get("status"), None);
    let other = json!({"spec": {"color": "green"}, "status": {"replicas": 1}});
    let written = world.patch(&path, MERGE, &other).await.expect(200);
    assert_eq!((&written["spec"], &written["status"]), (&created["spec"], &json!({"replicas": 1})));
}
