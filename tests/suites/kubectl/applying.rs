//! Server-side apply with kubectl: conflicts, force, shared fields, and the way from client-side apply and back.

use super::value;
use detectviz_tests::{Line, Server, every_line};
use serde_json::Value;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {a: '1', b: '2'}\n";

fn apply(server: &Server, arguments: &str, manifest: &str) -> detectviz_tests::Kubectl {
    server.kubectl("apply --server-side -f -").args(arguments).stdin(manifest)
}

/// The managers of an object with what they did, such as `kubectl Apply`, in the order of the alphabet.
fn managers(server: &Server, name: &str) -> Vec<String> {
    let get = server.kubectl(&format!("get cm {name} -o json"));
    // The old line shows managed fields always and knows no flag for it.
    let get = if server.line() == Line::Old { get } else { get.args("--show-managed-fields") };
    let object: Value = serde_json::from_str(&get.ok()).unwrap();
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let mut managers: Vec<_> = entries
        .iter()
        .map(|entry| format!("{} {}", text(entry, "manager"), text(entry, "operation")))
        .collect();
    managers.sort();
    managers
}

#[test]
fn a_manifest_is_applied_by_the_server() {
    every_line(|server| {
        let done = "configmap/shared serverside-applied";
        assert_eq!(apply(&server, "", CONFIG).ok(), done);
        assert_eq!(managers(&server, "shared"), ["kubectl Apply"]);
        let version =
            |server: &Server| server.kubectl("get cm shared -o jsonpath={.metadata.resourceVersion}").ok();
        let before = version(&server);
        assert_eq!(apply(&server, "", CONFIG).ok(), done);
        assert_eq!(version(&server), before, "what changes nothing is not written");
        assert_eq!(apply(&server, "", &CONFIG.replace(", b: '2'", ", c: '3'")).ok(), done);
        assert_eq!(value(&server, "shared", "b"), "", "what the manifest no longer says is removed");
        assert_eq!(value(&server, "shared", "c"), "3");
        let dry = apply(&server, "--dry-run=server", CONFIG).ok();
        assert_eq!(dry, "configmap/shared serverside-applied (server dry run)");
        assert_eq!(value(&server, "shared", "b"), "");
    });
}

#[test]
fn a_conflict_names_who_has_the_field_until_it_is_forced() {
    every_line(|server| {
        apply(&server, "--field-manager=one", CONFIG).ok();
        let theirs = CONFIG.replace("'1'", "'x'");
        let conflict = apply(&server, "--field-manager=two", &theirs).fails();
        for part in ["Apply failed with 1 conflict: conflict with \"one\"", ".data.a", "--force-conflicts"] {
            assert!(conflict.contains(part), "{part}: {conflict}");
        }
        assert_eq!(value(&server, "shared", "a"), "1");
        // The same value is no conflict: the field has two managers then.
        apply(&server, "--field-manager=two", CONFIG).ok();
        apply(&server, "--field-manager=two --force-conflicts", &theirs).ok();
        assert_eq!((value(&server, "shared", "a"), value(&server, "shared", "b")), ("x".into(), "2".into()));
        // Who gives up a field that another still has does not remove it.
        let nothing = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n";
        apply(&server, "--field-manager=one", nothing).ok();
        assert_eq!(value(&server, "shared", "b"), "2");
        apply(&server, "--field-manager=two", nothing).ok();
        assert_eq!(value(&server, "shared", "b"), "");
    });
}

#[test]
fn what_was_applied_by_the_client_goes_on_at_the_server() {
    every_line(|server| {
        server.kubectl("apply -f -").stdin(CONFIG).ok();
        assert_eq!(managers(&server, "shared"), ["kubectl-client-side-apply Update"]);
        apply(&server, "", &CONFIG.replace("a: '1', ", "")).ok();
        // Since 1.26 kubectl makes the client-side manager's fields its own, so that they can be given up.
        let given_up = if server.line() == Line::Old { "1" } else { "" };
        assert_eq!(value(&server, "shared", "a"), given_up);
        assert_eq!(value(&server, "shared", "b"), "2");
        assert_eq!(managers(&server, "shared")[0], "kubectl Apply");
        apply(&server, "", &CONFIG.replace("'2'", "'3'")).ok();
        assert_eq!(value(&server, "shared", "b"), "3", "what the client applied is no conflict");
    });
}

#[test]
fn what_was_applied_by_the_server_goes_on_at_the_client() {
    every_line(|server| {
        apply(&server, "", CONFIG).ok();
        server.kubectl("apply -f -").stdin(CONFIG).ok();
        server.kubectl("apply -f -").stdin(CONFIG.replace("'1'", "'3'")).ok();
        assert_eq!(value(&server, "shared", "a"), "3");
        server.kubectl("apply -f -").stdin(CONFIG.replace("a: '1', ", "")).ok();
        assert_eq!(
            (value(&server, "shared", "a"), value(&server, "shared", "b")),
            (String::new(), "2".into())
        );
    });
}

#[test]
fn a_change_by_hand_takes_the_field_over() {
    every_line(|server| {
        apply(&server, "", CONFIG).ok();
        server.kubectl("patch cm shared --type merge -p").arg(r#"{"data":{"a":"hand"}}"#).ok();
        let managers = managers(&server, "shared");
        assert!(
            managers.contains(&"kubectl-patch Update".to_owned()) || server.line() == Line::Old,
            "{managers:?}"
        );
        let conflict = apply(&server, "", CONFIG).fails();
        assert!(conflict.contains("Apply failed with 1 conflict"), "{conflict}");
        apply(&server, "--force-conflicts", CONFIG).ok();
        assert_eq!(value(&server, "shared", "a"), "1");
    });
}

#[test]
fn a_difference_is_shown_before_it_is_applied() {
    every_line(|server| {
        apply(&server, "", CONFIG).ok();
        let changed = CONFIG.replace("'1'", "'3'");
        let difference = server.kubectl("diff --server-side -f -").stdin(&changed).run();
        assert_eq!(difference.code, 1, "{difference}");
        assert!(difference.stdout.contains("-  a: \"1\"\n+  a: \"3\""), "{difference}");
        assert_eq!(server.kubectl("diff --server-side -f -").stdin(CONFIG).run().code, 0);
        assert_eq!(value(&server, "shared", "a"), "1");
    });
}

#[test]
fn unknown_and_doubled_fields_of_what_is_applied_are_told() {
    every_line(|server| {
        let unknown = format!("{CONFIG}dada: {{x: y}}\n");
        let refused = apply(&server, "--validate=true", &unknown).fails();
        assert!(
            refused.contains("unknown field") || refused.contains("field not declared in schema"),
            "{refused}"
        );
        let other = CONFIG.replace("ConfigMap", "ConfigMapp");
        let refused = apply(&server, "", &other).fails();
        assert!(refused.contains("no matches for kind \"ConfigMapp\""), "{refused}");
    });
}
