//! Changing objects with kubectl: replace, label, annotate, patch, edit, and the client's own memory of what it applied.

use super::{cells, value};
use detectviz_tests::{Line, Server, every_line};
use std::os::unix::fs::PermissionsExt as _;

const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it, labels: {app: web}}\ndata: {a: '1', b: '2'}\n";

fn uid(server: &Server) -> String {
    server.kubectl("get cm it -o jsonpath={.metadata.uid}").ok()
}

/// A script that kubectl runs as editor, with the file as `$1`.
fn editor(server: &Server, script: &str) -> String {
    let path = server.folder().join("editor");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn replace_takes_the_whole_object_and_force_makes_it_anew() {
    every_line(|server| {
        let missing = server.kubectl("replace -f -").stdin(CONFIG).fails();
        assert!(missing.contains("configmaps \"it\" not found"), "{missing}");
        server.kubectl("create -f -").stdin(CONFIG).ok();
        let first = uid(&server);
        let smaller = CONFIG.replace("a: '1', ", "");
        assert_eq!(server.kubectl("replace -f -").stdin(&smaller).ok(), "configmap/it replaced");
        assert_eq!((value(&server, "it", "a"), value(&server, "it", "b")), (String::new(), "2".into()));
        assert_eq!(uid(&server), first);
        let stale = smaller.replace("name: it", "name: it, resourceVersion: '1'");
        let refused = server.kubectl("replace -f -").stdin(&stale).fails();
        assert!(
            refused.contains("the object has been modified; please apply your changes to the latest version"),
            "{refused}"
        );
        let other = smaller.replace("name: it", "name: it, uid: other");
        let refused = server.kubectl("replace -f -").stdin(&other).fails();
        assert!(refused.contains("Precondition failed: UID in precondition: other"), "{refused}");
        server.kubectl("replace --force -f -").stdin(CONFIG).ok();
        assert_ne!(uid(&server), first);
        assert_eq!(value(&server, "it", "a"), "1");
    });
}

#[test]
fn labels_and_annotations_are_set_kept_and_removed() {
    every_line(|server| {
        server.kubectl("create -f -").stdin(CONFIG).ok();
        for (verb, done, shown) in [("label", "labeled", "labels"), ("annotate", "annotated", "annotations")]
        {
            let read = |key: &str| {
                server.kubectl(&format!("get cm it -o jsonpath={{.metadata.{shown}.{key}}}")).ok()
            };
            assert_eq!(
                server.kubectl(&format!("{verb} cm it one=1 two=2")).ok(),
                format!("configmap/it {done}")
            );
            let kept = server.kubectl(&format!("{verb} cm it one=x")).fails();
            assert!(kept.contains("already has a value (1)"), "{kept}");
            server.kubectl(&format!("{verb} cm it one=x --overwrite")).ok();
            server.kubectl(&format!("{verb} cm it two-")).ok();
            assert_eq!((read("one"), read("two")), ("x".into(), String::new()));
            let stale =
                server.kubectl(&format!("{verb} cm it one=y --overwrite --resource-version=1")).fails();
            assert!(stale.contains("the object has been modified"), "{stale}");
            server.kubectl(&format!("{verb} cm -l app=web all=yes")).ok();
            assert_eq!(read("all"), "yes");
        }
        let wrong = server.kubectl("label cm it key=not|valid").args("--overwrite").fails();
        assert!(wrong.contains("not|valid") || wrong.contains("invalid label value"), "{wrong}");
        let listed = server.kubectl("label cm it --list").ok();
        assert!(listed.contains("one=x") && listed.contains("app=web"), "{listed}");
    });
}

#[test]
fn each_type_of_patch_is_applied_or_refused_by_name() {
    every_line(|server| {
        server.kubectl("create -f -").stdin(CONFIG).ok();
        let patch =
            |kind: &str, text: &str| server.kubectl(&format!("patch cm it --type {kind} -p")).arg(text);
        patch(
            "json",
            r#"[{"op":"test","path":"/data/a","value":"1"},{"op":"move","from":"/data/a","path":"/data/c"}]"#,
        )
        .ok();
        assert_eq!((value(&server, "it", "a"), value(&server, "it", "c")), (String::new(), "1".into()));
        let failed = patch("json", r#"[{"op":"test","path":"/data/c","value":"2"}]"#).fails();
        assert!(failed.contains("The request is invalid") && failed.contains("operation 0"), "{failed}");
        patch("merge", r#"{"metadata":{"finalizers":["example.com/a"]},"data":{"c":null}}"#).ok();
        patch("strategic", r#"{"metadata":{"finalizers":["example.com/b"]}}"#).ok();
        let finalizers = server.kubectl("get cm it -o jsonpath={.metadata.finalizers}").ok();
        assert!(finalizers.contains("example.com/a") && finalizers.contains("example.com/b"), "{finalizers}");
        patch(
            "strategic",
            r#"{"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/a","example.com/b"]}}"#,
        )
        .ok();
        let unchanged = patch("merge", r#"{"data":{"b":"2"}}"#).ok();
        assert_eq!(unchanged, "configmap/it patched (no change)");
        let moved = patch("merge", r#"{"metadata":{"name":"other"}}"#).fails();
        assert!(moved.contains("name"), "{moved}");
        let typed = patch("merge", r#"{"data":{"b":2}}"#).fails();
        assert!(typed.contains("data.b") || typed.contains("cannot unmarshal number"), "{typed}");
    });
}

#[test]
fn the_status_is_patched_apart() {
    every_line(|server| {
        if server.line() == Line::Old {
            return;
        }
        server.kubectl("create ns team").ok();
        let condition = r#"{"status":{"conditions":[{"type":"Seen","status":"True"}]}}"#;
        server.kubectl("patch ns team --type merge -p").arg(condition).ok();
        let read = || server.kubectl("get ns team -o jsonpath={.status.conditions[*].type}").ok();
        assert_eq!(read(), "");
        server.kubectl("patch ns team --subresource=status --type merge -p").arg(condition).ok();
        assert_eq!(read(), "Seen");
        assert!(server.kubectl("get ns team --subresource=status").ok().contains("team"));
    });
}

#[test]
fn an_edit_may_be_wrong_without_anything_being_lost() {
    every_line(|server| {
        server.kubectl("create -f -").stdin(CONFIG).ok();
        let edit = |script: &str| server.kubectl("edit cm it").env("EDITOR", &editor(&server, script)).run();
        let nothing = edit("true");
        assert_eq!(nothing.code, 0, "{nothing}");
        assert!(
            nothing.stdout.contains("no changes made") || nothing.stderr.contains("no changes made"),
            "{nothing}"
        );
        let done = edit("sed -i 's/a: \"1\"/a: edited/' \"$1\"");
        assert_eq!((done.code, value(&server, "it", "a")), (0, "edited".into()), "{done}");
        // A refused edit is opened again with the reason; the second time the editor gives up.
        let refused = edit("grep -q 'immutable:' \"$1\" || sed -i 's/^data:/immutable: 3\\ndata:/' \"$1\"");
        assert_ne!(refused.code, 0, "{refused}");
        assert_eq!(value(&server, "it", "a"), "edited");
    });
}

#[test]
fn what_the_client_applied_last_can_be_seen_and_set() {
    every_line(|server| {
        server.kubectl("create -f -").stdin(CONFIG).ok();
        let missing = server.kubectl("apply view-last-applied cm it").run();
        assert_eq!(missing.stdout, "", "{missing}");
        server.kubectl("apply set-last-applied --create-annotation=true -f -").stdin(CONFIG).ok();
        let seen = server.kubectl("apply view-last-applied cm it").ok();
        assert!(seen.contains("b: \"2\""), "{seen}");
        server.kubectl("apply -f -").stdin(CONFIG.replace(", b: '2'", "")).ok();
        assert_eq!(value(&server, "it", "b"), "");
    });
}

#[test]
fn a_dry_run_of_any_verb_leaves_no_trace() {
    every_line(|server| {
        server.kubectl("create -f -").stdin(CONFIG).ok();
        let version = || server.kubectl("get cm it -o jsonpath={.metadata.resourceVersion}").ok();
        let before = version();
        let changed = CONFIG.replace("'1'", "'9'");
        for (arguments, stdin) in [
            ("apply -f -", changed.as_str()),
            ("replace -f -", &changed),
            ("patch cm it --type merge -p {\"data\":{\"a\":\"9\"}}", ""),
            ("label cm it more=yes", ""),
            ("annotate cm it more=yes", ""),
            ("delete cm it", ""),
        ] {
            let shown = server.kubectl(&format!("{arguments} --dry-run=server")).stdin(stdin).run();
            assert_eq!(shown.code, 0, "{shown}");
            // Some commands of some lines do not say it.
            assert!(shown.stdout.contains("(server dry run)") || !arguments.starts_with("apply"), "{shown}");
        }
        server.kubectl("create configmap other --dry-run=server").ok();
        assert_eq!(version(), before);
        let names: Vec<_> =
            cells(&server.kubectl("get cm -l app=web").ok()).iter().map(|row| row[0].to_owned()).collect();
        assert_eq!(names, ["it"]);
        server.kubectl("get cm other").fails();
    });
}

#[test]
fn a_generated_name_is_made_by_the_server() {
    every_line(|server| {
        let manifest = CONFIG.replace("name: it", "generateName: made-");
        let one = server.kubectl("create -f - -o name").stdin(&manifest).ok();
        let two = server.kubectl("create -f - -o name").stdin(&manifest).ok();
        assert!(
            one.starts_with("configmap/made-") && two.starts_with("configmap/made-") && one != two,
            "{one} {two}"
        );
        let applied = server.kubectl("apply -f -").stdin(&manifest).fails();
        assert!(applied.contains("cannot use generate name with apply"), "{applied}");
    });
}
