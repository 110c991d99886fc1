//! The life of an object: what the server owns of it from the first write to the last, and what leaves no trace.

use detectviz_tests::{Answer, Client, variants};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

use crate::support::{CONFIG_MAPS, DATAPLANE_SERVICES, config_map, create, names, version};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const NEW_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const SOURCES: &str = "/apis/datasource.detectviz.io/v0alpha1/namespaces/default/datasources";
const MERGE_PATCH: &str = "application/merge-patch+json";

fn patch(client: &Client, path: &str, body: &Value) -> Answer {
    client.request("PATCH", path).body(MERGE_PATCH, body.to_string()).send()
}

fn path(name: &str) -> String {
    format!("{CONFIG_MAPS}/{name}")
}

/// A kind as it may be updated.
struct Kind {
    collection: &'static str,
    object: Value,
    /// Whether an update may leave out the version that it assumes.
    unconditional: bool,
    /// Whether an update of what is not there creates it.
    creates: bool,
}

fn kinds() -> Vec<Kind> {
    let event = json!({"involvedObject": {"namespace": "default", "name": "m"}, "reason": "r"});
    let new_event = json!({
        "regarding": {"namespace": "default"}, "reason": "r", "action": "a", "type": "Normal", "reportingController": "c",
        "reportingInstance": "i", "eventTime": "2026-01-01T00:00:00.000000Z",
    });
    let kind =
        |collection, object, unconditional, creates| Kind { collection, object, unconditional, creates };
    vec![
        kind(CONFIG_MAPS, json!({"data": {"a": "b"}}), true, false),
        kind(SECRETS, json!({"stringData": {"a": "b"}}), true, false),
        kind(SOURCES, json!({"spec": {"type": "t", "url": "http://127.0.0.1:1"}}), false, false),
        kind(LEASES, json!({"spec": {"holderIdentity": "a"}}), false, true),
        kind(EVENTS, event, true, true),
        kind(NEW_EVENTS, new_event, true, true),
    ]
}

fn named(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["name"] = name.into();
    object
}

#[test]
fn what_the_server_owns_cannot_be_sent() {
    variants(|server| {
        let admin = server.admin();
        let forged = json!({
            "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 5, "selfLink": "/here", "generation": 9,
        });
        let mut object = config_map("a", "x");
        object["metadata"].as_object_mut().unwrap().extend(forged.as_object().unwrap().clone());
        let before = SystemTime::now() - Duration::from_secs(2);
        let created = create(&admin, CONFIG_MAPS, &object);
        let metadata = &created["metadata"];
        let uid = metadata["uid"].as_str().unwrap();
        assert!(uid.len() == 36 && uid.matches('-').count() == 4, "{created}");
        let made = metadata["creationTimestamp"].as_str().unwrap();
        let since = humantime(made);
        assert!(since >= before && since <= SystemTime::now(), "{made}");
        for absent in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
            assert!(metadata.get(absent).is_none(), "{absent}: {created}");
        }
        let mut changed = object.clone();
        changed["data"]["value"] = "y".into();
        let sent = changed["metadata"].as_object_mut().unwrap();
        sent.remove("uid");
        sent.remove("deletionGracePeriodSeconds");
        let status = admin.update(path("a"), &changed).refused(422, "Invalid");
        assert_eq!(status["details"]["causes"][0]["field"], "metadata.deletionTimestamp", "{status}");
        changed["metadata"].as_object_mut().unwrap().remove("deletionTimestamp");
        let changed = admin.update(path("a"), &changed).expect(200);
        for kept in ["uid", "creationTimestamp"] {
            assert_eq!(changed["metadata"][kept], metadata[kept], "{kept}");
        }
        assert!(changed["metadata"].get("deletionTimestamp").is_none(), "{changed}");
        let again = create(&admin, CONFIG_MAPS, &config_map("b", "x"));
        assert_ne!(again["metadata"]["uid"], metadata["uid"]);
        admin.delete(path("a")).expect(200);
        let second = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        assert_ne!(second["metadata"]["uid"], metadata["uid"], "a name that is used again is another object");
        let set = named(&json!({"metadata": {"resourceVersion": "7"}}), "c");
        let status = admin.create(CONFIG_MAPS, &set).refused(400, "BadRequest");
        assert!(
            status["message"].as_str().unwrap().contains("resourceVersion should not be set"),
            "{status}"
        );
    });
}

/// The time that an RFC 3339 text of whole seconds names.
fn humantime(text: &str) -> SystemTime {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    assert!(text.len() == 20 && text.ends_with('Z'), "{text}");
    // Days since the epoch, by the civil calendar with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_generated_name_completes_what_it_begins_with() {
    variants(|server| {
        let admin = server.admin();
        let long = "l".repeat(70);
        for (prefix, kept) in [("a-", "a-"), ("a.b", "a.b"), (long.as_str(), &long[..58])] {
            let object = json!({"metadata": {"generateName": prefix}});
            let made = [0; 2].map(|_| create(&admin, CONFIG_MAPS, &object));
            for object in &made {
                let name = object["metadata"]["name"].as_str().unwrap();
                let suffix = name.strip_prefix(kept).unwrap();
                assert!(
                    suffix.len() == 5 && suffix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
                    "{name}"
                );
                assert_eq!(object["metadata"]["generateName"], prefix);
                assert_eq!(&admin.get(path(name)).expect(200), object);
            }
            assert_ne!(made[0]["metadata"]["name"], made[1]["metadata"]["name"]);
        }
        let both = create(&admin, CONFIG_MAPS, &json!({"metadata": {"generateName": "x", "name": "given"}}));
        assert_eq!(both["metadata"]["name"], "given");
        let before = names(&admin.get(CONFIG_MAPS).expect(200));
        let dry = admin
            .create(format!("{CONFIG_MAPS}?dryRun=All"), &json!({"metadata": {"generateName": "dry"}}))
            .expect(201);
        assert!(dry["metadata"]["name"].as_str().unwrap().starts_with("dry"), "{dry}");
        assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), before);
    });
}

#[test]
fn a_generation_counts_changes_of_the_spec_alone() {
    variants(|server| {
        let admin = server.admin();
        let service = json!({
            "metadata": {"name": "v1.example.org"},
            "spec": {"pluginID": "p", "pluginType": "datasource", "group": "example.org", "version": "v1"},
        });
        let created = create(&admin, DATAPLANE_SERVICES, &service);
        assert_eq!(created["metadata"]["generation"], 1);
        let path = format!("{DATAPLANE_SERVICES}/v1.example.org");
        for (place, change, generation) in [
            ("", json!({"metadata": {"labels": {"a": "b"}}}), 1),
            ("", json!({"spec": {"pluginID": "q"}}), 2),
            ("", json!({"spec": {"pluginID": "q"}}), 2),
            ("/status", json!({"status": {"conditions": []}}), 2),
            ("", json!({"metadata": {"generation": 9}}), 2),
            ("", json!({"spec": {"pluginID": "p"}}), 3),
            ("?dryRun=All", json!({"spec": {"pluginID": "r"}}), 4),
            ("", json!({"metadata": {"annotations": {"a": "b"}}}), 3),
        ] {
            let changed = patch(&admin, &format!("{path}{place}"), &change).expect(200);
            assert_eq!(changed["metadata"]["generation"], generation, "{change}");
        }
    });
}

#[test]
fn an_object_goes_when_nothing_holds_it_any_more() {
    variants(|server| {
        let admin = server.admin();
        let mut object = config_map("held", "x");
        object["metadata"]["finalizers"] = json!(["example.org/a", "example.org/b"]);
        create(&admin, CONFIG_MAPS, &object);
        let dry = admin.delete(format!("{}?dryRun=All", path("held"))).expect(200);
        assert!(admin.get(path("held")).expect(200)["metadata"].get("deletionTimestamp").is_none(), "{dry}");
        admin.delete(path("held")).expect(200);
        let going = admin.get(path("held")).expect(200);
        let marked = &going["metadata"]["deletionTimestamp"];
        assert!(humantime(marked.as_str().unwrap()) <= SystemTime::now() + Duration::from_secs(1), "{going}");
        admin.delete(path("held")).expect(200);
        assert_eq!(&admin.get(path("held")).expect(200)["metadata"]["deletionTimestamp"], marked);
        let kept =
            patch(&admin, &path("held"), &json!({"metadata": {"deletionTimestamp": null}})).expect(200);
        assert_eq!(&kept["metadata"]["deletionTimestamp"], marked, "who is to go stays so");
        let more = json!({"metadata": {"finalizers": ["example.org/a", "example.org/b", "example.org/c"]}});
        let status = patch(&admin, &path("held"), &more).refused(422, "Invalid");
        assert_eq!(status["details"]["causes"][0]["field"], "metadata.finalizers");
        let less = json!({"metadata": {"finalizers": ["example.org/b"]}});
        patch(&admin, &path("held"), &less).expect(200);
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dheld"));
        assert_eq!(watch.expect("ADDED")["metadata"]["finalizers"], json!(["example.org/b"]));
        patch(&admin, &path("held"), &json!({"metadata": {"finalizers": null}})).expect(200);
        assert_eq!(&watch.expect("DELETED")["metadata"]["deletionTimestamp"], marked);
        admin.get(path("held")).refused(404, "NotFound");
    });
}

#[test]
fn a_dry_run_of_any_verb_leaves_no_trace() {
    variants(|server| {
        let admin = server.admin();
        for (number, Kind { collection, object, .. }) in kinds().into_iter().enumerate() {
            // Two of the collections are one: each kind has names of its own.
            let [there, new, next] = ["there", "new", "next"].map(|name| format!("{name}{number}"));
            let made = create(&admin, collection, &named(&object, &there));
            let one = format!("{collection}/{there}");
            let mut watch =
                admin.watch(format!("{collection}?watch=true&resourceVersion={}", version(&made)));
            let labels = json!({"metadata": {"labels": {"dry": "run"}}});
            let mut changed = made.clone();
            changed["metadata"]["labels"] = labels["metadata"]["labels"].clone();
            let send = |method: &str, path: &str, kind: &str, body: &Value| {
                admin.request(method, format!("{path}?dryRun=All")).body(kind, body.to_string()).send()
            };
            let set = json!([{"op": "add", "path": "/metadata/labels", "value": {"dry": "run"}}]);
            for (method, path, kind, body, code) in [
                ("POST", collection, "application/json", &named(&object, &new), 201),
                ("PUT", &one, "application/json", &changed, 200),
                ("PATCH", &one, MERGE_PATCH, &labels, 200),
                ("PATCH", &one, "application/strategic-merge-patch+json", &labels, 200),
                ("PATCH", &one, "application/json-patch+json", &set, 200),
            ] {
                let answer = send(method, path, kind, body).expect(code);
                assert_eq!(
                    answer["metadata"]["labels"]["dry"] == "run",
                    code == 200,
                    "{method} {path} {kind}: {answer}"
                );
            }
            let taken = send("POST", collection, "application/json", &named(&object, &there));
            taken.refused(409, "AlreadyExists");
            admin.delete(format!("{one}?dryRun=All")).expect(200);
            let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
            admin.request("DELETE", &one).json(&options).send().expect(200);
            assert_eq!(admin.get(&one).expect(200), made);
            admin.get(format!("{collection}/{new}")).refused(404, "NotFound");
            let next = create(&admin, collection, &named(&object, &next));
            assert_eq!(watch.expect("ADDED"), next, "nothing came before");
        }
    });
}

#[test]
fn preconditions_hold_or_nothing_happens() {
    variants(|server| {
        let admin = server.admin();
        let first = create(&admin, CONFIG_MAPS, &config_map("a", "1"));
        let mut second = first.clone();
        second["data"]["value"] = "2".into();
        let second = admin.update(path("a"), &second).expect(200);
        let (uid, old, new) = (
            &first["metadata"]["uid"],
            &first["metadata"]["resourceVersion"],
            &second["metadata"]["resourceVersion"],
        );
        let delete = |preconditions: Value| {
            let options =
                json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions});
            admin.request("DELETE", path("a")).json(&options).send()
        };
        for (preconditions, part) in [
            (json!({"uid": "other"}), "the UID in the precondition (other) does not match the UID in record"),
            (json!({"resourceVersion": old}), "the ResourceVersion in the precondition"),
            (json!({"uid": uid, "resourceVersion": old}), "the ResourceVersion in the precondition"),
        ] {
            let status = delete(preconditions.clone()).refused(409, "Conflict");
            assert!(status["message"].as_str().unwrap().contains(part), "{preconditions}: {status}");
        }
        admin.update(path("a"), &first).refused(409, "Conflict");
        patch(&admin, &path("a"), &json!({"metadata": {"resourceVersion": old}})).refused(409, "Conflict");
        let status =
            patch(&admin, &path("a"), &json!({"metadata": {"uid": "other"}})).refused(422, "Invalid");
        assert_eq!(status["details"]["causes"][0]["field"], "metadata.uid");
        assert_eq!(admin.get(path("a")).expect(200), second);
        delete(json!({"uid": uid, "resourceVersion": new})).expect(200);
        admin.get(path("a")).refused(404, "NotFound");
    });
}

#[test]
fn an_update_without_a_version_and_of_nothing_is_what_the_kind_allows() {
    variants(|server| {
        let admin = server.admin();
        for (number, kind) in kinds().into_iter().enumerate() {
            let Kind { collection, object, unconditional, creates } = kind;
            let [absent_name, name] = ["absent", "there"].map(|name| format!("{name}{number}"));
            let absent = admin.update(format!("{collection}/{absent_name}"), &named(&object, &absent_name));
            match creates {
                true => assert_eq!(absent.expect(201)["metadata"]["name"], absent_name),
                false => drop(absent.refused(404, "NotFound")),
            }
            create(&admin, collection, &named(&object, &name));
            let mut changed = named(&object, &name);
            changed["metadata"]["labels"] = json!({"a": "b"});
            let updated = admin.update(format!("{collection}/{name}"), &changed);
            match unconditional {
                true => assert_eq!(updated.expect(200)["metadata"]["labels"], json!({"a": "b"})),
                false => {
                    let status = updated.refused(422, "Invalid");
                    assert_eq!(
                        status["details"]["causes"][0]["field"], "metadata.resourceVersion",
                        "{status}"
                    );
                }
            }
        }
    });
}
