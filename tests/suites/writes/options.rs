//! The options of each verb: what they refuse, and what they bring about.

use detectviz_tests::variants;
use serde_json::json;

use super::{APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC, entry, refuse, send};
use crate::support::{CONFIG_MAPS, config_map, create};

/// A query, and its fault as field, reason and message.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    (
        "dryRun=some",
        "dryRun",
        "FieldValueNotSupported",
        "Unsupported value: \"some\": supported values: \"All\"",
    ),
    (
        "fieldValidation=loose",
        "fieldValidation",
        "FieldValueNotSupported",
        "Unsupported value: \"loose\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
    ),
    (
        "fieldManager=a%07b",
        "fieldManager",
        "FieldValueInvalid",
        "Invalid value: \"a\\u{7}b\": invalid character U+0007 (at position 1)",
    ),
];

#[test]
fn options_are_refused_under_the_name_of_their_kind() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        let body = config_map("a", "y").to_string();
        let long = format!("fieldManager={}", "x".repeat(129));
        let too_long = "Too long: may not be more than 128 bytes";
        let long = (long.as_str(), "fieldManager", "FieldValueTooLong", too_long);
        for (method, path, kind, options) in [
            ("POST", CONFIG_MAPS, JSON, "CreateOptions"),
            ("PUT", &one, JSON, "UpdateOptions"),
            ("PATCH", &one, MERGE, "PatchOptions"),
            ("PATCH", &one, STRATEGIC, "PatchOptions"),
            ("PATCH", &one, JSON_PATCH, "PatchOptions"),
        ] {
            for (query, field, reason, message) in FAULTS.iter().chain([&long]) {
                let body = if kind == JSON_PATCH { "[]" } else { body.as_str() };
                let message = format!("{options}.meta.k8s.io \"\" is invalid: {field}: {message}");
                let refusal = (422, "Invalid", message.as_str(), *reason);
                refuse(&admin, method, &format!("{path}?{query}"), (kind, body), refusal);
            }
        }
        let forced = "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch";
        let forced = (422, "Invalid", forced, "FieldValueForbidden");
        refuse(&admin, "PATCH", &format!("{one}?force=true"), (MERGE, "{}"), forced);
        let both = "PatchOptions.meta.k8s.io \"\" is invalid: [fieldManager: Required value: is required for apply patch, \
                    dryRun: Unsupported value: \"some\": supported values: \"All\"]";
        let both = (422, "Invalid", both, "FieldValueRequired,FieldValueNotSupported");
        refuse(&admin, "PATCH", &format!("{one}?dryRun=some"), (APPLY, &body), both);
    });
}

/// A way to write: method, media type, what is found first, and how a strict server refuses it.
const WAYS: &[(&str, &str, &str, u16, &str)] = &[
    ("POST", JSON, "duplicate field \"data.k\"", 400, STRICT),
    ("PUT", JSON, "duplicate field \"data.k\"", 400, STRICT),
    ("PATCH", MERGE, "duplicate field \"data.k\"", 422, " \"\" is invalid: patch: Invalid value: \"{…"),
    (
        "PATCH",
        STRATEGIC,
        "duplicate field \"data.k\"",
        422,
        " \"\" is invalid: patch: Invalid value: \"map[…",
    ),
    (
        "PATCH",
        JSON_PATCH,
        "json patch duplicate field \"[0].op\"",
        422,
        " \"\" is invalid: patch: Invalid value: \"{…",
    ),
];
const STRICT: &str = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \
                      \"data.k\", unknown field \"more\"";

#[test]
fn unknown_and_double_fields_are_ignored_told_or_refused() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        for (method, kind, found, code, refusal) in WAYS {
            let path = if *method == "POST" { CONFIG_MAPS } else { &one };
            let name = if *method == "POST" { "b" } else { "a" };
            let body = match *kind {
                JSON_PATCH => r#"[{"op":"add","path":"/more","value":1,"op":"add"}]"#.to_owned(),
                _ => format!(r#"{{"metadata":{{"name":"{name}"}},"data":{{"k":"1","k":"2"}},"more":1}}"#),
            };
            let send = |query: &str| send(&admin, method, &format!("{path}?{query}"), kind, &body);
            let status = send("fieldValidation=Strict").expect(*code);
            let message = status["message"].as_str().unwrap();
            assert!(super::fits(message, refusal), "{kind}: {message}");
            assert!(message.ends_with("unknown field \"more\""), "{kind}: {message}");
            let answer = send("fieldValidation=Warn&dryRun=All");
            assert!(answer.code < 300, "{answer}");
            let warned = format!("299 - \"{}\"", found.replace('"', "\\\""));
            assert_eq!(answer.header("warning"), Some(warned.as_str()), "{kind}");
            let answer = send("fieldValidation=Ignore");
            assert!(answer.code < 300 && answer.header("warning").is_none(), "{answer}");
        }
    });
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    variants(|server| {
        let admin = server.admin();
        let one = format!("{CONFIG_MAPS}/a");
        let body = config_map("a", "x").to_string();
        for (method, path, kind) in
            [("POST", CONFIG_MAPS, JSON), ("PATCH", &format!("{one}?fieldManager=m"), APPLY)]
        {
            let dry = format!("{path}{}dryRun=All", if path.contains('?') { '&' } else { '?' });
            let made = send(&admin, method, &dry, kind, &body).expect(201);
            assert!(made["metadata"]["uid"].is_string() && made["metadata"]["resourceVersion"].is_null());
            assert_eq!(admin.get(&one).code, 404);
        }
        let kept = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let update = config_map("a", "y").to_string();
        for (method, path, kind, body) in [
            ("PUT", format!("{one}?dryRun=All"), JSON, update.as_str()),
            ("PATCH", format!("{one}?dryRun=All"), MERGE, r#"{"data":{"value":"y"}}"#),
            ("PATCH", format!("{one}?dryRun=All"), STRATEGIC, r#"{"data":{"value":"y"}}"#),
            (
                "PATCH",
                format!("{one}?dryRun=All"),
                JSON_PATCH,
                r#"[{"op":"replace","path":"/data/value","value":"y"}]"#,
            ),
            ("PATCH", format!("{one}?dryRun=All&fieldManager=m&force=true"), APPLY, &update),
        ] {
            let shown = send(&admin, method, &path, kind, body).expect(200);
            assert_eq!(shown["data"]["value"], "y", "{kind}");
            assert_eq!(shown["metadata"]["resourceVersion"], kept["metadata"]["resourceVersion"], "{kind}");
        }
        assert_eq!(admin.get(&one).expect(200), kept);
    });
}

#[test]
fn the_manager_is_named_or_is_the_client_program() {
    variants(|server| {
        let admin = server.admin();
        let made = |query: &str, agent: &str, name: &str| {
            let path = format!("{CONFIG_MAPS}?{query}");
            let request = admin.request("POST", path).header("User-Agent", agent);
            request.json(&config_map(name, "x")).send().expect(201)
        };
        let named = made("fieldManager=me%20too", "kubectl/v1.36.0", "a");
        let owned = json!({"f:data": {".": {}, "f:value": {}}});
        let me = entry(&named, "me too").unwrap();
        assert_eq!(
            (&me["operation"], &me["apiVersion"], &me["fieldsV1"]),
            (&json!("Update"), &json!("v1"), &owned)
        );
        assert_eq!((&me["fieldsType"], me.get("subresource")), (&json!("FieldsV1"), None));
        assert!(entry(&made("", "kubectl/v1.36.0 (linux/amd64)", "b"), "kubectl").is_some());
        assert!(entry(&made("", "curl", "c"), "curl").is_some());
    });
}
