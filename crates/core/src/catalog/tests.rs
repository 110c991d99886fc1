use super::*;
use serde_json::json;

fn entry(gv: &str, owner: Owner, priority: (i64, i64)) -> GroupVersionEntry {
    let resources = vec![json!({
        "resource": "things", "responseKind": {"kind": "Thing"}, "scope": "Namespaced", "singularResource": "thing",
        "verbs": ["get"], "storageVersionHash": "aGFzaA==", "shortNames": ["th"],
        "subresources": [
            {"subresource": "scale", "verbs": ["get"],
             "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}},
            {"subresource": "status", "responseKind": {"kind": "Thing"}, "verbs": ["get"]},
        ],
    })];
    let open_api: OpenApi = Arc::new(|| "{}".into());
    let group_version = gv.parse().unwrap();
    GroupVersionEntry { group_version, owner, priority, resources, open_api: Some(open_api), stale: false }
}

fn catalog(entries: &[(&str, (i64, i64))]) -> Catalog {
    let catalog = Catalog::default();
    for (gv, priority) in entries {
        catalog.publish(entry(gv, Owner::Local, *priority)).unwrap();
    }
    catalog
}

fn read(document: &Document) -> Value {
    serde_json::from_slice(&document.bytes).unwrap()
}

#[test]
fn discovery_is_ordered_by_priority_and_then_as_kubernetes_orders_versions() {
    let versions =
        [("a/v1", (10, 1)), ("a/v2beta1", (10, 1)), ("a/v3", (10, 2)), ("b/v1", (20, 1)), ("v1", (0, 0))];
    let snapshot = catalog(&versions).snapshot();
    let list = read(snapshot.aggregated_groups(DiscoveryVersion::V2));
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|group| &group["metadata"]["name"]).collect();
    assert_eq!(names, ["b", "a"]);
    let versions = list["items"][1]["versions"].as_array().unwrap();
    assert_eq!(versions.iter().map(|one| &one["version"]).collect::<Vec<_>>(), ["v3", "v1", "v2beta1"]);
    assert_eq!(read(&snapshot.group("a").unwrap())["preferredVersion"]["groupVersion"], "a/v3");
    assert!(
        snapshot.group("").is_none() && snapshot.group("c").is_none() && snapshot.core_versions() == ["v1"]
    );
    assert_eq!(read(snapshot.aggregated_core(DiscoveryVersion::V2))["items"][0]["metadata"]["name"], "");
}

#[test]
fn a_group_version_moves_without_its_documents_being_made_anew() {
    let catalog = catalog(&[("a/v1", (10, 1)), ("b/v1", (20, 1))]);
    let gv: GroupVersion = "a/v1".parse().unwrap();
    let before = catalog.snapshot();
    let bytes = |snapshot: &Snapshot| snapshot.open_api(&gv).unwrap().bytes.as_ptr();
    let made = bytes(&before);
    let generation = || *catalog.changes().borrow();
    let first = |snapshot: &Snapshot| read(snapshot.group_list())["groups"][0]["name"].clone();
    assert_eq!(first(&before), "b");
    catalog.prioritize(&gv, Owner::Local, (30, 1));
    let moved = catalog.snapshot();
    assert_eq!((first(&moved), bytes(&moved)), (json!("a"), made));
    let now = generation();
    catalog.prioritize(&gv, Owner::Local, (30, 1));
    catalog.prioritize(&gv, Owner::Aggregated, (1, 1));
    catalog.prioritize(&"c/v1".parse().unwrap(), Owner::Local, (1, 1));
    assert_eq!(generation(), now, "nothing has changed");
}

#[test]
fn both_versions_of_aggregated_discovery_say_the_same() {
    let snapshot = catalog(&[("a/v1", (10, 1)), ("b/v1", (20, 1))]).snapshot();
    let (v2, beta) = (DiscoveryVersion::V2, DiscoveryVersion::V2Beta1);
    let [mut list, old] = [v2, beta].map(|version| read(snapshot.aggregated_groups(version)));
    assert_eq!(list["items"], old["items"]);
    assert_eq!(old["apiVersion"], "apidiscovery.k8s.io/v2beta1");
    let resource = list["items"][0]["versions"][0]["resources"][0].take();
    assert!(resource.get("storageVersionHash").is_none(), "only legacy discovery has it: {resource}");
    assert_ne!(snapshot.aggregated_groups(v2).hash, snapshot.aggregated_groups(beta).hash);
    assert_eq!(read(Catalog::default().snapshot().aggregated_groups(v2))["items"], json!([]));
}

#[test]
fn legacy_discovery_lists_subresources_after_their_resource() {
    let snapshot = catalog(&[("a/v1", (0, 0))]).snapshot();
    let list = read(snapshot.resource_list(&"a/v1".parse().unwrap()).unwrap());
    assert_eq!(
        list["resources"],
        json!([
            {"name": "things", "singularName": "thing", "namespaced": true, "kind": "Thing", "verbs": ["get"],
             "shortNames": ["th"], "storageVersionHash": "aGFzaA=="},
            {"name": "things/scale", "singularName": "", "namespaced": true, "kind": "Scale", "verbs": ["get"],
             "group": "autoscaling", "version": "v1"},
            {"name": "things/status", "singularName": "", "namespaced": true, "kind": "Thing", "verbs": ["get"]},
        ])
    );
}

#[test]
fn what_is_stale_and_was_never_seen_is_listed_but_not_answered_for() {
    let catalog = Catalog::default();
    let unseen =
        GroupVersionEntry { resources: Vec::new(), stale: true, ..entry("a/v1", Owner::Aggregated, (0, 0)) };
    catalog.publish(unseen).unwrap();
    let snapshot = catalog.snapshot();
    let list = read(snapshot.aggregated_groups(DiscoveryVersion::V2));
    assert_eq!(list["items"][0]["versions"][0]["freshness"], "Stale");
    assert!(snapshot.resource_list(&"a/v1".parse().unwrap()).is_none());
}

#[test]
fn a_local_group_version_cannot_be_taken() {
    let catalog = Catalog::default();
    let gv: GroupVersion = "a/v1".parse().unwrap();
    catalog.publish(entry("a/v1", Owner::Local, (0, 0))).unwrap();
    assert_eq!(catalog.publish(entry("a/v1", Owner::Aggregated, (0, 0))), Err(Taken(gv.clone())));
    catalog.withdraw(&gv, Owner::Aggregated);
    assert!(catalog.snapshot().owner(&gv) == Some(Owner::Local));
    assert!(catalog.changes().borrow().to_owned() > 0);
}

#[test]
fn the_open_api_index_carries_the_hash_of_each_document() {
    let snapshot = catalog(&[("a/v1", (0, 0))]).snapshot();
    assert!(!snapshot.is_open_api_index_made());
    let hash = &snapshot.open_api(&"a/v1".parse().unwrap()).unwrap().hash;
    let index = read(snapshot.open_api_index());
    assert_eq!(
        index["paths"]["apis/a/v1"]["serverRelativeURL"],
        format!("/openapi/v3/apis/a/v1?hash={hash}")
    );
}

/// Cost grows with what changed: what is known of one group-version outlives the changes of all others.
#[test]
fn a_change_makes_anew_only_what_it_is_about() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let made = Arc::new(AtomicUsize::new(0));
    let counted = |gv: &str| {
        let made = Arc::clone(&made);
        let open_api: OpenApi = Arc::new(move || {
            made.fetch_add(1, Ordering::SeqCst);
            "{}".into()
        });
        GroupVersionEntry { open_api: Some(open_api), ..entry(gv, Owner::Local, (0, 0)) }
    };
    let catalog = Catalog::default();
    for number in 0..100 {
        catalog.publish(counted(&format!("g{number}/v1"))).unwrap();
    }
    assert_eq!(made.load(Ordering::SeqCst), 0, "nothing is made before it is asked for");
    let before = catalog.snapshot();
    before.open_api_index();
    let (gv, other): (GroupVersion, GroupVersion) = ("g1/v1".parse().unwrap(), "g2/v1".parse().unwrap());
    let bytes = |snapshot: &Snapshot, gv| snapshot.resource_list(gv).unwrap().bytes.as_ptr();
    let (kept, replaced) = (bytes(&before, &other), bytes(&before, &gv));
    catalog.publish(counted("g1/v1")).unwrap();
    let after = catalog.snapshot();
    after.open_api_index();
    assert_eq!(made.load(Ordering::SeqCst), 101);
    assert_eq!(bytes(&after, &other), kept);
    assert_ne!(bytes(&after, &gv), replaced);
    assert!(after.documented().count() == 100 && after.is_open_api_made(&other));
}

/// A backend that goes away and comes back is described as before: nothing is made anew for that.
#[test]
fn what_is_stale_keeps_its_document() {
    let made = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let open_api: OpenApi = Arc::new(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        "{}".into()
    });
    let (catalog, gv) = (Catalog::default(), "far/v1".parse().unwrap());
    for stale in [false, true, false] {
        let open_api = Some(Arc::clone(&open_api));
        let entry = GroupVersionEntry { open_api, stale, ..entry("far/v1", Owner::Aggregated, (0, 0)) };
        catalog.publish(entry).unwrap();
        assert!(catalog.snapshot().open_api(&gv).is_some());
    }
    assert_eq!(made.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn versions_of_one_group_are_one_group_whoever_serves_them() {
    let catalog = Catalog::default();
    catalog.publish(entry("g/v1", Owner::Local, (10, 5))).unwrap();
    catalog.publish(GroupVersionEntry { stale: true, ..entry("g/v2", Owner::Aggregated, (20, 9)) }).unwrap();
    let snapshot = catalog.snapshot();
    let group = read(&snapshot.group("g").unwrap());
    let versions: Vec<_> =
        group["versions"].as_array().unwrap().iter().map(|one| one["version"].clone()).collect();
    assert_eq!(versions, ["v2", "v1"], "{group}");
    assert_eq!(group["preferredVersion"]["version"], "v2");
    let listed = read(snapshot.aggregated_groups(DiscoveryVersion::V2));
    let freshness: Vec<_> = listed["items"][0]["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["freshness"].clone())
        .collect();
    assert_eq!(freshness, ["Stale", "Current"], "{listed}");
}
