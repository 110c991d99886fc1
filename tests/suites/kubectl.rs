//! What a person does with kubectl, which is strict about a server in ways that nobody writes down.

use detectviz_tests::{Server, variants};
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
    variants(|server| {
        let version = server.kubectl("version -o json").ok();
        let version: serde_json::Value = serde_json::from_str(&version).unwrap();
        assert_eq!(version["serverVersion"]["major"], "1");
        assert!(version["serverVersion"]["gitVersion"].as_str().unwrap().contains("detectviz"), "{version}");
    });
}

#[test]
fn discovery_lists_resources_with_short_names_and_versions() {
    variants(|server| {
        let resources = server.kubectl("api-resources --no-headers").ok();
        for expected in [
            ["configmaps", "cm", "v1", "true", "ConfigMap"].as_slice(),
            &["namespaces", "ns", "v1", "false", "Namespace"],
            &["events", "ev", "v1", "true", "Event"],
            &["secrets", "v1", "true", "Secret"],
            &["apiservices", "apiregistration.k8s.io/v1", "false", "APIService"],
            &["externalnames", "service.grafana.app/v0alpha1", "true", "ExternalName"],
            &["dataplaneservices", "aggregation.grafana.app/v0alpha1", "false", "DataPlaneService"],
            &["datasources", "ds", "datasource.detectviz.io/v0alpha1", "true", "DataSource"],
        ] {
            let mut rows = resources.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            assert!(rows.any(|row| row == expected), "no {expected:?} in\n{resources}");
        }
        let versions = server.kubectl("api-versions").ok();
        let expected = [
            "aggregation.grafana.app/v0alpha1",
            "apiregistration.k8s.io/v1",
            "datasource.detectviz.io/v0alpha1",
            "service.grafana.app/v0alpha1",
            "v1",
        ];
        assert_eq!(lines(&versions), expected);
    });
}

#[test]
fn the_system_namespaces_are_there_from_the_start() {
    variants(|server| {
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
    variants(|server| {
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
    variants(|server| {
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
    variants(|server| {
        let apply = |manifest: &str| server.kubectl("apply -f -").stdin(manifest).ok();
        assert_eq!(apply(MANIFEST), "configmap/applied created");
        assert_eq!(apply(MANIFEST), "configmap/applied unchanged");
        let changed = MANIFEST.replace("a: '1', b: '2'", "a: '3'");
        assert_eq!(apply(&changed), "configmap/applied configured");
        assert_eq!(value(&server, "applied", "a"), "3");
        assert_eq!(value(&server, "applied", "b"), "", "what the manifest no longer says is removed");
        let difference = server.kubectl("diff -f -").stdin(MANIFEST).run();
        assert_eq!(difference.code, 1, "{difference}");
    });
}

#[test]
fn unknown_fields_are_refused_or_warned_about() {
    variants(|server| {
        let manifest = MANIFEST.replace("\ndata:", "\ndada: {x: y}\ndata:");
        let refused = server.kubectl("apply -f -").stdin(&manifest).fails();
        assert!(refused.contains("unknown field \"dada\""), "{refused}");
        server.kubectl("get cm applied").fails();
        let warned = server.kubectl("apply --validate=warn -f -").stdin(&manifest).run();
        assert_eq!(warned.code, 0, "{warned}");
        assert!(warned.stderr.contains("Warning: unknown field \"dada\""), "{warned}");
        let ignored = server.kubectl("apply --validate=ignore -f -").stdin(&manifest).run();
        assert_eq!((ignored.code, ignored.stderr.as_str()), (0, ""), "{ignored}");
    });
}

#[test]
fn edit_label_annotate_and_patch_change_an_object() {
    variants(|server| {
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
fn selectors_choose_by_label_and_by_field() {
    variants(|server| {
        for name in ["one", "two", "three"] {
            server.kubectl(&format!("create configmap {name}")).ok();
        }
        server.kubectl("label cm one two tier=front").ok();
        let get = |selector: &str| server.kubectl(&format!("get cm -o name {selector}")).ok();
        assert_eq!(lines(&get("-l tier=front")), ["configmap/one", "configmap/two"]);
        assert_eq!(get("-l !tier"), "configmap/three");
        assert_eq!(get("-l tier=front --field-selector metadata.name=two"), "configmap/two");
        assert_eq!(get("--field-selector metadata.name!=one,metadata.name!=two"), "configmap/three");
    });
}

#[test]
fn a_watch_shows_what_is_added_and_deleted() {
    variants(|server| {
        server.kubectl("create configmap first").ok();
        let mut watch = server.kubectl("get cm -w -o name --output-watch-events=false").start();
        assert_eq!(watch.next_line().unwrap(), "configmap/first");
        server.kubectl("create configmap second").ok();
        assert_eq!(watch.next_line().unwrap(), "configmap/second");
        let mut table = server.kubectl("get cm -w").start();
        assert!(table.next_line().unwrap().starts_with("NAME"));
        assert!(table.next_line().unwrap().starts_with("first"));
        assert!(table.next_line().unwrap().starts_with("second"));
        server.kubectl("create configmap third --from-literal=a=1").ok();
        let row = table.next_line().unwrap();
        assert_eq!(&row.split_whitespace().collect::<Vec<_>>()[..2], ["third", "1"]);
    });
}

#[test]
fn wait_for_delete_returns_once_it_is_gone() {
    variants(|server| {
        server.kubectl("create configmap doomed").ok();
        let mut waiting = server.kubectl("wait --for=delete configmap/doomed --timeout=60s").start();
        let deleted = server.kubectl("delete cm doomed").ok();
        assert!(deleted.starts_with("configmap \"doomed\" deleted"), "{deleted}");
        assert_eq!(waiting.code(), 0, "{:?}", waiting.errors());
        server.kubectl("get cm doomed").fails();
    });
}

#[test]
fn explain_reads_the_published_schema() {
    variants(|server| {
        let explained = server.kubectl("explain configmap").ok();
        assert!(explained.contains("KIND:       ConfigMap"), "{explained}");
        assert!(explained.contains("binaryData"), "{explained}");
        let field = server.kubectl("explain apiservice.spec.caBundle").ok();
        assert!(field.contains("FIELD: caBundle"), "{field}");
    });
}

#[test]
fn a_dry_run_on_the_server_changes_nothing() {
    variants(|server| {
        let shown = server.kubectl("create configmap ghost --dry-run=server").ok();
        assert_eq!(shown, "configmap/ghost created (server dry run)");
        server.kubectl("get cm ghost").fails();
    });
}

#[test]
fn deleting_a_namespace_empties_it() {
    variants(|server| {
        server.kubectl("create namespace doomed").ok();
        server.kubectl("-n doomed create configmap one").ok();
        server.kubectl("-n doomed create secret generic two").ok();
        // Returns when the namespace is gone, which is after what is in it.
        server.kubectl("delete namespace doomed --timeout=60s").ok();
        assert_eq!(server.kubectl("get cm,secrets -A -o name").ok(), "");
        let refused = server.kubectl("-n doomed create configmap three").fails();
        assert!(refused.contains("namespaces \"doomed\" not found"), "{refused}");
    });
}

/// What `get -o yaml` of several prints is a `List`, which kubectl validates by OpenAPI v2 alone.
#[test]
fn what_was_saved_as_a_list_can_be_applied_again() {
    variants(|server| {
        server.kubectl("create configmap one --from-literal=a=1").ok();
        server.kubectl("create configmap two --from-literal=a=2").ok();
        let saved = server.kubectl("get configmaps -o yaml --chunk-size=1").ok();
        server.kubectl("delete configmaps --all").ok();
        let saved =
            saved.lines().filter(|line| !line.contains("resourceVersion: \"") && !line.contains("uid:"));
        server.kubectl("apply -f -").stdin(saved.collect::<Vec<_>>().join("\n") + "\n").ok();
        assert_eq!(server.kubectl("get configmaps -o name").ok(), "configmap/one\nconfigmap/two");
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n";
        let unknown = server.kubectl("apply -f -").stdin(pod).fails();
        assert!(unknown.contains("no matches for kind \"Pod\""), "{unknown}");
    });
}
