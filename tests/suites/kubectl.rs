//! What a person does with kubectl of each line, which is strict about a server in ways that nobody writes down.

mod applying;
mod changing;
mod create;
mod events;
mod get;
mod published;
mod requests;
mod waiting;

use detectviz_tests::{Line, Server, every_line};
use std::os::unix::fs::PermissionsExt as _;

const MANIFEST: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: applied, labels: {app: web}}
data: {a: '1', b: '2'}
";

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// A created config map with these labels and one value.
fn labeled(server: &Server, name: &str, labels: &str, value: &str) {
    let create = format!("create configmap {name} --from-literal=value={value}");
    server.kubectl(&create).ok();
    server.kubectl(&format!("label cm {name} {labels}")).ok();
}

/// The cells of a printed table, without its head.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

/// One value of a config map.
fn value(server: &Server, name: &str, key: &str) -> String {
    server.kubectl(&format!("get configmap {name} -o jsonpath={{.data.{key}}}")).ok()
}

#[test]
fn version_speaks_to_the_server() {
    every_line(|server| {
        let version = server.kubectl("version -o json").ok();
        let version: serde_json::Value = serde_json::from_str(&version).unwrap();
        assert_eq!(version["serverVersion"]["major"], "1");
        assert!(version["serverVersion"]["gitVersion"].as_str().unwrap().contains("detectviz"), "{version}");
    });
}

#[test]
fn the_system_namespaces_are_there_from_the_start() {
    every_line(|server| {
        let table = server.kubectl("get ns").ok();
        assert_eq!(
            table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["NAME", "STATUS", "AGE"]
        );
        let rows: Vec<_> = cells(&table).iter().map(|row| (row[0], row[1])).collect();
        assert_eq!(rows, [("default", "Active"), ("kube-public", "Active"), ("kube-system", "Active")]);
        let refused = server.kubectl("delete ns default").fails();
        assert!(refused.contains("may not be deleted"), "{refused}");
    });
}

#[test]
fn create_and_get_in_every_output() {
    every_line(|server| {
        assert_eq!(server.kubectl("create namespace team").ok(), "namespace/team created");
        let created = server.kubectl("-n team create configmap one --from-literal=a=1 --from-literal=b=2");
        assert_eq!(created.ok(), "configmap/one created");
        let table = server.kubectl("-n team get cm").ok();
        assert_eq!(
            table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["NAME", "DATA", "AGE"]
        );
        assert_eq!(&cells(&table)[0][..2], ["one", "2"]);
        assert!(server.kubectl("-n team get cm one -o wide").ok().contains("DATA"));
        assert_eq!(server.kubectl("-n team get cm -o name").ok(), "configmap/one");
        let yaml = server.kubectl("-n team get cm one -o yaml").ok();
        assert!(yaml.contains("kind: ConfigMap") && yaml.contains("  a: \"1\""), "{yaml}");
        let json = server.kubectl("-n team get cm one -o json").ok();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["data"], serde_json::json!({"a": "1", "b": "2"}));
        assert!(server.kubectl("get cm -A").ok().contains("team"));
        let missing = server.kubectl("-n team get cm two").fails();
        assert_eq!(missing, "Error from server (NotFound): configmaps \"two\" not found");
        let twice = server.kubectl("-n team create configmap one").fails();
        assert!(twice.contains("configmaps \"one\" already exists"), "{twice}");
    });
}

#[test]
fn create_secret_keeps_its_values_out_of_the_table() {
    every_line(|server| {
        let created = server.kubectl("create secret generic login --from-literal=password=geheim").ok();
        assert_eq!(created, "secret/login created");
        let table = server.kubectl("get secret login").ok();
        assert_eq!(&cells(&table)[0][..3], ["login", "Opaque", "1"]);
        let encoded = server.kubectl("get secret login -o jsonpath={.data.password}").ok();
        assert_eq!(encoded, "Z2VoZWlt");
    });
}

#[test]
fn apply_creates_then_changes_then_leaves_alone() {
    every_line(|server| {
        let apply = |manifest: &str| server.kubectl("apply -f -").stdin(manifest).ok();
        assert_eq!(apply(MANIFEST), "configmap/applied created");
        assert_eq!(apply(MANIFEST), "configmap/applied unchanged");
        let changed = MANIFEST.replace("a: '1', b: '2'", "a: '3'");
        assert_eq!(apply(&changed), "configmap/applied configured");
        assert_eq!(value(&server, "applied", "a"), "3");
        assert_eq!(value(&server, "applied", "b"), "", "what the manifest no longer says is removed");
        assert_eq!(server.kubectl("diff -f -").stdin(&changed).run().code, 0);
        let difference = server.kubectl("diff -f -").stdin(MANIFEST).run();
        assert_eq!(difference.code, 1, "{difference}");
        assert!(difference.stdout.contains("-  a: \"3\"\n+  a: \"1\"\n+  b: \"2\""), "{difference}");
        assert_eq!(value(&server, "applied", "a"), "3", "a diff changes nothing");
    });
}

#[test]
fn unknown_fields_are_refused_or_warned_about() {
    every_line(|server| {
        let manifest = MANIFEST.replace("\ndata:", "\ndada: {x: y}\ndata:");
        let refused = server.kubectl("apply -f -").stdin(&manifest).fails();
        assert!(refused.contains("unknown field \"dada\""), "{refused}");
        server.kubectl("get cm applied").fails();
        if server.line() == Line::Old {
            // It does not say how strict the server should be, and is warned then.
            let warned = server.kubectl("apply --validate=false -f -").stdin(&manifest).run();
            assert_eq!(
                (warned.code, warned.stderr.as_str()),
                (0, "Warning: unknown field \"dada\""),
                "{warned}"
            );
            return;
        }
        let warned = server.kubectl("apply --validate=warn -f -").stdin(&manifest).run();
        assert_eq!(warned.code, 0, "{warned}");
        assert!(warned.stderr.contains("Warning: unknown field \"dada\""), "{warned}");
        let ignored = server.kubectl("apply --validate=ignore -f -").stdin(&manifest).run();
        assert_eq!((ignored.code, ignored.stderr.as_str()), (0, ""), "{ignored}");
    });
}

#[test]
fn edit_label_annotate_and_patch_change_an_object() {
    every_line(|server| {
        server.kubectl("create configmap it --from-literal=a=1 --from-literal=b=2").ok();
        let editor = server.folder().join("editor");
        std::fs::write(&editor, "#!/bin/sh\nsed -i 's/a: \"1\"/a: edited/' \"$1\"\n").unwrap();
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        let edited = server.kubectl("edit configmap it").env("EDITOR", &editor.to_string_lossy()).ok();
        assert_eq!(edited, "configmap/it edited");
        assert_eq!(value(&server, "it", "a"), "edited");
        assert_eq!(server.kubectl("label cm it app=web").ok(), "configmap/it labeled");
        assert_eq!(server.kubectl("annotate cm it note=x").ok(), "configmap/it annotated");
        for (kind, patch, key, expected) in [
            ("merge", r#"{"data":{"b":null,"c":"3"}}"#, "c", "3"),
            ("json", r#"[{"op":"replace","path":"/data/c","value":"4"}]"#, "c", "4"),
            ("strategic", r#"{"data":{"d":"5"}}"#, "d", "5"),
        ] {
            let patched = server.kubectl(&format!("patch cm it --type {kind} -p {patch}")).ok();
            assert_eq!(patched, "configmap/it patched", "{kind}");
            assert_eq!(value(&server, "it", key), expected, "{kind}");
        }
        assert_eq!(value(&server, "it", "b"), "");
        let json = server.kubectl("get cm it -o json").ok();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let metadata = &json["metadata"];
        assert_eq!(
            (metadata["labels"]["app"].as_str(), metadata["annotations"]["note"].as_str()),
            (Some("web"), Some("x"))
        );
    });
}

#[test]
fn a_dry_run_on_the_server_changes_nothing() {
    every_line(|server| {
        let shown = server.kubectl("create configmap ghost --dry-run=server").ok();
        assert_eq!(shown, "configmap/ghost created (server dry run)");
        server.kubectl("get cm ghost").fails();
    });
}

#[test]
fn deleting_a_namespace_empties_it() {
    every_line(|server| {
        server.kubectl("create namespace doomed").ok();
        server.kubectl("-n doomed create configmap one").ok();
        server.kubectl("-n doomed create secret generic two").ok();
        // Returns when the namespace is gone, which is after what is in it.
        server.kubectl("delete namespace doomed --timeout=60s").ok();
        let left = server.kubectl("get cm,secrets -A -o name").ok();
        assert_eq!(left, "");
        let refused = server.kubectl("-n doomed create configmap three").fails();
        assert!(refused.contains("namespaces \"doomed\" not found"), "{refused}");
    });
}

/// What `get -o yaml` of several prints is a `List`, which kubectl validates by OpenAPI v2 alone.
#[test]
fn what_was_saved_as_a_list_can_be_applied_again() {
    every_line(|server| {
        server.kubectl("create configmap one --from-literal=a=1").ok();
        server.kubectl("create configmap two --from-literal=a=2").ok();
        let saved = server.kubectl("get configmaps -o yaml --chunk-size=1").ok();
        server.kubectl("delete configmaps --all").ok();
        let saved =
            saved.lines().filter(|line| !line.contains("resourceVersion: \"") && !line.contains("uid:"));
        server.kubectl("apply -f -").stdin(saved.collect::<Vec<_>>().join("\n") + "\n").ok();
        assert_eq!(server.kubectl("get configmaps -o name").ok(), "configmap/one\nconfigmap/two");
        let gadget = "apiVersion: v1\nkind: Gadget\nmetadata: {name: g}\n";
        let unknown = server.kubectl("apply -f -").stdin(gadget).fails();
        assert!(unknown.contains("no matches for kind \"Gadget\""), "{unknown}");
    });
}
