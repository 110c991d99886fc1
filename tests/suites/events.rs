//! Events are news: each store takes them away itself, and a write begins their time anew. Two groups show the same ones.

mod reads;
mod watches;
mod writes;

use detectviz_tests::{Storage, each_storage};
use serde_json::{Value, json};

use crate::support::{create, version};

/// The core group's events, whose form is stored.
const EVENTS: &str = "/api/v1/namespaces/default/events";
/// The same ones as `events.k8s.io` shows them.
const NEW_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

/// An event as the older recorders make them.
fn old_event(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "labels": {"age": "old"}}, "type": "Warning", "reason": "Failed",
        "involvedObject": {"kind": "ConfigMap", "namespace": "default", "name": "m", "fieldPath": "data"}, "message": "it failed",
        "source": {"component": "old-recorder", "host": "here"}, "count": 3,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-02T00:00:00Z",
    })
}

/// An event as the newer recorders make them.
fn new_event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "labels": {"age": "new"}}, "type": "Normal",
        "reason": "Done", "action": "Doing", "note": "it is done", "eventTime": "2026-01-03T00:00:00.000001Z",
        "regarding": {"kind": "Secret", "namespace": "default", "name": "s"}, "related": {"kind": "Node", "name": "n"},
        "reportingController": "example.com/new-recorder", "reportingInstance": "new-recorder-1",
    })
}

/// What `object`, in either form, is in the other one.
fn other_form(object: &Value) -> Value {
    const NAMES: [(&str, &str); 7] = [
        ("note", "message"),
        ("regarding", "involvedObject"),
        ("reportingController", "reportingComponent"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ];
    let is_core = object["apiVersion"] == "v1";
    let mut other = object.clone();
    other["apiVersion"] = if is_core { "events.k8s.io/v1" } else { "v1" }.into();
    for (new, old) in NAMES {
        let (from, to) = if is_core { (old, new) } else { (new, old) };
        if let Some(value) = other.as_object_mut().unwrap().remove(from) {
            other[to] = value;
        }
    }
    other
}

#[test]
fn events_end_by_themselves_and_a_watch_sees_it() {
    each_storage(|builder, storage| {
        let server = builder.config("[events]\nttl_seconds = 2\n").start();
        let admin = server.admin();
        let mut watch = admin.watch(format!("{EVENTS}?watch=true"));
        let mut new_watch = admin.watch(format!("{NEW_EVENTS}?watch=true"));
        create(&admin, NEW_EVENTS, &new_event("first"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "first");
        assert_eq!(new_watch.expect("ADDED")["metadata"]["name"], "first");
        let gone = watch.expect("DELETED");
        assert_eq!((&gone["metadata"]["name"], &gone["message"]), (&json!("first"), &json!("it is done")));
        assert_eq!(new_watch.expect("DELETED"), other_form(&gone));
        admin.get(format!("{EVENTS}/first")).refused(404, "NotFound");
        admin.get(format!("{NEW_EVENTS}/first")).refused(404, "NotFound");
        if storage == Storage::Memory {
            return;
        }
        // What was told before a restart ends after it, too.
        let second = version(&create(&admin, EVENTS, &old_event("second")));
        let setup = server.setup();
        drop(server);
        let server = setup.start();
        let mut watch = server.admin().watch(format!("{EVENTS}?watch=true&resourceVersion={second}"));
        assert!(
            watch.any(|event| event["type"] == "DELETED" && event["object"]["metadata"]["name"] == "second")
        );
    });
}
