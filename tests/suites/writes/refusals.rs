//! What create, update and patch refuse, each with its code, reason, message and causes.

use detectviz_tests::variants;
use serde_json::json;

use super::{APPLY, JSON, JSON_PATCH, MERGE, Row, STRATEGIC, refuse};
use crate::support::{API_SERVICES, CONFIG_MAPS, config_map, create};

/// A create of a config map.
fn post(body: &str) -> (&str, &str, &str, &str) {
    ("POST", CONFIG_MAPS, JSON, body)
}

#[test]
fn a_create_is_refused_with_every_cause() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let with =
            |metadata| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}).to_string();
        let (taken, elsewhere) =
            (with(json!({"name": "a"})), with(json!({"name": "b", "namespace": "other"})));
        let (versioned, nameless) = (with(json!({"name": "b", "resourceVersion": "7"})), with(json!({})));
        let generated = with(json!({"name": "a", "generateName": "a-"}));
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}).to_string();
        let newer = json!({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "b"}}).to_string();
        let row = |request, code, reason, message, causes| Row { request, code, reason, message, causes };
        refuse(
            &admin,
            &[
                row(post(&taken), 409, "AlreadyExists", "configmaps \"a\" already exists", &[]),
                row(
                    post(&generated),
                    409,
                    "AlreadyExists",
                    "configmaps \"a\" already exists, the server was not able to generate a unique name for the object",
                    &[],
                ),
                row(
                    post(&elsewhere),
                    400,
                    "BadRequest",
                    "the namespace of the provided object does not match the namespace sent on the request",
                    &[],
                ),
                row(
                    post(&versioned),
                    400,
                    "BadRequest",
                    "resourceVersion should not be set on objects to be created",
                    &[],
                ),
                row(
                    post(&nameless),
                    422,
                    "Invalid",
                    "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
                    &["FieldValueRequired metadata.name: Required value: name or generateName is required"],
                ),
                row(
                    post(&secret),
                    400,
                    "BadRequest",
                    "the kind in the data (Secret) does not match the expected kind (ConfigMap)",
                    &[],
                ),
                row(
                    post(&newer),
                    400,
                    "BadRequest",
                    "the API version in the data (v2) does not match the expected API version (v1)",
                    &[],
                ),
            ],
        );
        let missing = "/api/v1/namespaces/none/configmaps";
        let body = with(json!({"name": "b"}));
        refuse(
            &admin,
            &[row(("POST", missing, JSON, &body), 404, "NotFound", "namespaces \"none\" not found", &[])],
        );
    });
}

#[test]
fn an_update_is_refused_with_every_cause() {
    variants(|server| {
        let admin = server.admin();
        let made = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let uid = made["metadata"]["uid"].as_str().unwrap();
        let one = format!("{CONFIG_MAPS}/a");
        let gone = format!("{CONFIG_MAPS}/gone");
        let with = |change: serde_json::Value| {
            let mut object = config_map("a", "y");
            for (field, value) in change.as_object().unwrap() {
                object["metadata"][field] = value.clone();
            }
            object.to_string()
        };
        let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1."}, "spec": {"version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}});
        let row = |request, code, reason, message, causes| Row { request, code, reason, message, causes };
        let modified = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
                        changes to the latest version and try again";
        refuse(
            &admin,
            &[
                row(
                    ("PUT", &gone, JSON, &with(json!({"name": "gone"}))),
                    404,
                    "NotFound",
                    "configmaps \"gone\" not found",
                    &[],
                ),
                row(
                    ("PUT", &one, JSON, &with(json!({"name": "b"}))),
                    400,
                    "BadRequest",
                    "the name of the object (b) does not match the name on the URL (a)",
                    &[],
                ),
                row(
                    ("PUT", &one, JSON, &with(json!({"name": null}))),
                    400,
                    "BadRequest",
                    "the name of the object (a based on URL) was undeterminable: name must be provided",
                    &[],
                ),
                row(
                    ("PUT", &one, JSON, &with(json!({"namespace": "b"}))),
                    400,
                    "BadRequest",
                    "the namespace of the object (b) does not match the namespace on the request (default)",
                    &[],
                ),
                row(
                    ("PUT", &one, JSON, &with(json!({"resourceVersion": "1"}))),
                    409,
                    "Conflict",
                    modified,
                    &[],
                ),
                row(
                    ("PUT", &one, JSON, &with(json!({"uid": "other"}))),
                    409,
                    "Conflict",
                    &format!(
                        "Operation cannot be fulfilled on configmaps \"a\": Precondition failed: UID in precondition: other, \
                         UID in object meta: {uid}"
                    ),
                    &[],
                ),
                row(
                    (
                        "PUT",
                        &one,
                        JSON,
                        &with(
                            json!({"deletionTimestamp": "2030-01-02T03:04:05Z", "deletionGracePeriodSeconds": 3}),
                        ),
                    ),
                    422,
                    "Invalid",
                    "ConfigMap \"a\" is invalid: [metadata.deletionTimestamp: Invalid value: 2030-01-02 03:04:05 +0000 UTC: field \
                     is immutable, metadata.deletionGracePeriodSeconds: Invalid value: 3: field is immutable]",
                    &[
                        "FieldValueInvalid metadata.deletionTimestamp: Invalid value: 2030-01-02 03:04:05 +0000 UTC: field is immutable",
                        "FieldValueInvalid metadata.deletionGracePeriodSeconds: Invalid value: 3: field is immutable",
                    ],
                ),
                row(
                    ("PUT", &format!("{API_SERVICES}/v1."), JSON, &service.to_string()),
                    422,
                    "Invalid",
                    "apiservices.apiregistration.k8s.io \"v1.\" is invalid: metadata.resourceVersion: Invalid value: 0: must be \
                     specified for an update",
                    &[
                        "FieldValueInvalid metadata.resourceVersion: Invalid value: 0: must be specified for an update",
                    ],
                ),
            ],
        );
        assert_eq!(admin.get(&one).expect(200), made);
    });
}

#[test]
fn a_patch_is_refused_with_every_cause() {
    variants(|server| {
        let admin = server.admin();
        let made = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        let gone = format!("{CONFIG_MAPS}/gone");
        let row = |kind, body, code, reason, message, causes| Row {
            request: ("PATCH", one.as_str(), kind, body),
            code,
            reason,
            message,
            causes,
        };
        let unsupported = "the body of the request was in an unknown format - accepted media types include: \
                           application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
                           application/apply-patch+yaml";
        let rejected = "the server rejected our request due to an error in our request…";
        let uid = "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"x\": field is immutable";
        let config = config_map("a", "x").to_string();
        refuse(
            &admin,
            &[
                row(JSON, "{}", 415, "UnsupportedMediaType", unsupported, &[]),
                row("application/apply-patch+cbor", "{}", 415, "UnsupportedMediaType", unsupported, &[]),
                row(JSON_PATCH, "{}", 400, "BadRequest", "error decoding patch: …", &[]),
                row(JSON_PATCH, "[", 400, "BadRequest", "error decoding patch: …", &[]),
                row(
                    JSON_PATCH,
                    r#"[{"op":"test","path":"/data/value","value":"y"}]"#,
                    422,
                    "Invalid",
                    rejected,
                    &[],
                ),
                row(JSON_PATCH, r#"[{"op":"remove","path":"/data/none"}]"#, 422, "Invalid", rejected, &[]),
                row(MERGE, "[]", 400, "BadRequest", "error decoding patch: …", &[]),
                row(STRATEGIC, "[]", 400, "BadRequest", "error decoding patch: …", &[]),
                row(
                    STRATEGIC,
                    r#"{"$patch":"what"}"#,
                    422,
                    "Invalid",
                    "unable to apply strategic merge patch…",
                    &[],
                ),
                row(
                    MERGE,
                    r#"{"metadata":{"uid":"x"}}"#,
                    422,
                    "Invalid",
                    uid,
                    &["FieldValueInvalid metadata.uid: Invalid value: \"x\": field is immutable"],
                ),
                row(
                    MERGE,
                    r#"{"metadata":{"name":"b"}}"#,
                    400,
                    "BadRequest",
                    "the name of the object (b) does not match the name on the URL (a)",
                    &[],
                ),
                row(
                    MERGE,
                    r#"{"metadata":{"namespace":"b"}}"#,
                    400,
                    "BadRequest",
                    "the namespace of the provided object does not match the namespace sent on the request",
                    &[],
                ),
                row(
                    MERGE,
                    r#"{"kind":"Secret"}"#,
                    422,
                    "Invalid",
                    " \"\" is invalid: patch: Invalid value: …",
                    &["FieldValueInvalid patch: Invalid value: …"],
                ),
                row(
                    MERGE,
                    r#"{"metadata":{"resourceVersion":"1"}}"#,
                    409,
                    "Conflict",
                    "Operation cannot be fulfilled on configmaps \"a\": the object has been modified;…",
                    &[],
                ),
                Row {
                    request: ("PATCH", &gone, MERGE, "{}"),
                    code: 404,
                    reason: "NotFound",
                    message: "configmaps \"gone\" not found",
                    causes: &[],
                },
                Row {
                    request: ("PATCH", &format!("{gone}?fieldManager=m"), APPLY, &config),
                    code: 400,
                    reason: "BadRequest",
                    message: "the name of the object (a) does not match the name on the URL (gone)",
                    causes: &[],
                },
            ],
        );
        assert_eq!(admin.get(&one).expect(200), made);
    });
}

#[test]
fn namespaces_that_are_always_there_stay() {
    variants(|server| {
        let admin = server.admin();
        for name in ["default", "kube-system", "kube-public"] {
            let refusal = admin.delete(format!("/api/v1/namespaces/{name}")).refused(403, "Forbidden");
            let message = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
            assert_eq!(refusal["message"], message);
        }
    });
}
