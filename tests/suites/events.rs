//! Events are news: each store takes them away itself, and a write begins their time anew.

use detectviz_tests::{Storage, each_storage};
use serde_json::json;

use crate::support::{create, version};

const EVENTS: &str = "/api/v1/namespaces/default/events";

#[test]
fn events_end_by_themselves_and_a_watch_sees_it() {
    each_storage(|builder, storage| {
        let server = builder.config("[events]\nttl_seconds = 2\n").start();
        let admin = server.admin();
        let event = |name: &str| {
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name},
                "involvedObject": {"kind": "ConfigMap", "namespace": "default", "name": "m"}, "count": 1})
        };
        let mut watch = admin.watch(format!("{EVENTS}?watch=true"));
        create(&admin, EVENTS, &event("first"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "first");
        let gone = watch.expect("DELETED");
        assert_eq!((&gone["metadata"]["name"], &gone["count"]), (&json!("first"), &json!(1)));
        admin.get(format!("{EVENTS}/first")).refused(404, "NotFound");
        if storage == Storage::Memory {
            return;
        }
        // What was told before a restart ends after it, too.
        let second = version(&create(&admin, EVENTS, &event("second")));
        let setup = server.setup();
        drop(server);
        let server = setup.start();
        let mut watch = server.admin().watch(format!("{EVENTS}?watch=true&resourceVersion={second}"));
        assert!(
            watch.any(|event| event["type"] == "DELETED" && event["object"]["metadata"]["name"] == "second")
        );
    });
}
