use super::*;

fn gv() -> GroupVersion {
    GroupVersion::new("example.io", "v1")
}

fn document(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn entry() -> Value {
    json!({
        "resource": "flights", "responseKind": {"group": "example.io", "version": "v1", "kind": "Flight"},
        "scope": "Namespaced", "singularResource": "flight", "verbs": ["get", "list"], "shortNames": ["fl"],
        "subresources": [{
            "subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
            "verbs": ["get"],
        }],
    })
}

fn groups(resources: &Value) -> Value {
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "items": [
            {"metadata": {"name": "other.io"}, "versions": [{"version": "v1", "resources": [{"junk": true}]}]},
            {"metadata": {"name": "example.io"}, "versions": [
                {"version": "v2", "resources": [{"junk": true}]},
                {"version": "v1", "resources": resources, "freshness": "Current"},
            ]},
        ],
    })
}

#[test]
fn only_this_group_version_is_read_from_aggregated_discovery() {
    let found = aggregated(&document(&groups(&json!([entry()]))), &gv()).unwrap().unwrap();
    assert_eq!(found, Discovered { resources: vec![entry()], stale: false });
}

#[test]
fn another_document_is_no_aggregated_discovery() {
    for other in [json!({"kind": "APIGroupList"}), json!({}), json!({"kind": "APIGroupDiscoveryList"})] {
        assert_eq!(aggregated(&document(&other), &gv()).unwrap(), None, "{other}");
    }
    let mut stale = groups(&json!([]));
    stale["items"][1]["versions"][1]["freshness"] = "Stale".into();
    assert!(aggregated(&document(&stale), &gv()).unwrap().unwrap().stale);
}

#[test]
fn garbage_is_an_error_that_names_its_place_and_quotes_nothing() {
    for (pointer, value) in [
        ("/scope", json!("SECRET")),
        ("/verbs", json!("SECRET")),
        ("/resource", json!("../SECRET")),
        ("/resource", json!("x".repeat(9000))),
        ("/resource", json!(null)),
        ("/subresources/0/subresource", json!("")),
    ] {
        let mut bad = entry();
        *bad.pointer_mut(pointer).unwrap() = value;
        let why = aggregated(&document(&groups(&json!([entry(), bad]))), &gv()).unwrap_err().to_string();
        assert!(why.starts_with("resource 2 of example.io/v1 in the answer is malformed"), "{why}");
    }
    for junk in [&b"<html>SECRET"[..], b"", b"\xff\xfe", b"{\"kind\":", b"{\"kind\": 7}", b"[7]"] {
        let why = legacy(junk, &gv()).unwrap_err().to_string();
        assert!(why.contains("no APIResourceList, from line") && !why.contains("SECRET"), "{why}");
        assert_eq!(aggregated(junk, &gv()).unwrap(), None, "no claim to be aggregated discovery");
    }
    let cut = b"{\"kind\": \"APIGroupDiscoveryList\", \"items\": \"SECRET\"}";
    let why = aggregated(cut, &gv()).unwrap_err().to_string();
    assert!(why.contains("no APIGroupDiscoveryList, from line 1") && !why.contains("SECRET"), "{why}");
}

#[test]
fn legacy_discovery_is_converted() {
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "example.io/v1",
        "resources": [
            {"name": "flights/scale", "singularName": "", "namespaced": true, "kind": "Scale", "group": "autoscaling",
             "version": "v1", "verbs": ["get"]},
            {"name": "flights", "singularName": "flight", "namespaced": true, "kind": "Flight",
             "verbs": ["get", "list"], "shortNames": ["fl"], "storageVersionHash": "x"},
            {"name": "ports/status", "singularName": "", "namespaced": false, "kind": "Port", "verbs": []},
        ],
    });
    let found = legacy(&document(&list), &gv()).unwrap();
    assert_eq!(found.resources[0], entry());
    assert_eq!(found.resources[1]["resource"], "ports");
    assert_eq!(found.resources[1]["scope"], "Cluster");
    assert_eq!(found.resources[1]["subresources"][0]["responseKind"]["kind"], "Port");
    assert_eq!(found.resources.len(), 2);
}

#[test]
fn a_legacy_list_must_be_about_this_group_version() {
    let of = |kind: &str, gv_text: &str| {
        let list = json!({"kind": kind, "groupVersion": gv_text, "resources": []});
        legacy(&document(&list), &gv()).map_err(|why| why.to_string())
    };
    assert!(of("APIResourceList", "example.io/v1").is_ok());
    assert!(of("APIResourceList", "example.io/v2").unwrap_err().contains("must be about example.io/v1"));
    assert!(of("Status", "example.io/v1").unwrap_err().contains("must be of kind APIResourceList"));
}

#[test]
fn lists_that_go_left_empty_are_null() {
    let list = json!({"kind": "APIResourceList", "groupVersion": "example.io/v1", "resources": [
        {"name": "flights", "namespaced": false, "kind": "Flight", "verbs": null, "shortNames": null},
    ]});
    assert_eq!(legacy(&document(&list), &gv()).unwrap().resources[0]["verbs"], json!([]));
    let none = json!({"kind": "APIResourceList", "groupVersion": "example.io/v1", "resources": null});
    assert!(legacy(&document(&none), &gv()).unwrap().resources.is_empty());
    assert!(aggregated(&document(&groups(&json!(null))), &gv()).unwrap().unwrap().resources.is_empty());
}

#[test]
fn the_number_of_resources_is_bounded() {
    let many = json!({"kind": "APIResourceList", "groupVersion": "example.io/v1",
        "resources": vec![json!({"name": "a/b", "kind": "A"}); MAX_RESOURCES + 1]});
    let why = legacy(&document(&many), &gv()).unwrap_err().to_string();
    assert!(why.contains("at most 2000 are allowed"), "{why}");
}
