//! Reads of either group, in every form: one state, two shapes.

use detectviz_tests::{Client, variants};
use serde_json::{Value, json};

use super::{EVENTS, NEW_EVENTS, new_event, old_event, other_form};
use crate::support::{create, names, version};

const ALL: &str = "/api/v1/events";
const ALL_NEW: &str = "/apis/events.k8s.io/v1/events";

/// An event of each kind, made through its own group; as the core group shows them.
fn two(admin: &Client) -> [Value; 2] {
    let old = create(admin, EVENTS, &old_event("old"));
    [other_form(&create(admin, NEW_EVENTS, &new_event("new"))), old]
}

fn read(admin: &Client, path: &str, accept: &str) -> Value {
    let answer = admin.request("GET", path).header("Accept", accept).send();
    assert_eq!(
        (answer.code, answer.header("content-type")),
        (200, accept.split(';').next()),
        "{path}: {answer}"
    );
    match accept.contains("yaml") {
        true => yaml_serde::from_slice(&answer.body).unwrap(),
        false => answer.json(),
    }
}

#[test]
fn both_groups_show_one_state_each_in_its_own_shape() {
    variants(|server| {
        let admin = server.admin();
        let stored = two(&admin);
        for (collection, all, api_version) in [(EVENTS, ALL, "v1"), (NEW_EVENTS, ALL_NEW, "events.k8s.io/v1")]
        {
            let shown =
                stored.clone().map(|event| if api_version == "v1" { event } else { other_form(&event) });
            for accept in ["application/json", "application/yaml"] {
                for (name, event) in [("new", &shown[0]), ("old", &shown[1])] {
                    assert_eq!(&read(&admin, &format!("{collection}/{name}"), accept), event);
                }
                for path in [collection, all] {
                    let list = read(&admin, path, accept);
                    assert_eq!(
                        (&list["apiVersion"], &list["kind"]),
                        (&json!(api_version), &json!("EventList"))
                    );
                    assert_eq!(list["items"], json!(shown), "{path} {accept}");
                }
            }
            let old = read(
                &admin,
                &format!("{collection}?resourceVersionMatch=Exact&resourceVersion={}", version(&stored[1])),
                "application/json",
            );
            assert_eq!(names(&old), ["old"]);
            assert_eq!(old["items"], json!([shown[1]]));
            let first = read(&admin, &format!("{collection}?limit=1"), "application/json");
            let token = first["metadata"]["continue"].as_str().unwrap();
            let second = read(&admin, &format!("{collection}?limit=1&continue={token}"), "application/json");
            assert_eq!((&first["items"], &second["items"]), (&json!([shown[0]]), &json!([shown[1]])));
        }
        let (fields, new_fields) = (&stored[1], other_form(&stored[1]));
        assert_eq!((&fields["message"], &fields["note"]), (&json!("it failed"), &Value::Null));
        assert_eq!((&new_fields["note"], &new_fields["message"]), (&json!("it failed"), &Value::Null));
        assert_eq!(
            admin.get(format!("{NEW_EVENTS}/old")).expect(200)["deprecatedSource"],
            json!({"component": "old-recorder", "host": "here"})
        );
    });
}

#[test]
fn tables_and_metadata_are_the_same_in_both_groups() {
    variants(|server| {
        let admin = server.admin();
        let stored = two(&admin);
        for encoding in ["application/json", "application/yaml"] {
            let table = |path: &str| read(&admin, path, &format!("{encoding};as=Table;v=v1;g=meta.k8s.io"));
            let (core, new) = (table(EVENTS), table(NEW_EVENTS));
            assert_eq!(core["columnDefinitions"], new["columnDefinitions"]);
            let cells = |table: &Value| -> Vec<Value> {
                let mut rows = table["rows"].as_array().unwrap().clone();
                rows.iter_mut().map(|row| row["cells"].take()).collect()
            };
            let (core, new) = (cells(&core), cells(&new));
            assert_eq!(core.len(), 2);
            // Ages move on between two reads.
            let still = |row: &Value| {
                row.as_array()
                    .unwrap()
                    .iter()
                    .skip(1)
                    .filter(|cell| !cell.to_string().contains('d'))
                    .cloned()
                    .collect::<Vec<_>>()
            };
            assert_eq!(core.iter().map(still).collect::<Vec<_>>(), new.iter().map(still).collect::<Vec<_>>());
            assert_eq!(
                new[1].as_array().unwrap()[1..7],
                [
                    json!("Warning"),
                    json!("Failed"),
                    json!("configmap/m"),
                    json!("data"),
                    json!("old-recorder, here"),
                    json!("it failed")
                ]
            );
            assert_eq!(new[1][8], 3);
            for path in [EVENTS, NEW_EVENTS] {
                let list = read(
                    &admin,
                    path,
                    &format!("{encoding};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
                );
                let metadata: Vec<&Value> =
                    list["items"].as_array().unwrap().iter().map(|item| &item["metadata"]).collect();
                assert_eq!(metadata, [&stored[0]["metadata"], &stored[1]["metadata"]], "{path}");
            }
        }
        let whole = read(
            &admin,
            &format!("{NEW_EVENTS}/new?includeObject=Object"),
            "application/json;as=Table;v=v1;g=meta.k8s.io",
        );
        assert_eq!(whole["rows"][0]["object"], other_form(&stored[0]));
    });
}

#[test]
fn selectors_name_the_fields_of_their_group() {
    variants(|server| {
        let admin = server.admin();
        two(&admin);
        for (path, query, expected) in [
            (EVENTS, "fieldSelector=involvedObject.name%3Dm,involvedObject.fieldPath%3Ddata", "old"),
            (EVENTS, "fieldSelector=reportingComponent%3Dexample.com%2Fnew-recorder", "new"),
            (EVENTS, "fieldSelector=source%3Dexample.com%2Fnew-recorder", "new"),
            (NEW_EVENTS, "fieldSelector=regarding.kind%3DSecret,regarding.namespace%3Ddefault", "new"),
            (NEW_EVENTS, "fieldSelector=regarding.name!%3Ds", "old"),
            (NEW_EVENTS, "fieldSelector=reportingController%3Dexample.com%2Fnew-recorder", "new"),
            (NEW_EVENTS, "fieldSelector=source%3Dold-recorder", "old"),
            (NEW_EVENTS, "fieldSelector=source%3Dexample.com%2Fnew-recorder", "new"),
            (NEW_EVENTS, "fieldSelector=type%3DNormal,reason%3DDone,metadata.name%3Dnew", "new"),
            (NEW_EVENTS, "labelSelector=age%3Dold", "old"),
            (ALL_NEW, "fieldSelector=regarding.name%3Dm&labelSelector=age", "old"),
            (ALL_NEW, "fieldSelector=regarding.name%3Dm&labelSelector=age%3Dnew", ""),
        ] {
            let list = admin.get(format!("{path}?{query}")).expect(200);
            assert_eq!(names(&list).join(","), expected, "{path}?{query}");
        }
        for (path, field) in [
            (EVENTS, "regarding.name"),
            (NEW_EVENTS, "involvedObject.name"),
            (NEW_EVENTS, "reportingComponent"),
        ] {
            let status = admin.get(format!("{path}?fieldSelector={field}%3Dx")).refused(400, "BadRequest");
            assert_eq!(status["message"], format!("field label not supported: {field}"), "{path}");
        }
    });
}

#[test]
fn discovery_shows_both_and_that_they_are_stored_as_one() {
    variants(|server| {
        let admin = server.admin();
        let resource = |path: &str| {
            let list = admin.get(path).expect(200);
            let found =
                list["resources"].as_array().unwrap().iter().find(|one| one["name"] == "events").cloned();
            found.unwrap_or_else(|| panic!("no events in {list}"))
        };
        let (core, new) = (resource("/api/v1"), resource("/apis/events.k8s.io/v1"));
        assert_eq!((&core, &core["storageVersionHash"]), (&new, &json!("r2yiGXH7wu8=")));
        let document = admin.get("/openapi/v3/apis/events.k8s.io/v1").expect(200);
        let schema = &document["components"]["schemas"]["io.k8s.api.events.v1.Event"];
        assert_eq!(
            schema["x-kubernetes-group-version-kind"],
            json!([{"group": "events.k8s.io", "version": "v1", "kind": "Event"}])
        );
        for (field, there) in [
            ("note", true),
            ("regarding", true),
            ("deprecatedCount", true),
            ("message", false),
            ("involvedObject", false),
        ] {
            assert_eq!(schema["properties"].get(field).is_some(), there, "{field}");
        }
        let old = admin.get("/openapi/v2").expect(200);
        assert!(old["definitions"]["io.k8s.api.events.v1.Event"]["properties"]["note"].is_object());
    });
}
