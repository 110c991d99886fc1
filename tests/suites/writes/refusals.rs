//! What create, update and patch refuse, each with its code, reason, message and causes.

use detectviz_tests::variants;
use serde_json::{Value, json};

use super::{APPLY, JSON, JSON_PATCH, MERGE, Refusal, STRATEGIC, refuse};
use crate::support::{API_SERVICES, CONFIG_MAPS, config_map, create};

const NAMESPACE: &str =
    "the namespace of the provided object does not match the namespace sent on the request";
const MODIFIED: &str = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
                        changes to the latest version and try again";
const UNKNOWN: &str = "the body of the request was in an unknown format - accepted media types include: \
                       application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
                       application/apply-patch+yaml";

/// A config map with this metadata.
fn with(metadata: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}).to_string()
}

const CREATES: &[(&str, Refusal<'_>)] = &[
    (r#"{"name": "a"}"#, (409, "AlreadyExists", "configmaps \"a\" already exists", "")),
    (
        r#"{"name": "a", "generateName": "a-"}"#,
        (
            409,
            "AlreadyExists",
            "configmaps \"a\" already exists, the server was not able to generate a unique name for the object",
            "",
        ),
    ),
    (r#"{"name": "b", "namespace": "other"}"#, (400, "BadRequest", NAMESPACE, "")),
    (
        r#"{"name": "b", "resourceVersion": "7"}"#,
        (400, "BadRequest", "resourceVersion should not be set on objects to be created", ""),
    ),
    (
        "{}",
        (
            422,
            "Invalid",
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
            "FieldValueRequired",
        ),
    ),
];

#[test]
fn a_create_is_refused_with_every_cause() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        for (metadata, refusal) in CREATES {
            let body = with(&serde_json::from_str(metadata).unwrap());
            refuse(&admin, "POST", CONFIG_MAPS, (JSON, &body), *refusal);
        }
        for (body, message) in [
            (
                r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}"#,
                "the kind in the data (Secret) does not match the expected kind (ConfigMap)",
            ),
            (
                r#"{"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "b"}}"#,
                "the API version in the data (v2) does not match the expected API version (v1)",
            ),
        ] {
            refuse(&admin, "POST", CONFIG_MAPS, (JSON, body), (400, "BadRequest", message, ""));
        }
        let body = with(&json!({"name": "b"}));
        let missing = (404, "NotFound", "namespaces \"none\" not found", "");
        refuse(&admin, "POST", "/api/v1/namespaces/none/configmaps", (JSON, &body), missing);
    });
}

const UPDATES: &[(&str, Refusal<'_>)] = &[
    (
        r#"{"name": "b"}"#,
        (400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)", ""),
    ),
    (
        "{}",
        (
            400,
            "BadRequest",
            "the name of the object (a based on URL) was undeterminable: name must be provided",
            "",
        ),
    ),
    (
        r#"{"name": "a", "namespace": "b"}"#,
        (
            400,
            "BadRequest",
            "the namespace of the object (b) does not match the namespace on the request (default)",
            "",
        ),
    ),
    (r#"{"name": "a", "resourceVersion": "1"}"#, (409, "Conflict", MODIFIED, "")),
    (
        r#"{"name": "a", "uid": "x"}"#,
        (
            409,
            "Conflict",
            "Operation cannot be fulfilled on configmaps \"a\": Precondition failed: UID in precondition: x, UID in object meta: …",
            "",
        ),
    ),
    (
        r#"{"name": "a", "deletionTimestamp": "2030-01-02T03:04:05Z", "deletionGracePeriodSeconds": 3}"#,
        (
            422,
            "Invalid",
            "ConfigMap \"a\" is invalid: [metadata.deletionTimestamp: Invalid value: 2030-01-02 03:04:05 +0000 UTC: field is \
             immutable, metadata.deletionGracePeriodSeconds: Invalid value: 3: field is immutable]",
            "FieldValueInvalid,FieldValueInvalid",
        ),
    ),
];

#[test]
fn an_update_is_refused_with_every_cause() {
    variants(|server| {
        let admin = server.admin();
        let made = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        for (metadata, refusal) in UPDATES {
            let body = with(&serde_json::from_str(metadata).unwrap());
            refuse(&admin, "PUT", &one, (JSON, &body), *refusal);
        }
        let gone = (404, "NotFound", "configmaps \"gone\" not found", "");
        let body = with(&json!({"name": "gone"}));
        refuse(&admin, "PUT", &format!("{CONFIG_MAPS}/gone"), (JSON, &body), gone);
        let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1."}, "spec": {"version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}});
        let blind = "apiservices.apiregistration.k8s.io \"v1.\" is invalid: metadata.resourceVersion: Invalid value: 0: must be \
                     specified for an update";
        let blind = (422, "Invalid", blind, "FieldValueInvalid");
        refuse(&admin, "PUT", &format!("{API_SERVICES}/v1."), (JSON, &service.to_string()), blind);
        assert_eq!(admin.get(&one).expect(200), made);
    });
}

const REJECTED: Refusal<'_> =
    (422, "Invalid", "the server rejected our request due to an error in our request…", "FieldValueInvalid");
const UNREADABLE: Refusal<'_> = (400, "BadRequest", "error decoding patch: …", "");

const PATCHES: &[(&str, &str, Refusal<'_>)] = &[
    (JSON, "{}", (415, "UnsupportedMediaType", UNKNOWN, "")),
    ("application/apply-patch+cbor", "{}", (415, "UnsupportedMediaType", UNKNOWN, "")),
    (JSON_PATCH, "{}", UNREADABLE),
    (JSON_PATCH, "[", UNREADABLE),
    (JSON_PATCH, r#"[{"op":"test","path":"/data/value","value":"y"}]"#, REJECTED),
    (JSON_PATCH, r#"[{"op":"remove","path":"/data/none"}]"#, REJECTED),
    (MERGE, "[]", UNREADABLE),
    (STRATEGIC, "[]", UNREADABLE),
    (
        STRATEGIC,
        r#"{"$patch":"what"}"#,
        (422, "Invalid", "unable to apply strategic merge patch…", "FieldValueInvalid"),
    ),
    (
        MERGE,
        r#"{"metadata":{"uid":"x"}}"#,
        (
            422,
            "Invalid",
            "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"x\": field is immutable",
            "FieldValueInvalid",
        ),
    ),
    (
        MERGE,
        r#"{"metadata":{"name":"b"}}"#,
        (400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)", ""),
    ),
    (MERGE, r#"{"metadata":{"namespace":"b"}}"#, (400, "BadRequest", NAMESPACE, "")),
    (
        MERGE,
        r#"{"kind":"Secret"}"#,
        (422, "Invalid", " \"\" is invalid: patch: Invalid value: \"{…", "FieldValueInvalid"),
    ),
    (MERGE, r#"{"metadata":{"resourceVersion":"1"}}"#, (409, "Conflict", MODIFIED, "")),
];

#[test]
fn a_patch_is_refused_with_every_cause() {
    variants(|server| {
        let admin = server.admin();
        let made = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let (one, gone) = (format!("{CONFIG_MAPS}/a"), format!("{CONFIG_MAPS}/gone"));
        for (kind, body, refusal) in PATCHES {
            refuse(&admin, "PATCH", &one, (kind, body), *refusal);
        }
        let missing = (404, "NotFound", "configmaps \"gone\" not found", "");
        refuse(&admin, "PATCH", &gone, (MERGE, "{}"), missing);
        let other =
            (400, "BadRequest", "the name of the object (a) does not match the name on the URL (gone)", "");
        let config = config_map("a", "x").to_string();
        refuse(&admin, "PATCH", &format!("{gone}?fieldManager=m"), (APPLY, &config), other);
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
