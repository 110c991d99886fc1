//! Events as a person meets them: listed through either group, by `kubectl events`, and below what they are about.

use super::cells;
use detectviz_tests::{Line, every_line};

const EVENTS: &str = "
apiVersion: v1
kind: Event
metadata: {name: first, namespace: default}
type: Warning
reason: Failed
message: it failed
involvedObject: {kind: ConfigMap, apiVersion: v1, namespace: default, name: shown, uid: UID}
source: {component: old-recorder}
count: 3
firstTimestamp: '2026-01-01T00:00:00Z'
lastTimestamp: '2026-01-02T00:00:00Z'
---
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: second, namespace: default}
type: Normal
reason: Done
action: Doing
note: it is done
eventTime: '2026-01-03T00:00:00.000000Z'
regarding: {kind: ConfigMap, apiVersion: v1, namespace: default, name: shown, uid: UID}
reportingController: example.com/new-recorder
reportingInstance: new-recorder-1
";

#[test]
fn events_are_listed_by_either_group_and_shown_below_what_they_are_about() {
    every_line(|server| {
        server.kubectl("create configmap shown --from-literal=a=b").ok();
        // kubectl looks for the events of this very object.
        let uid = server.kubectl("get cm shown -o jsonpath={.metadata.uid}").ok();
        let created = server.kubectl("create -f -").stdin(EVENTS.replace("UID", &uid)).ok();
        assert_eq!(created, "event/first created\nevent.events.k8s.io/second created");
        for resource in ["events", "ev", "events.events.k8s.io", "events.v1.events.k8s.io"] {
            let table = server.kubectl(&format!("get {resource} --sort-by=.metadata.name")).ok();
            let rows: Vec<_> = cells(&table).iter().map(|row| row[1..].join(" ")).collect();
            let expected =
                ["Warning Failed configmap/shown it failed", "Normal Done configmap/shown it is done"];
            assert_eq!(rows, expected, "{resource}: {table}");
        }
        let note = |resource: &str, field: &str| {
            server.kubectl(&format!("get {resource} first -o jsonpath={{.apiVersion}}={{{field}}}")).ok()
        };
        assert_eq!(note("events", ".message"), "v1=it failed");
        assert_eq!(note("events.events.k8s.io", ".note"), "events.k8s.io/v1=it failed");
        let chosen = "get events.events.k8s.io -o name --field-selector regarding.name=shown,type=Normal";
        assert_eq!(server.kubectl(chosen).ok(), "event.events.k8s.io/second");

        let described = server.kubectl("describe configmap shown").ok();
        let events = described.split_once("Events:").map(|(_, events)| events.to_owned()).unwrap_or_default();
        assert!(events.contains("old-recorder") && events.contains("it failed"), "{described}");
        assert!(events.contains("new-recorder") && events.contains("it is done"), "{described}");
        let described = server.kubectl("describe events.events.k8s.io second").ok();
        assert!(described.contains("it is done"), "{described}");
        // Older ones do not have the command.
        if server.line() == Line::Current {
            let table = server.kubectl("events --for configmap/shown --types=Warning").ok();
            assert!(table.contains("it failed") && !table.contains("it is done"), "{table}");
            assert!(server.kubectl("events").ok().contains("it is done"));
        }
        server.kubectl("label events.events.k8s.io first seen=yes").ok();
        assert_eq!(server.kubectl("get events -l seen=yes -o name").ok(), "event/first");
        server.kubectl("delete events.events.k8s.io first second").ok();
        assert_eq!(server.kubectl("get events -o name").ok(), "");
    });
}
