//! What an answer looks like: objects, tables and metadata, in JSON and YAML, laid out for people, compressed.

use std::io::Read as _;

use detectviz_tests::{Answer, variants};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::accept;
use crate::support::{CONFIG_MAPS, config_map, create, names, version};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// The body, in whichever encoding it is.
fn read(answer: &Answer) -> Value {
    match answer.header("content-type") {
        Some(YAML) => {
            yaml_serde::from_slice(&answer.body).unwrap_or_else(|fault| panic!("{fault}: {answer}"))
        }
        Some(JSON) => answer.json(),
        other => panic!("{other:?}: {answer}"),
    }
}

#[test]
fn every_presentation_has_every_encoding() {
    variants(|server| {
        let admin = server.admin();
        let mut object = config_map("a", "yes");
        object["metadata"]["annotations"] = json!({"text": "a: b\n- c", "on": "1e3"});
        let object = create(&admin, CONFIG_MAPS, &object);
        create(&admin, CONFIG_MAPS, &config_map("b", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        let one_of_two = format!("{CONFIG_MAPS}?limit=1");
        for encoding in [JSON, YAML] {
            let get = |path: &str, presentation: &str| {
                let answer = accept(&admin, path, &format!("{encoding}{presentation}"));
                assert_eq!((answer.code, answer.header("content-type")), (200, Some(encoding)), "{answer}");
                read(&answer)
            };
            assert_eq!(get(&one, ""), object);
            let list = get(CONFIG_MAPS, "");
            assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
            assert_eq!((names(&list), &list["items"][0]), (vec!["a".into(), "b".into()], &object));
            let empty = get(&format!("{CONFIG_MAPS}?labelSelector=none"), "");
            assert_eq!(empty["items"], json!([]));
            for meta in ["v1", "v1beta1"] {
                let table = format!(";as=Table;g=meta.k8s.io;v={meta}");
                let partial = format!(";as=PartialObjectMetadata;g=meta.k8s.io;v={meta}");
                let partial_list = format!(";as=PartialObjectMetadataList;g=meta.k8s.io;v={meta}");
                let api_version = json!(format!("meta.k8s.io/{meta}"));
                let metadata = json!({"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": object["metadata"]});
                assert_eq!(get(&one, &partial), metadata);
                let list = get(&one_of_two, &partial_list);
                assert_eq!(
                    (&list["kind"], &list["apiVersion"]),
                    (&json!("PartialObjectMetadataList"), &api_version)
                );
                assert_eq!(list["items"], json!([metadata]));
                assert_eq!(list["metadata"]["remainingItemCount"], 1);
                for (query, shown) in [
                    ("includeObject=None", Value::Null),
                    ("includeObject=Metadata", metadata.clone()),
                    ("includeObject=Object", object.clone()),
                    ("includeObject=", metadata.clone()),
                ] {
                    for path in [format!("{one}?{query}"), format!("{one_of_two}&{query}")] {
                        let table = get(&path, &table);
                        assert_eq!(
                            (&table["kind"], &table["apiVersion"]),
                            (&json!("Table"), &api_version),
                            "{path}"
                        );
                        assert_eq!(table["columnDefinitions"][0]["name"], "Name");
                        assert_eq!(table["rows"].as_array().unwrap().len(), 1, "{path}");
                        assert_eq!(
                            (&table["rows"][0]["cells"][0], &table["rows"][0]["object"]),
                            (&json!("a"), &shown)
                        );
                        assert!(version(&table) >= version(&object), "{table}");
                    }
                }
            }
        }
    });
}

#[test]
fn a_long_list_is_whole_in_every_form() {
    variants(|server| {
        let admin = server.admin();
        let value = "\u{e4}\"\\\n".repeat(200);
        let expected: Vec<String> = (0..400).map(|number| format!("n{number:03}")).collect();
        for name in &expected {
            create(&admin, CONFIG_MAPS, &config_map(name, &value));
        }
        let plain = admin.get(CONFIG_MAPS);
        assert!(plain.header("content-length").is_none() && plain.body.len() > 300_000);
        assert_eq!(names(&plain.json()), expected);
        // The list's own version moves on with any write to the store: where servers share etcd, each renews a Lease.
        let items = plain.json()["items"].take();
        let same = |list: &Value| assert!(list["items"] == items, "{:?}", names(list));
        same(&read(&accept(&admin, CONFIG_MAPS, YAML)));
        let pretty = admin.get(format!("{CONFIG_MAPS}?pretty=true"));
        same(&pretty.json());
        assert!(pretty.text().starts_with("{\n  \"kind\": \"ConfigMapList\",\n"), "{pretty}");
        let gzip = |path: &str, accept: &str, coding: &str| {
            let request =
                admin.request("GET", path).header("Accept", accept).header("Accept-Encoding", coding);
            request.send()
        };
        for (form, coding) in [(JSON, "gzip"), (YAML, "deflate, gzip;q=0.5")] {
            let answer = gzip(CONFIG_MAPS, form, coding);
            assert_eq!(answer.header("content-encoding"), Some("gzip"), "{coding}");
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
            let mut body = Vec::new();
            GzDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap();
            let list = match form {
                YAML => yaml_serde::from_slice(&body).unwrap(),
                _ => serde_json::from_slice(&body).unwrap(),
            };
            same(&list);
            assert!(answer.body.len() < body.len() / 5, "{} of {}", answer.body.len(), body.len());
        }
        for (path, coding) in [
            (CONFIG_MAPS.to_owned(), "gzip;q=0"),
            (CONFIG_MAPS.to_owned(), "identity"),
            (format!("{CONFIG_MAPS}?limit=50"), "gzip"),
            (format!("{CONFIG_MAPS}/n000"), "gzip"),
        ] {
            let answer = gzip(&path, JSON, coding);
            assert_eq!(
                (answer.header("content-encoding"), answer.header("vary")),
                (None, None),
                "{path} {coding}"
            );
            answer.json();
        }
        create(&admin, CONFIG_MAPS, &config_map("large", &"x".repeat(200_000)));
        let large = gzip(&format!("{CONFIG_MAPS}/large"), JSON, "gzip");
        assert!(large.header("content-encoding") == Some("gzip") && large.body.len() < 5_000);
        let missing = gzip(&format!("{CONFIG_MAPS}/none"), JSON, "gzip");
        assert_eq!(missing.header("content-encoding"), None);
    });
}

#[test]
fn people_get_lines_and_programs_do_not() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        let missing = format!("{CONFIG_MAPS}/none");
        for (query, agent, pretty) in [
            ("", "kubectl/v1.36.0", false),
            ("", "curl/8.5.0", true),
            ("", "Wget/1.21", true),
            ("", "Mozilla/5.0 (X11; Linux x86_64)", true),
            ("?pretty=false", "curl/8.5.0", false),
            ("?pretty=0", "curl/8.5.0", false),
            ("?pretty=true", "kubectl/v1.36.0", true),
            ("?pretty=1", "kubectl/v1.36.0", true),
        ] {
            for path in [&one, CONFIG_MAPS, &missing] {
                let answer =
                    admin.request("GET", format!("{path}{query}")).header("User-Agent", agent).send();
                let text = answer.text();
                assert_eq!(text.starts_with("{\n  \""), pretty, "{path}{query} {agent}: {text}");
                assert_eq!(text.contains('\n'), pretty);
                answer.json();
                assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
            }
        }
        let asked = accept(&admin, &one, "application/json;pretty=1");
        assert!(asked.text().contains("\n  \"metadata\": {\n    \""), "{asked}");
    });
}

#[test]
fn writes_are_read_and_answered_in_yaml() {
    variants(|server| {
        let admin = server.admin();
        let send = |method: &str, path: &str, kind: &str, body: &str| {
            let request = admin.request(method, path).body(kind, body);
            let answer = request.header("Accept", YAML).send();
            (answer.code, answer.header("warning").map(str::to_owned), read(&answer))
        };
        let body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {x: z}, annotations: *l}\ndata:\n  text: |\n    1\n    2\n";
        let (code, warning, made) = send("POST", CONFIG_MAPS, YAML, body);
        assert_eq!((code, warning), (201, None), "{made}");
        assert_eq!(
            (&made["data"]["text"], &made["metadata"]["annotations"]),
            (&json!("1\n2\n"), &json!({"x": "z"}))
        );
        let one = format!("{CONFIG_MAPS}/a");
        let twice = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {k: one, k: two}\nmore: 1\n";
        let (code, warning, changed) = send("PUT", &one, "application/yaml; charset=utf-8", twice);
        assert_eq!((code, &changed["data"]), (200, &json!({"k": "two"})));
        assert!(warning.unwrap().contains("duplicate field \\\"data.k\\\""));
        let (code, _, status) = send("PUT", &format!("{one}?fieldValidation=Strict"), YAML, twice);
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")));
        let message = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: \
                       duplicate field \"data.k\", unknown field \"more\"";
        assert_eq!(status["message"], message);
        let (code, _, patched) =
            send("PATCH", &one, "application/merge-patch+json", r#"{"data":{"k":"three"}}"#);
        assert_eq!((code, &patched["data"]["k"]), (200, &json!("three")));
        let (code, _, gone) = send("DELETE", &one, YAML, "preconditions: {uid: other}\n");
        assert_eq!((code, &gone["reason"]), (409, &json!("Conflict")));
        let (code, _, gone) = send("DELETE", &one, YAML, "kind: DeleteOptions\napiVersion: v1\n");
        assert_eq!((code, &gone["status"]), (200, &json!("Success")));
        let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
        let made =
            admin.request("POST", CONFIG_MAPS).json(&config_map("b", "x")).header("Accept", table).send();
        assert_eq!(made.expect(201)["rows"][0]["cells"][0], "b");
        let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let deleted = admin.request("DELETE", format!("{CONFIG_MAPS}/b")).header("Accept", partial).send();
        assert_eq!(deleted.expect(200)["kind"], "Status");
    });
}

#[test]
fn yaml_that_is_none_or_too_much_is_refused() {
    variants(|server| {
        let admin = server.admin();
        let level =
            |n: usize| format!("l{}: &l{} [{}]\n", n + 1, n + 1, vec![format!("*l{n}"); 10].join(","));
        let bomb = format!("l0: &l0 x\n{}", (0..9).map(level).collect::<String>());
        for (body, code) in [
            ("a: [".to_owned(), 400),
            ("a: !own b".to_owned(), 400),
            ("--- {}\n--- {}\n".to_owned(), 400),
            ("- a\n".to_owned(), 400),
            ("text".to_owned(), 400),
            (bomb, 400),
            ("[".repeat(1_000_000), 400),
            ("- ".repeat(1_000_000), 400),
            ("a: .nan\n".to_owned(), 400),
            (format!("a: {}\n", "x".repeat(4 << 20)), 413),
            ("kind: ConfigMap\nmetadata: {name: a}\ndata: {on: yes}\n".to_owned(), 400),
        ] {
            let answer = admin.request("POST", CONFIG_MAPS).body(YAML, body.clone()).send();
            let start: String = body.chars().take(40).collect();
            assert_eq!(answer.code, code, "{start}: {answer}");
            assert_eq!(answer.json()["kind"], "Status");
        }
        assert_eq!(admin.get(CONFIG_MAPS).expect(200)["items"], json!([]));
    });
}
