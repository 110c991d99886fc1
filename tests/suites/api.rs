//! The API itself, byte by byte where clients depend on it.

use detectviz_tests::variants;
use serde_json::{Value, json};

use crate::support::{API_SERVICES, CONFIG_MAPS, config_map, create, names, version};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

#[test]
fn health_pages_have_the_form_that_probes_read() {
    variants(|server| {
        let client = server.anonymous();
        for page in ["livez", "readyz", "healthz"] {
            let plain = client.get(format!("/{page}"));
            assert_eq!((plain.code, plain.text().as_str()), (200, "ok"));
            let verbose = client.get(format!("/{page}?verbose"));
            assert!(verbose.text().contains("[+]ping ok\n"), "{verbose}");
            assert!(verbose.text().ends_with(&format!("{page} check passed\n")), "{verbose}");
            assert_eq!(client.get(format!("/{page}/ping")).code, 200);
            client.get(format!("/{page}/nothing")).refused(404, "NotFound");
        }
        assert!(client.get("/readyz?verbose").text().contains("[+]watch-cache ok\n"));
    });
}

#[test]
fn version_metrics_and_status_are_pages() {
    variants(|server| {
        let version = server.anonymous().get("/version").expect(200);
        assert_eq!(version["major"], "1");
        let admin = server.admin();
        server.user("jane-the-secret", None).get(CONFIG_MAPS).refused(403, "Forbidden");
        let metrics = admin.get("/metrics").text();
        assert!(metrics.contains("apiserver_request_total{"), "{metrics}");
        // The server's own certificates have names, and one is the administrator's.
        let of_requests =
            metrics.lines().filter(|line| !line.starts_with("apiserver_certificate_expiration"));
        for line in of_requests {
            for identity in ["jane-the-secret", "admin\"", "system:masters"] {
                assert!(!line.contains(identity), "a label tells who asks: {identity}\n{line}");
            }
        }
        let page = admin.get("/statusz").text();
        assert!(page.contains(&format!("Edition: {}", server.edition())), "{page}");
        let status = admin.request("GET", "/statusz").header("Accept", "application/json").send().expect(200);
        assert_eq!(status["edition"], server.edition().name());
    });
}

#[test]
fn discovery_has_both_forms_and_they_agree() {
    variants(|server| {
        let admin = server.admin();
        assert_eq!(admin.get("/api").expect(200)["versions"], json!(["v1"]));
        let groups = admin.get("/apis").expect(200);
        assert_eq!(groups["kind"], "APIGroupList");
        let aggregated = |path: &str| {
            let answer = admin.request("GET", path).header("Accept", AGGREGATED).send();
            assert_eq!(answer.header("content-type"), Some(AGGREGATED));
            let list = answer.expect(200);
            assert_eq!(list["apiVersion"], "apidiscovery.k8s.io/v2");
            list["items"].as_array().unwrap().clone()
        };
        let named = |list: &[Value], key: &[&str]| -> Vec<String> {
            let read = |item: &Value| key.iter().fold(item.clone(), |value, key| value[*key].clone());
            list.iter().map(|item| read(item).as_str().unwrap_or_default().to_owned()).collect()
        };
        let new = aggregated("/apis");
        assert_eq!(
            named(groups["groups"].as_array().unwrap(), &["name"]),
            named(&new, &["metadata", "name"])
        );
        let core = &aggregated("/api")[0]["versions"][0];
        let legacy = admin.get("/api/v1").expect(200);
        let whole: Vec<&Value> = legacy["resources"].as_array().unwrap().iter().collect();
        for resource in core["resources"].as_array().unwrap() {
            let same = whole.iter().find(|legacy| legacy["name"] == resource["resource"]).unwrap();
            assert_eq!(
                (&same["verbs"], &same["kind"]),
                (&resource["verbs"], &resource["responseKind"]["kind"])
            );
        }
        assert!(whole.iter().any(|resource| resource["name"] == "namespaces/finalize"), "{legacy}");
        admin.get("/apis/none.example.com").refused(404, "NotFound");
    });
}

#[test]
fn openapi_documents_have_tags_and_say_what_kubectl_asks() {
    variants(|server| {
        let admin = server.admin();
        let index = admin.get("/openapi/v3").expect(200);
        for path in ["api/v1", "apis/apiregistration.k8s.io/v1"] {
            let url = index["paths"][path]["serverRelativeURL"].as_str().unwrap();
            assert!(url.starts_with(&format!("/openapi/v3/{path}?hash=")), "{url}");
            let document = admin.get(url);
            let tag = document.header("etag").unwrap().to_owned();
            assert_eq!(document.expect(200)["openapi"], "3.0.0");
            let again = admin.request("GET", url).header("If-None-Match", &tag).send();
            assert_eq!((again.code, again.body.len()), (304, 0));
        }
        let core = admin.get("/openapi/v3/api/v1").expect(200);
        let patch = &core["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-action"], "patch");
        assert_eq!(
            patch["x-kubernetes-group-version-kind"],
            json!({"group": "", "version": "v1", "kind": "ConfigMap"})
        );
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"), "{patch}");
        admin.get("/openapi/v3/apis/none.example.com/v1").refused(404, "NotFound");
    });
}

#[test]
fn a_failure_is_a_status_that_says_what_it_is_about() {
    variants(|server| {
        let admin = server.admin();
        let missing = admin.get(format!("{CONFIG_MAPS}/none")).refused(404, "NotFound");
        assert_eq!(missing["message"], "configmaps \"none\" not found");
        assert_eq!(missing["details"], json!({"name": "none", "kind": "configmaps"}));
        create(&admin, CONFIG_MAPS, &config_map("one", "x"));
        let taken = admin.create(CONFIG_MAPS, &config_map("one", "y")).refused(409, "AlreadyExists");
        assert_eq!(taken["message"], "configmaps \"one\" already exists");
        let invalid = admin.create(CONFIG_MAPS, &config_map("Not A Name", "x")).refused(422, "Invalid");
        assert_eq!(invalid["details"]["causes"][0]["field"], "metadata.name");
        let no_name = admin.create(CONFIG_MAPS, &json!({"apiVersion": "v1", "kind": "ConfigMap"}));
        no_name.refused(422, "Invalid");
        let wrong = admin.create(CONFIG_MAPS, &json!({"apiVersion": "v1", "kind": "Secret"}));
        wrong.refused(400, "BadRequest");
    });
}

#[test]
fn what_was_written_is_read_at_once() {
    variants(|server| {
        let admin = server.admin();
        let path = format!("{CONFIG_MAPS}/one");
        let mut last = create(&admin, CONFIG_MAPS, &config_map("one", "0"));
        for round in 1..50 {
            let mut object = last.clone();
            object["data"]["value"] = round.to_string().into();
            let written = admin.update(&path, &object).expect(200);
            assert!(version(&written) > version(&last));
            let read = admin.get(&path).expect(200);
            assert_eq!(read, written);
            let list = admin.get(CONFIG_MAPS).expect(200);
            assert_eq!(list["items"], json!([written_in_list(&written, &list)]));
            assert!(version(&list) >= version(&written));
            last = written;
        }
        let stale = admin.update(&path, &config_with_version(1)).refused(409, "Conflict");
        assert!(stale["message"].as_str().unwrap().contains("the object has been modified"), "{stale}");
    });
}

/// Upstream's items name no kind, ours may.
fn written_in_list(written: &Value, list: &Value) -> Value {
    let mut expected = written.clone();
    if list["items"][0].get("kind").is_none() {
        expected.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
    }
    expected
}

fn config_with_version(version: u64) -> Value {
    let mut object = config_map("one", "stale");
    object["metadata"]["resourceVersion"] = version.to_string().into();
    object
}

#[test]
fn of_updates_of_one_version_exactly_one_wins() {
    variants(|server| {
        let admin = server.admin();
        let mut object = create(&admin, CONFIG_MAPS, &config_map("one", "0"));
        for round in 0..10 {
            let codes: Vec<u16> = std::thread::scope(|scope| {
                let update = |writer: usize| {
                    let (admin, mut object) = (&admin, object.clone());
                    object["data"]["value"] = format!("{round}-{writer}").into();
                    scope.spawn(move || admin.update(format!("{CONFIG_MAPS}/one"), &object).code)
                };
                let writers: Vec<_> = (0..4).map(update).collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).collect()
            });
            let count = |code: u16| codes.iter().filter(|have| **have == code).count();
            assert_eq!((count(200), count(409)), (1, 3), "{codes:?}");
            object = admin.get(format!("{CONFIG_MAPS}/one")).expect(200);
        }
    });
}

#[test]
fn lists_are_selected_by_labels_and_fields() {
    variants(|server| {
        let admin = server.admin();
        for (name, tier) in [("a", "front"), ("b", "front"), ("c", "back")] {
            let mut object = config_map(name, "x");
            object["metadata"]["labels"] = json!({"tier": tier});
            create(&admin, CONFIG_MAPS, &object);
        }
        for (query, expected) in [
            ("labelSelector=tier%3Dfront", ["a", "b"].as_slice()),
            ("labelSelector=tier+in+(back,none)", &["c"]),
            ("labelSelector=tier!%3Dfront", &["c"]),
            ("labelSelector=!tier", &[]),
            ("fieldSelector=metadata.name%3Db", &["b"]),
            ("labelSelector=tier%3Dfront&fieldSelector=metadata.name!%3Da", &["b"]),
        ] {
            assert_eq!(names(&admin.get(format!("{CONFIG_MAPS}?{query}")).expect(200)), expected, "{query}");
        }
        admin.get(format!("{CONFIG_MAPS}?labelSelector=a%3D%3D%3Db")).refused(400, "BadRequest");
        admin.get(format!("{CONFIG_MAPS}?fieldSelector=data.value%3Dx")).refused(400, "BadRequest");
    });
}

#[test]
fn tables_are_what_printing_clients_ask_for() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("one", "x"));
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let table = admin.request("GET", CONFIG_MAPS).header("Accept", accept).send().expect(200);
        assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
        let columns: Vec<_> =
            table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
        assert_eq!(columns, ["Name", "Data", "Age"]);
        let row = &table["rows"][0];
        assert_eq!((&row["cells"][0], &row["cells"][1]), (&json!("one"), &json!(1)));
        assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    });
}

/// A length-delimited field of a protobuf message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 128, "one byte of length is all that this test writes");
    [&[number << 3 | 2, length], bytes].concat()
}

/// `k8s\0` and an `Unknown`: type (1) with apiVersion (1) and kind (2), and the object (2).
fn envelope(kind: &str, object: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &type_meta), field(2, object)].concat()
}

#[test]
fn a_protobuf_body_is_read_by_its_field_numbers() {
    variants(|server| {
        let admin = server.admin();
        // ConfigMap: metadata (1) with name (1); data (2), a map of key (1) and value (2); binaryData (3).
        let metadata = field(1, &field(1, b"proto"));
        let data = field(2, &[field(1, b"a"), field(2, "\u{e4}".as_bytes())].concat());
        let binary = field(3, &[field(1, b"b"), field(2, &[0, 255])].concat());
        let body = envelope("ConfigMap", &[metadata, data, binary].concat());
        let request = admin.request("POST", CONFIG_MAPS).body(PROTOBUF, body);
        // What client-go says: protobuf if you can, else JSON.
        let accept = "application/vnd.kubernetes.protobuf,application/json";
        let created = request.header("Accept", accept).send().expect(201);
        assert_eq!(created["data"], json!({"a": "\u{e4}"}));
        assert_eq!(created["binaryData"], json!({"b": "AP8="}));
        assert_eq!(created["metadata"]["namespace"], "default");
        let delete = |options: &[u8]| {
            let body = envelope("DeleteOptions", options);
            admin.request("DELETE", format!("{CONFIG_MAPS}/proto")).body(PROTOBUF, body).send()
        };
        // DeleteOptions: preconditions (2) with uid (1).
        delete(&field(2, &field(1, b"another"))).refused(409, "Conflict");
        assert_eq!(delete(&[]).expect(200)["status"], "Success");
        let cut = admin.request("POST", CONFIG_MAPS).body(PROTOBUF, b"k8s\0\x0a\x7f".as_slice()).send();
        cut.refused(400, "BadRequest");
    });
}

#[test]
fn a_new_namespace_takes_objects_at_once() {
    variants(|server| {
        let admin = server.admin();
        for number in 0..50 {
            let name = format!("team-{number}");
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            create(&admin, "/api/v1/namespaces", &namespace);
            create(&admin, &format!("/api/v1/namespaces/{name}/configmaps"), &config_map("one", "x"));
        }
    });
}

#[test]
fn a_generated_name_is_completed() {
    variants(|server| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}});
        let made = create(&server.admin(), CONFIG_MAPS, &object);
        let name = made["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("made-") && name.len() == "made-".len() + 5, "{name}");
    });
}

#[test]
fn object_and_status_are_written_apart() {
    variants(|server| {
        let admin = server.admin();
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1.apart.example.com"}, "status": {"conditions": [condition("AtCreation")]},
            "spec": {"group": "apart.example.com", "version": "v1", "groupPriorityMinimum": 1000,
                "versionPriority": 15, "insecureSkipTLSVerify": true,
                "service": {"namespace": "default", "name": "nobody", "port": 443}},
        });
        create(&admin, API_SERVICES, &service);
        let path = format!("{API_SERVICES}/v1.apart.example.com");
        let patch = |path: &str| {
            let patch = json!({"metadata": {"annotations": {"in": path}}, "status": {"conditions": [condition("Patched")]}});
            let request = admin.request("PATCH", path);
            request.body("application/merge-patch+json", patch.to_string()).send().expect(200)
        };
        // Not all of them: a controller writes its own.
        let has = |object: &Value, kind: &str| object["status"].to_string().contains(kind);
        let written = patch(&path);
        assert_eq!(written["metadata"]["annotations"]["in"], path.as_str());
        assert!(!has(&written, "AtCreation") && !has(&written, "Patched"), "{written}");
        let status = patch(&format!("{path}/status"));
        assert_eq!(status["metadata"]["annotations"]["in"], path.as_str(), "{status}");
        assert!(has(&status, "Patched"), "{status}");
    });
}

fn condition(kind: &str) -> Value {
    json!({"type": kind, "status": "True", "reason": "Set", "message": "", "lastTransitionTime": "2020-01-01T00:00:00Z"})
}

#[test]
fn an_object_that_is_being_deleted_takes_no_new_finalizers() {
    variants(|server| {
        let admin = server.admin();
        let mut held = config_map("held", "x");
        held["metadata"]["finalizers"] = json!(["example.com/hold"]);
        create(&admin, CONFIG_MAPS, &held);
        let path = format!("{CONFIG_MAPS}/held");
        let marked = admin.delete(&path).expect(200);
        assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
        let mut more = marked.clone();
        more["metadata"]["finalizers"] = json!(["example.com/hold", "example.com/more"]);
        let refused = admin.update(&path, &more).refused(422, "Invalid");
        assert_eq!(refused["details"]["causes"][0]["field"], "metadata.finalizers");
        let mut released = marked;
        released["metadata"]["finalizers"] = json!([]);
        admin.update(&path, &released).expect(200);
        admin.get(&path).refused(404, "NotFound");
    });
}

#[test]
fn a_create_says_no_version_and_an_update_of_version_0_is_unconditional() {
    variants(|server| {
        let admin = server.admin();
        let mut object = config_map("one", "1");
        object["metadata"]["resourceVersion"] = "7".into();
        admin.create(CONFIG_MAPS, &object).refused(400, "BadRequest");
        object["metadata"]["resourceVersion"] = "0".into();
        create(&admin, CONFIG_MAPS, &object);
        object["data"]["value"] = "2".into();
        assert_eq!(admin.update(format!("{CONFIG_MAPS}/one"), &object).expect(200)["data"]["value"], "2");
    });
}

#[test]
fn the_root_lists_where_things_are() {
    variants(|server| {
        let listed = server.admin().get("/").expect(200);
        let paths = listed["paths"].as_array().unwrap();
        for path in ["/api/v1", "/apis/apiregistration.k8s.io/v1", "/openapi/v3", "/readyz"] {
            assert!(paths.contains(&json!(path)), "{listed}");
        }
        server.anonymous().get("/").refused(403, "Forbidden");
    });
}

/// What clients of a dynamic language rely on: bodies that leave out what the path says, and paths with a slash behind.
#[test]
fn what_other_clients_rely_on_works() {
    variants(|server| {
        let admin = server.admin();
        let bare = json!({"metadata": {"name": "bare"}, "data": {"a": "1"}});
        let created = admin.create(CONFIG_MAPS, &bare).expect(201);
        assert_eq!((&created["apiVersion"], &created["kind"]), (&json!("v1"), &json!("ConfigMap")));
        let mut other = bare;
        other["kind"] = "Secret".into();
        admin.create(CONFIG_MAPS, &other).refused(400, "BadRequest");
        for page in
            ["/version/", "/api/", "/api/v1/", "/apis/", "/apis/apiregistration.k8s.io/v1/", "/livez/"]
        {
            assert_eq!(admin.get(page).code, 200, "{page}");
        }
        let head = admin.request("HEAD", format!("{CONFIG_MAPS}/bare")).send();
        assert_eq!((head.code, head.text().as_str()), (200, ""));
        assert!(head.header("content-length").is_some_and(|length| length != "0"));
        admin.get(format!("{CONFIG_MAPS}?limit=abc")).refused(400, "BadRequest");
    });
}

#[test]
fn pages_are_one_snapshot() {
    variants(|server| {
        let admin = server.admin();
        for name in ["a", "b", "c", "d", "e"] {
            create(&admin, CONFIG_MAPS, &config_map(name, "1"));
        }
        let first = admin.get(format!("{CONFIG_MAPS}?limit=2")).expect(200);
        assert_eq!(
            (names(&first), &first["metadata"]["remainingItemCount"]),
            (vec!["a".into(), "b".into()], &json!(3))
        );
        create(&admin, CONFIG_MAPS, &config_map("bb", "2"));
        admin.delete(format!("{CONFIG_MAPS}/d")).expect(200);
        let page = |token: &Value| {
            let token = token.as_str().expect("the page is not the last");
            admin.get(format!("{CONFIG_MAPS}?limit=2&continue={token}")).expect(200)
        };
        let second = page(&first["metadata"]["continue"]);
        let third = page(&second["metadata"]["continue"]);
        assert_eq!((names(&second), names(&third)), (vec!["c".into(), "d".into()], vec!["e".to_owned()]));
        assert!(third["metadata"].get("continue").is_none(), "{third}");
        for later in [&second, &third] {
            assert_eq!(later["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        }
        assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), ["a", "b", "bb", "c", "e"]);
        let then = &first["metadata"]["resourceVersion"].as_str().unwrap();
        let exact = format!("{CONFIG_MAPS}?resourceVersionMatch=Exact&resourceVersion={then}");
        assert_eq!(names(&admin.get(exact).expect(200)), ["a", "b", "c", "d", "e"]);
        let selected =
            admin.get(format!("{CONFIG_MAPS}?limit=1&fieldSelector=metadata.name!%3Da")).expect(200);
        assert_eq!(names(&selected), ["b"]);
        assert!(selected["metadata"]["continue"].is_string(), "{selected}");
        for bad in ["continue=x", "continue=e30", "limit=some"] {
            admin.get(format!("{CONFIG_MAPS}?{bad}")).refused(400, "BadRequest");
        }
    });
}
