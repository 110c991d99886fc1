//! Reading objects: in every output format, in pages, chosen, sorted and described.

use super::{cells, labeled, lines};
use crate::support::config_map;
use detectviz_tests::{Line, Server, every_line};
use serde_json::Value;

fn three(server: &Server) {
    labeled(server, "one", "tier=front", "c");
    labeled(server, "two", "tier=front", "b");
    labeled(server, "three", "tier=back", "a");
}

#[test]
fn every_output_format_shows_the_same_objects() {
    every_line(|server| {
        three(&server);
        let get = |format: &str| server.kubectl("get cm -o").arg(format).ok();
        let json: Value = serde_json::from_str(&get("json")).unwrap();
        assert_eq!(crate::support::names(&json), ["one", "three", "two"]);
        assert_eq!(json["items"][0]["data"]["value"], "c");
        let yaml = get("yaml");
        assert!(yaml.contains("kind: ConfigMap") && yaml.contains("    value: c"), "{yaml}");
        assert_eq!(get("name"), "configmap/one\nconfigmap/three\nconfigmap/two");
        assert_eq!(get("jsonpath={.items[*].data.value}"), "c a b");
        assert_eq!(get("jsonpath={.items[?(@.data.value==\"b\")].metadata.name}"), "two");
        assert_eq!(get("jsonpath-as-json={.items[0].data}").replace([' ', '\n'], ""), r#"[{"value":"c"}]"#);
        assert_eq!(
            get("go-template={{range .items}}{{.metadata.name}}={{.data.value}};{{end}}"),
            "one=c;three=a;two=b;"
        );
        let columns = get("custom-columns=NAME:.metadata.name,VALUE:.data.value,NONE:.data.none");
        assert_eq!(
            cells(&columns),
            [["one", "c", "<none>"], ["three", "a", "<none>"], ["two", "b", "<none>"]]
        );
        let wide = get("wide");
        assert_eq!(
            wide.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["NAME", "DATA", "AGE"]
        );
        let one: Value = serde_json::from_str(&server.kubectl("get cm one -o json").ok()).unwrap();
        assert_eq!(one["kind"], "ConfigMap");
        assert_eq!(server.kubectl("get cm one -o jsonpath={.metadata.namespace}").ok(), "default");
        let nothing = server.kubectl("get secrets").run();
        assert_eq!((nothing.code, nothing.stderr.as_str()), (0, "No resources found in default namespace."));
        assert_eq!(server.kubectl("get secrets -o name").ok(), "");
    });
}

#[test]
fn formats_are_read_from_files_too() {
    every_line(|server| {
        three(&server);
        for (format, text, expected) in [
            ("jsonpath-file", "{.items[*].metadata.name}", "one three two"),
            ("go-template-file", "{{len .items}}", "3"),
            (
                "custom-columns-file",
                "NAME VALUE\n.metadata.name .data.value\n",
                "NAME    VALUE\none     c\nthree   a\ntwo     b",
            ),
        ] {
            let file = server.folder().join(format);
            std::fs::write(&file, text).unwrap();
            let shown = server.kubectl("get cm -o").arg(format!("{format}={}", file.display())).ok();
            assert_eq!(shown, expected, "{format}");
        }
    });
}

#[test]
fn labels_are_shown_and_columns_sorted() {
    every_line(|server| {
        three(&server);
        let labels = server.kubectl("get cm --show-labels").ok();
        let last: Vec<_> = cells(&labels).iter().map(|row| *row.last().unwrap()).collect();
        assert_eq!(last, ["tier=front", "tier=back", "tier=front"]);
        let column = server.kubectl("get cm -L tier --no-headers").ok();
        assert!(lines(&column)[1].ends_with("back"), "{column}");
        for (by, expected) in
            [("{.data.value}", ["three", "two", "one"]), (".metadata.name", ["one", "three", "two"])]
        {
            let sorted = server.kubectl("get cm --sort-by").arg(by).ok();
            assert_eq!(cells(&sorted).iter().map(|row| row[0]).collect::<Vec<_>>(), expected, "{by}");
        }
    });
}

#[test]
fn selectors_choose_by_label_and_by_field() {
    every_line(|server| {
        three(&server);
        let get = |selector: &str| server.kubectl("get cm -o name").args(selector).ok();
        for (selector, expected) in [
            ("-l tier=front", &["one", "two"][..]),
            ("-l tier!=front", &["three"]),
            ("-l !tier", &[]),
            ("-l tier|in|(back,none)", &["three"]),
            ("-l tier|notin|(back),tier", &["one", "two"]),
            ("-l tier=front --field-selector metadata.name=two", &["two"]),
            ("--field-selector metadata.name!=one,metadata.name!=two", &["three"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|name| format!("configmap/{name}")).collect();
            assert_eq!(get(selector), expected.join("\n"), "{selector}");
        }
        assert_eq!(
            lines(&server.kubectl("get ns --field-selector status.phase=Active -o name").ok()).len(),
            3
        );
        let refused = server.kubectl("get cm --field-selector data.value=a").fails();
        assert!(refused.contains("\"data.value\" is not a known field selector"), "{refused}");
    });
}

#[test]
fn a_long_list_comes_in_pages() {
    every_line(|server| {
        let admin = server.admin();
        for number in 0..7 {
            let object = config_map(&format!("n{number}"), "x");
            admin.create(crate::support::CONFIG_MAPS, &object).expect(201);
        }
        server.kubectl("get cm -o name").ok();
        for (chunk, pages) in [(3, 3), (7, 1), (500, 1), (0, 1)] {
            let before = super::requests::Answered::so_far(&server);
            let names = server.kubectl(&format!("get cm -o name --chunk-size={chunk}")).ok();
            assert_eq!(lines(&names).len(), 7);
            let lists = super::requests::Answered::since(&server, &before);
            assert_eq!(lists.of("list", 200), pages, "chunks of {chunk}: {lists:?}");
        }
        let table = server.kubectl("get cm --chunk-size=2").ok();
        assert_eq!((table.matches("NAME").count(), cells(&table).len()), (1, 7), "{table}");
    });
}

#[test]
fn several_kinds_and_names_are_got_at_once() {
    every_line(|server| {
        three(&server);
        server.kubectl("create secret generic login --from-literal=a=b").ok();
        let both = server.kubectl("get cm,secrets -o name").ok();
        assert_eq!(lines(&both), ["configmap/one", "configmap/three", "configmap/two", "secret/login"]);
        let named = server.kubectl("get cm/one secret/login -o name").ok();
        assert_eq!(lines(&named), ["configmap/one", "secret/login"]);
        let missing = server.kubectl("get cm one nobody -o name").run();
        assert_eq!((missing.code, missing.stdout.as_str()), (1, "configmap/one"), "{missing}");
        assert_eq!(server.kubectl("get cm nobody --ignore-not-found").ok(), "");
    });
}

#[test]
fn objects_are_described_with_their_events() {
    every_line(|server| {
        three(&server);
        server.kubectl("create secret generic login --from-literal=a=geheim").ok();
        let uid = server.kubectl("get cm one -o jsonpath={.metadata.uid}").ok();
        let event = format!(
            "apiVersion: v1\nkind: Event\nmetadata: {{name: one.1}}\ntype: Warning\nreason: Noted\nmessage: it is so\n\
             involvedObject: {{apiVersion: v1, kind: ConfigMap, namespace: default, name: one, uid: {uid}}}\n"
        );
        server.kubectl("create -f -").stdin(event).ok();
        let one = server.kubectl("describe cm one").ok();
        for part in ["Name:         one", "tier=front", "value:\n----\nc", "Warning  Noted", "it is so"] {
            assert!(one.contains(part), "{part:?} is missing in\n{one}");
        }
        assert!(server.kubectl("describe cm -l tier=back").ok().contains("three"));
        let secret = server.kubectl("describe secret login").ok();
        assert!(secret.contains("a:  6 bytes") && !secret.contains("geheim"), "{secret}");
        let namespace = server.kubectl("describe ns default").ok();
        assert!(namespace.contains("Status:       Active"), "{namespace}");
        let service = server.kubectl("describe apiservice v1.").ok();
        assert!(service.contains("Version Priority:") && service.contains("Available"), "{service}");
        let events = server.kubectl("get events --field-selector reason=Noted").ok();
        assert!(events.contains("configmap/one"), "{events}");
        if server.line() == Line::Current {
            assert!(server.kubectl("events --for configmap/one").ok().contains("it is so"));
        }
    });
}

#[test]
fn raw_paths_are_passed_on() {
    every_line(|server| {
        let raw = |path: &str| server.kubectl("get --raw").arg(path);
        let versions: Value = serde_json::from_str(&raw("/api").ok()).unwrap();
        assert_eq!((&versions["kind"], &versions["versions"][0]), (&"APIVersions".into(), &"v1".into()));
        assert_eq!(raw("/readyz").ok(), "ok");
        let lists: Value = serde_json::from_str(&raw("/api/v1/namespaces?limit=1").ok()).unwrap();
        assert_eq!(lists["items"].as_array().unwrap().len(), 1);
        let missing = raw("/apis/nobody.example").fails();
        assert!(missing.contains("(NotFound)"), "{missing}");
    });
}
