//! Writes through either group are stored once, in the core group's form, and have the rules of the group they came by.

use detectviz_tests::{Answer, Client, variants};
use serde_json::{Value, json};

use super::{EVENTS, NEW_EVENTS, new_event, old_event, other_form};
use crate::support::{create, names, version};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn patch(client: &Client, path: &str, kind: &str, body: &Value) -> Answer {
    client.request("PATCH", path).body(kind, body.to_string()).send()
}

/// The causes of a refusal, without their quotes.
fn causes(answer: &Answer) -> Vec<String> {
    let status = answer.refused(422, "Invalid");
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('"', "");
    causes.iter().map(|cause| format!("{}: {}", text(&cause["field"]), text(&cause["message"]))).collect()
}

/// `NEW_EVENTS` or `EVENTS`, and the name.
fn at(collection: &str, name: &str) -> String {
    format!("{collection}/{name}")
}

#[test]
fn a_write_through_one_group_is_read_through_the_other() {
    variants(|server| {
        let admin = server.admin();
        let created = create(&admin, NEW_EVENTS, &new_event("e"));
        assert_eq!(admin.get(at(EVENTS, "e")).expect(200), other_form(&created));
        admin.create(EVENTS, &old_event("e")).refused(409, "AlreadyExists");
        let mut changed = other_form(&created);
        changed["message"] = "it was done".into();
        let changed = admin.update(at(EVENTS, "e"), &changed).expect(200);
        assert_eq!(admin.get(at(NEW_EVENTS, "e")).expect(200), other_form(&changed));
        admin.update(at(NEW_EVENTS, "e"), &created).refused(409, "Conflict");
        // What changes nothing is not written, whichever form it has.
        for (collection, object) in [(EVENTS, changed.clone()), (NEW_EVENTS, other_form(&changed))] {
            let same = admin.update(at(collection, "e"), &object).expect(200);
            assert_eq!(version(&same), version(&changed), "{collection}");
        }
        let gone = admin.delete(at(NEW_EVENTS, "e")).expect(200);
        assert_eq!((&gone["kind"], &gone["details"]["group"]), (&json!("Status"), &json!("events.k8s.io")));
        admin.get(at(EVENTS, "e")).refused(404, "NotFound");
    });
}

#[test]
fn a_patch_is_about_the_form_of_its_group() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, NEW_EVENTS, &new_event("e"));
        for (collection, kind, body, field, value) in [
            (
                NEW_EVENTS,
                MERGE_PATCH,
                json!({"metadata": {"labels": {"a": "1"}}}),
                "/metadata/labels/a",
                json!("1"),
            ),
            (
                NEW_EVENTS,
                STRATEGIC,
                json!({"series": {"count": 2, "lastObservedTime": "2026-01-04T00:00:00.000000Z"}}),
                "/series/count",
                json!(2),
            ),
            (
                NEW_EVENTS,
                JSON_PATCH,
                json!([{"op": "replace", "path": "/series/count", "value": 7}]),
                "/series/count",
                json!(7),
            ),
            (
                EVENTS,
                STRATEGIC,
                json!({"count": 4, "lastTimestamp": "2026-01-05T00:00:00Z"}),
                "/deprecatedCount",
                json!(4),
            ),
            (
                EVENTS,
                MERGE_PATCH,
                json!({"source": {"host": "there"}}),
                "/deprecatedSource",
                json!({"host": "there"}),
            ),
            (
                EVENTS,
                JSON_PATCH,
                json!([{"op": "add", "path": "/message", "value": "x"}]),
                "/note",
                json!("x"),
            ),
        ] {
            let patched = patch(&admin, &at(collection, "e"), kind, &body).expect(200);
            let read = admin.get(at(NEW_EVENTS, "e")).expect(200);
            assert_eq!(read.pointer(field), Some(&value), "{body}");
            let expected = if collection == NEW_EVENTS { patched } else { other_form(&patched) };
            assert_eq!(read, expected, "{body}");
        }
    });
}

#[test]
fn an_update_of_an_event_that_is_not_there_creates_it_and_a_dry_run_does_not() {
    variants(|server| {
        let admin = server.admin();
        for (collection, event) in [(EVENTS, old_event("e")), (NEW_EVENTS, new_event("f"))] {
            let name = event["metadata"]["name"].as_str().unwrap();
            let before = version(&admin.get(EVENTS).expect(200));
            let dry = admin.update(format!("{collection}/{name}?dryRun=All"), &event).expect(201);
            assert_eq!(dry["apiVersion"], event["apiVersion"]);
            let dry = admin.create(format!("{collection}?dryRun=All"), &event).expect(201);
            assert_eq!(dry["apiVersion"], event["apiVersion"]);
            let list = admin.get(EVENTS).expect(200);
            assert!(!names(&list).contains(&name.to_owned()), "{before}: {list}");
            let created = admin.update(at(collection, name), &event).expect(201);
            assert_eq!(admin.get(at(collection, name)).expect(200), created);
        }
        assert_eq!(names(&admin.get(NEW_EVENTS).expect(200)), ["e", "f"]);
    });
}

#[test]
fn what_is_wrong_is_told_by_the_rules_of_the_group() {
    variants(|server| {
        let admin = server.admin();
        let with = |mut event: Value, field: &str, value: Value| {
            event[field] = value;
            event
        };
        for (event, cause) in [
            (with(new_event("x"), "eventTime", Value::Null), "eventTime: Required value"),
            (with(new_event("x"), "action", json!("")), "action: Required value"),
            (with(new_event("x"), "reportingInstance", json!("")), "reportingInstance: Required value"),
            (with(new_event("x"), "reason", json!("")), "reason: Required value"),
            (with(new_event("x"), "type", json!("Odd")), "type: Invalid value: : has invalid value: Odd"),
            (with(new_event("x"), "deprecatedCount", json!(1)), "count: Invalid value: : needs to be unset"),
            (with(new_event("x"), "series", json!({"count": 2})), "series.lastObservedTime: Required value"),
        ] {
            let found = causes(&admin.create(NEW_EVENTS, &event));
            assert_eq!(found, [cause], "{event}");
        }
        let status =
            admin.create(NEW_EVENTS, &with(new_event("x"), "eventTime", Value::Null)).refused(422, "Invalid");
        assert_eq!(status["message"], "Event.events.k8s.io \"x\" is invalid: eventTime: Required value");
        let elsewhere = json!({"kind": "ConfigMap", "namespace": "kube-system", "name": "m"});
        let misplaced = with(old_event("x"), "involvedObject", elsewhere.clone());
        let cause = "involvedObject.namespace: Invalid value: kube-system: does not match event.namespace";
        assert_eq!(causes(&admin.create(EVENTS, &misplaced)), [cause]);
        create(&admin, NEW_EVENTS, &with(new_event("elsewhere"), "regarding", elsewhere));
        // Each form knows its own fields alone.
        for (collection, event, unknown) in [
            (EVENTS, with(old_event("x"), "note", json!("n")), "note"),
            (NEW_EVENTS, with(new_event("x"), "message", json!("n")), "message"),
        ] {
            let path = format!("{collection}?fieldValidation=Strict");
            let status = admin.create(path, &event).refused(400, "BadRequest");
            assert!(
                status["message"].as_str().unwrap().contains(&format!("unknown field \"{unknown}\"")),
                "{status}"
            );
        }
        admin.create(NEW_EVENTS, &old_event("x")).refused(400, "BadRequest");
    });
}

#[test]
fn an_update_may_change_what_its_group_lets_change() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, EVENTS, &old_event("old"));
        create(&admin, NEW_EVENTS, &new_event("new"));
        // The core group asks for less, of the same events.
        for (field, value) in
            [("note", "other"), ("reason", "Other"), ("type", "Warning"), ("action", "Other")]
        {
            let path = at(NEW_EVENTS, "new");
            let found = causes(&patch(&admin, &path, MERGE_PATCH, &json!({field: value})));
            let named = if field == "note" { "message" } else { field };
            assert_eq!(found, [format!("{named}: Invalid value: {value}: field is immutable")], "{field}");
        }
        patch(&admin, &at(EVENTS, "new"), MERGE_PATCH, &json!({"message": "other", "type": "Odd"}))
            .expect(200);
        let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-04T00:00:00.000000Z"}});
        patch(&admin, &at(NEW_EVENTS, "old"), STRATEGIC, &series).expect(200);
    });
}

#[test]
fn who_manages_is_told_in_the_form_of_the_group_that_was_written_through() {
    variants(|server| {
        let admin = server.admin();
        admin.create(format!("{NEW_EVENTS}?fieldManager=new"), &new_event("e")).expect(201);
        let more = json!({"count": 2});
        patch(&admin, &format!("{EVENTS}/e?fieldManager=old"), MERGE_PATCH, &more).expect(200);
        let applied =
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "source": {"host": "h"}});
        let apply = format!("{EVENTS}/e?fieldManager=applier");
        admin
            .request("PATCH", apply)
            .body("application/apply-patch+yaml", applied.to_string())
            .send()
            .expect(200);
        for collection in [EVENTS, NEW_EVENTS] {
            let event = admin.get(at(collection, "e")).expect(200);
            let entries = event["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            let of = |manager: &str| {
                entries.iter().find(|entry| entry["manager"] == manager).cloned().unwrap_or_default()
            };
            for (manager, api_version, field) in [
                ("new", "events.k8s.io/v1", "f:note"),
                ("old", "v1", "f:count"),
                ("applier", "v1", "f:source"),
            ] {
                let entry = of(manager);
                assert_eq!(entry["apiVersion"], api_version, "{manager}: {event}");
                assert!(entry["fieldsV1"].get(field).is_some(), "{manager} {field}: {event}");
            }
        }
    });
}

/// A length-delimited field of a protobuf message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 128, "one byte of length is all that this test writes");
    [&[number << 3 | 2, length], bytes].concat()
}

#[test]
fn a_recorder_makes_an_event_and_counts_on_in_its_series() {
    variants(|server| {
        let admin = server.admin();
        // What client-go sends: protobuf, under a generated name. eventTime (2) has seconds (1).
        let time = field(2, &[0x08, 0x80, 0xb0, 0xd0, 0xca, 0x06]);
        let regarding = field(8, &[field(1, b"ConfigMap"), field(2, b"default"), field(3, b"m")].concat());
        let texts =
            [(4, "example.com/c"), (5, "c-1"), (6, "Act"), (7, "Because"), (10, "said"), (11, "Normal")];
        let texts: Vec<u8> =
            texts.iter().flat_map(|(number, text)| field(*number, text.as_bytes())).collect();
        let metadata = field(1, &field(2, b"m."));
        let types = [field(1, b"events.k8s.io/v1"), field(2, b"Event")].concat();
        let body = [metadata, time, regarding, texts].concat();
        let length = u8::try_from(body.len() % 128).unwrap() | 0x80;
        let raw = [vec![0x12, length, u8::try_from(body.len() / 128).unwrap()], body].concat();
        let body = [b"k8s\0".to_vec(), field(1, &types), raw].concat();
        let created = admin.request("POST", NEW_EVENTS).body(PROTOBUF, body).send().expect(201);
        let name = created["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("m.") && name.len() == 7, "{created}");
        assert_eq!((&created["note"], &created["regarding"]["name"]), (&json!("said"), &json!("m")));
        let mut watch = admin.watch(format!("{EVENTS}?watch=true&resourceVersion={}", version(&created)));
        for count in 2..5 {
            let series = json!({"series": {"count": count, "lastObservedTime": format!("2026-01-0{count}T00:00:00.000000Z")}});
            let patched = patch(&admin, &at(NEW_EVENTS, name), STRATEGIC, &series).expect(200);
            assert_eq!(patched["series"], series["series"]);
            assert_eq!(watch.expect("MODIFIED"), other_form(&patched));
        }
        // The older recorders count in the event itself.
        let made = create(&admin, EVENTS, &old_event("old.1"));
        let more = json!({"count": 4, "lastTimestamp": "2026-01-06T00:00:00Z", "message": "again"});
        let patched = patch(&admin, &at(EVENTS, "old.1"), STRATEGIC, &more).expect(200);
        assert_eq!((&patched["count"], &patched["firstTimestamp"]), (&json!(4), &made["firstTimestamp"]));
    });
}

/// Applies `config` as `manager` through either group.
fn apply(client: &Client, collection: &str, manager: &str, options: &str, fields: &Value) -> Answer {
    let mut config = json!({
        "apiVersion": if collection == EVENTS { "v1" } else { "events.k8s.io/v1" }, "kind": "Event", "metadata": {"name": "e"},
    });
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let path = format!("{}?fieldManager={manager}{options}", at(collection, "e"));
    client.request("PATCH", path).body("application/apply-patch+yaml", config.to_string()).send()
}

/// What `manager` owns, as its entry says it, and in which version.
fn owned<'a>(object: &'a Value, manager: &str) -> Option<(&'a str, &'a Value)> {
    let books = object["metadata"]["managedFields"].as_array()?;
    let entry = books.iter().find(|entry| entry["manager"] == manager)?;
    Some((entry["apiVersion"].as_str()?, &entry["fieldsV1"]))
}

/// A field has one owner, whatever it is called in the group through which it was taken.
#[test]
fn fields_are_owned_across_both_groups() {
    variants(|server| {
        let admin = server.admin();
        let created = admin.create(format!("{NEW_EVENTS}?fieldManager=maker"), &new_event("e")).expect(201);
        assert_eq!(owned(&created, "maker").unwrap().1["f:note"], json!({}));
        let refused = apply(&admin, EVENTS, "old", "", &json!({"message": "m"})).refused(409, "Conflict");
        let owner = "conflict with \"maker\" using events.k8s.io/v1";
        assert_eq!(
            refused["message"],
            format!("Apply failed with 1 conflict: {owner}: .note"),
            "its own name"
        );
        let forced = apply(&admin, EVENTS, "old", "&force=true", &json!({"message": "m"})).expect(200);
        let (version, fields) = owned(&forced, "maker").unwrap();
        assert_eq!((version, fields.get("f:note")), ("events.k8s.io/v1", None));
        assert_eq!(fields["f:regarding"], json!({}), "nothing else is lost");
        assert_eq!(owned(&forced, "old"), Some(("v1", &json!({"f:message": {}}))));
        let refused = apply(&admin, NEW_EVENTS, "new", "", &json!({"note": "n"})).refused(409, "Conflict");
        assert_eq!(refused["details"]["causes"][0]["field"], ".message");

        // What both own stays when one of them gives it up, whatever the other calls it.
        apply(&admin, NEW_EVENTS, "new", "", &json!({"note": "m"})).expect(200);
        let left = apply(&admin, EVENTS, "old", "", &json!({})).expect(200);
        assert_eq!((&left["message"], owned(&left, "old")), (&json!("m"), None));
        assert_eq!(owned(&left, "new"), Some(("events.k8s.io/v1", &json!({"f:note": {}}))));
        // Whoever goes on through the other group gives up what it no longer names.
        let moved = apply(&admin, EVENTS, "new", "", &json!({"count": 7})).expect(200);
        assert_eq!((moved.get("message"), &moved["count"]), (None, &json!(7)));
        assert_eq!(owned(&moved, "new"), Some(("v1", &json!({"f:count": {}}))));
    });
}
