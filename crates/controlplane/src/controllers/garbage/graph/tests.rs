use super::*;
use serde_json::{Value, json};

fn source() -> Source {
    Source { number: 1, api_version: "v1".into(), kind: "ConfigMap".into(), remote: false }
}

fn meta(name: &str, owners: &[&str]) -> Meta {
    going(name, owners, &json!({}))
}

/// An object whose uid is its name, with more metadata.
fn going(name: &str, owners: &[&str], more: &Value) -> Meta {
    let reference = |owner: &&str| {
        let (name, block) = owner.strip_prefix('!').map_or((*owner, false), |name| (name, true));
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "blockOwnerDeletion": block})
    };
    let owners: Vec<Value> = owners.iter().map(reference).collect();
    let mut meta = json!({"name": name, "namespace": "a", "uid": name, "ownerReferences": owners});
    more.as_object().unwrap().iter().for_each(|(key, value)| meta[key] = value.clone());
    serde_json::from_value(meta).unwrap()
}

fn uid(name: &str) -> Uid {
    Uid::of(name)
}

fn tasks(effects: Effects) -> HashSet<Task> {
    effects.tasks.into_iter().collect()
}

#[test]
fn only_what_something_is_asked_of_is_a_node() {
    let mut graph = Graph::default();
    for number in 0..100 {
        assert_eq!(graph.seen(&source(), &meta(&format!("plain{number}"), &[])), Effects::default());
    }
    assert_eq!(graph.size(), (0, 100));
    assert_eq!(
        tasks(graph.seen(&source(), &meta("child", &["plain1"]))),
        [Task::Verify(uid("plain1"))].into()
    );
    assert_eq!(graph.size(), (2, 101));
    graph.seen(&source(), &meta("child", &[]));
    assert_eq!(graph.size(), (0, 101), "nothing depends on anything any more");
    (0..100).for_each(|number| drop(graph.gone(uid(&format!("plain{number}")))));
    graph.gone(uid("child"));
    assert_eq!(graph.size(), (0, 0));
}

#[test]
fn when_an_owner_goes_its_dependents_are_looked_at_and_those_that_wait_for_it() {
    let mut graph = Graph::default();
    let waits = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FOREGROUND]});
    graph.seen(&source(), &going("root", &[], &waits));
    graph.seen(&source(), &meta("child", &["!root"]));
    graph.seen(&source(), &meta("grandchild", &["child"]));
    assert!(graph.is_blocked(uid("root")));
    assert_eq!(
        tasks(graph.gone(uid("child"))),
        [Task::Collect(uid("grandchild")), Task::Collect(uid("root"))].into()
    );
    assert!(!graph.is_blocked(uid("root")));
}

#[test]
fn an_owner_that_begins_to_wait_is_looked_at_after_its_dependents() {
    let mut graph = Graph::default();
    graph.seen(&source(), &meta("child", &["!root"]));
    let at = "2026-01-01T00:00:00Z";
    let effects = graph
        .seen(&source(), &going("root", &[], &json!({"deletionTimestamp": at, "finalizers": [FOREGROUND]})));
    assert_eq!(effects.tasks, [Task::Collect(uid("child"))]);
    assert_eq!(effects.begun, [Task::Collect(uid("root"))]);
    // Said again, it brings about nothing again.
    let again = graph
        .seen(&source(), &going("root", &[], &json!({"deletionTimestamp": at, "finalizers": [FOREGROUND]})));
    assert_eq!(again, Effects::default());
    let late = graph.seen(&source(), &meta("late", &["!root"]));
    assert_eq!(late.tasks, [Task::Collect(uid("late"))]);
    // A reference that does not block any more lets the owner go.
    let unblocked = graph.seen(&source(), &meta("late", &["root"]));
    assert!(tasks(unblocked).contains(&Task::Collect(uid("root"))));
    let orphans = going("root", &[], &json!({"deletionTimestamp": at, "finalizers": [ORPHAN]}));
    assert_eq!(graph.seen(&source(), &orphans).begun, [Task::Orphan(uid("root"))]);
}

#[test]
fn what_a_list_does_not_have_is_looked_for() {
    let mut graph = Graph::default();
    graph.seen(&source(), &meta("owner", &[]));
    graph.seen(&source(), &meta("child", &["owner"]));
    let identity = graph.node(uid("owner")).unwrap().identity.clone();
    graph.verified(uid("owner"), &identity);
    assert!(!graph.is_virtual(uid("owner")));
    let present = [uid("child")].into();
    assert_eq!(tasks(graph.listed(&source(), &present)), [Task::Verify(uid("owner"))].into());
    assert!(graph.is_virtual(uid("owner")));
    let identity = graph.node(uid("owner")).unwrap().identity.clone();
    assert_eq!(tasks(graph.absent(uid("owner"), &identity)), [Task::Collect(uid("child"))].into());
    assert_eq!(graph.size(), (1, 1));
}

#[test]
fn dependents_that_mean_different_things_by_one_uid_have_each_looked_for() {
    let mut graph = Graph::default();
    graph.seen(&source(), &meta("one", &["owner"]));
    let mut other = meta("two", &[]);
    let references = json!([{"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": "owner"}]);
    other = serde_json::from_value::<Meta>(json!({"name": other.name, "namespace": "a", "uid": "two",
        "ownerReferences": references}))
    .unwrap();
    graph.seen(&source(), &other);
    let mut tried = Vec::new();
    for _ in 0..3 {
        let identity = graph.node(uid("owner")).unwrap().identity.clone();
        tried.push(identity.kind.to_string());
        let effects = graph.absent(uid("owner"), &identity);
        assert_eq!(tasks(effects), [Task::Collect(uid("one")), Task::Collect(uid("two"))].into());
    }
    assert_eq!(tried, ["ConfigMap", "Secret", "ConfigMap"]);
    graph.gone(uid("two"));
    let identity = graph.node(uid("owner")).unwrap().identity.clone();
    graph.absent(uid("owner"), &identity);
    graph.gone(uid("one"));
    assert_eq!(graph.size(), (0, 0));
}

#[test]
fn what_is_not_served_any_more_is_neither_there_nor_gone() {
    let mut graph = Graph::default();
    graph.seen(&source(), &meta("owner", &[]));
    let secrets = Source { number: 2, kind: "Secret".into(), ..source() };
    graph.seen(&secrets, &meta("child", &["owner"]));
    assert_eq!(graph.left(1), Effects::default());
    assert!(graph.is_virtual(uid("owner")), "a dependent still refers to it");
    assert_eq!(graph.left(2), Effects::default());
    assert_eq!(graph.size(), (0, 0));
}
