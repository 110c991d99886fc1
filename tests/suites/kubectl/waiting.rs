//! Following objects: watches, and waiting for what becomes of them.

use super::labeled;
use super::requests::Answered;
use detectviz_tests::{Line, Server, every_line, wait_for, wait_until};

/// Returns once the server has opened a watch since `before`.
fn watched(server: &Server, before: &Answered) {
    wait_until("kubectl watches", || match Answered::since(server, before).of("watch", 200) {
        0 => Err("no watch"),
        _ => Ok(()),
    });
}

#[test]
fn a_watch_shows_what_is_added_and_deleted() {
    every_line(|server| {
        server.kubectl("create configmap first").ok();
        let mut watch = server.kubectl("get cm -w -o name --output-watch-events=false").start();
        assert_eq!(watch.next_line().unwrap(), "configmap/first");
        server.kubectl("create configmap second").ok();
        assert_eq!(watch.next_line().unwrap(), "configmap/second");
        let mut table = server.kubectl("get cm -w").start();
        assert!(table.next_line().unwrap().starts_with("NAME"));
        assert!(table.next_line().unwrap().starts_with("first"));
        assert!(table.next_line().unwrap().starts_with("second"));
        server.kubectl("create configmap third --from-literal=a=1").ok();
        let row = table.next_line().unwrap();
        assert_eq!(&row.split_whitespace().collect::<Vec<_>>()[..2], ["third", "1"]);
        let mut events = server.kubectl("get cm first -w --output-watch-events --no-headers").start();
        assert!(events.next_line().unwrap().starts_with("ADDED"));
        server.kubectl("label cm first a=b").ok();
        server.kubectl("delete cm first").ok();
        assert!(events.next_line().unwrap().starts_with("MODIFIED"));
        assert!(events.next_line().unwrap().starts_with("DELETED"));
    });
}

#[test]
fn watch_only_shows_nothing_of_what_was_there() {
    every_line(|server| {
        labeled(&server, "first", "app=web", "x");
        let before = Answered::so_far(&server);
        let mut watch = server.kubectl("get cm --watch-only -l app=web -o name").start();
        watched(&server, &before);
        server.kubectl("create configmap other").ok();
        labeled(&server, "second", "app=web", "x");
        assert_eq!(watch.next_line().unwrap(), "configmap/second");
    });
}

#[test]
fn wait_for_delete_returns_once_it_is_gone() {
    every_line(|server| {
        server.kubectl("create configmap doomed").ok();
        let before = Answered::so_far(&server);
        let mut waiting = server.kubectl("wait --for=delete configmap/doomed --timeout=60s").start();
        // The old line fails where the object has gone before it looks.
        watched(&server, &before);
        let deleted = server.kubectl("delete cm doomed").ok();
        assert!(deleted.starts_with("configmap \"doomed\" deleted"), "{deleted}");
        assert_eq!(waiting.code(), 0, "{:?}", waiting.errors());
        server.kubectl("get cm doomed").fails();
    });
}

#[test]
fn wait_for_a_condition_returns_once_it_holds() {
    every_line(|server| {
        let met = server.kubectl("wait --for=condition=Available apiservice/v1. --timeout=60s").ok();
        assert_eq!(met, "apiservice.apiregistration.k8s.io/v1. condition met");
        // A server that has just started is still at it.
        wait_for("all that is served is registered", || {
            (server.kubectl("get apiservices -o name").ok().lines().count() == 15).then_some(())
        });
        let all = server.kubectl("wait --for=condition=Available=true apiservice --all --timeout=60s").ok();
        assert_eq!(all.lines().count(), 15, "{all}");
        let late = server.kubectl("wait --for=condition=Available configmap/nobody --timeout=60s").fails();
        assert!(late.contains("configmaps \"nobody\" not found"), "{late}");
    });
}

#[test]
fn wait_for_a_field_returns_once_it_has_the_value() {
    every_line(|server| {
        if server.line() == Line::Old {
            return;
        }
        server.kubectl("wait --for=jsonpath={.status.phase}=Active ns/default --timeout=60s").ok();
        server.kubectl("create configmap slow --from-literal=ready=no").ok();
        let before = Answered::so_far(&server);
        let mut waiting =
            server.kubectl("wait --for=jsonpath={.data.ready}=yes cm/slow --timeout=60s").start();
        watched(&server, &before);
        server.kubectl("patch cm slow --type merge -p").arg(r#"{"data":{"ready":"yes"}}"#).ok();
        assert_eq!(waiting.code(), 0, "{:?}", waiting.errors());
    });
}
