//! OpenAPI v3 with its index, and OpenAPI v2 in both of its encodings.

use super::{accept, get};
use detectviz_tests::{Client, variants};
use serde_json::{Value, json};

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As kubectl spells it.
const V2_PROTOBUF_OLD: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Paths, and in which form to ask for them.
pub(super) const DOCUMENTS: [(&str, &str); 5] = [
    ("/openapi/v3", "application/json"),
    ("/openapi/v3/api/v1", "application/json"),
    ("/openapi/v3/apis/service.grafana.app/v0alpha1", "*/*"),
    ("/openapi/v2", "application/json"),
    ("/openapi/v2", V2_PROTOBUF_OLD),
];

fn index(client: &Client) -> Vec<(String, String)> {
    let index = client.get("/openapi/v3").expect(200);
    let paths = index["paths"].as_object().unwrap().iter();
    paths
        .map(|(path, entry)| (path.clone(), entry["serverRelativeURL"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn the_index_leads_to_documents_that_may_be_kept_for_ever() {
    variants(|server| {
        let admin = server.admin();
        let index = index(&admin);
        let paths: Vec<_> = index.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "api/v1",
                "apis/admissionregistration.k8s.io/v1",
                "apis/aggregation.grafana.app/v0alpha1",
                "apis/apiregistration.k8s.io/v1",
                "apis/authentication.k8s.io/v1",
                "apis/authorization.k8s.io/v1",
                "apis/coordination.k8s.io/v1",
                "apis/datasource.detectviz.io/v0alpha1",
                "apis/discovery.k8s.io/v1",
                "apis/events.k8s.io/v1",
                "apis/flowcontrol.apiserver.k8s.io/v1",
                "apis/flowcontrol.apiserver.k8s.io/v1beta1",
                "apis/flowcontrol.apiserver.k8s.io/v1beta2",
                "apis/flowcontrol.apiserver.k8s.io/v1beta3",
                "apis/service.grafana.app/v0alpha1",
            ]
        );
        for (path, url) in index {
            let (plain, hash) = url.split_once("?hash=").unwrap();
            assert_eq!(plain, format!("/openapi/v3/{path}"));
            let kept = admin.get(&url);
            assert_eq!(kept.expect(200)["openapi"], "3.0.0");
            assert_eq!(kept.header("etag"), Some(format!("\"{hash}\"").as_str()));
            assert_eq!(kept.header("cache-control"), Some("public, immutable"));
            let (date, expires) = (kept.header("date").unwrap(), kept.header("expires").unwrap());
            assert!(expires.ends_with(" GMT") && expires.len() == date.len(), "{expires}");
            assert_ne!(expires.split(' ').nth(3), date.split(' ').nth(3), "the year is the next");
            let asked_again = get(&admin, &url, &[("If-None-Match", &format!("\"{hash}\""))]);
            assert_eq!(
                (asked_again.code, asked_again.header("cache-control")),
                (304, Some("public, immutable"))
            );
            assert!(asked_again.header("expires").is_some());
            let unnamed = admin.get(plain);
            assert_eq!((unnamed.code, unnamed.header("expires"), &unnamed.body), (200, None, &kept.body));
            assert_ne!(unnamed.header("cache-control"), Some("public, immutable"));
            let stale = admin.get(format!("{plain}?hash=0123456789ABCDEF"));
            assert_eq!((stale.code, stale.header("location")), (301, Some(url.as_str())));
            assert!(stale.header("expires").is_none());
        }
    });
}

#[test]
fn documents_come_in_the_encodings_that_there_are() {
    variants(|server| {
        let admin = server.admin();
        let fallback = format!("{V2_PROTOBUF_OLD};q=0.5,application/json;q=0.4");
        for (path, asked, kind) in [
            ("/openapi/v2", "application/json", Some("application/json")),
            ("/openapi/v2", "*/*", Some("application/json")),
            ("/openapi/v2", V2_PROTOBUF, Some(V2_PROTOBUF)),
            ("/openapi/v2", V2_PROTOBUF_OLD, Some(V2_PROTOBUF)),
            ("/openapi/v2", &fallback, Some(V2_PROTOBUF)),
            (
                "/openapi/v2",
                "application/com.github.proto-openapi.spec.v2@v2.0+protobuf,*/*;q=0.1",
                Some("application/json"),
            ),
            ("/openapi/v2", "text/html", None),
            ("/openapi/v3/api/v1", "application/json", Some("application/json")),
            (
                "/openapi/v3/api/v1",
                "application/com.github.proto-openapi.spec.v3@v1.0+protobuf,application/json",
                Some("application/json"),
            ),
            ("/openapi/v3/api/v1", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", None),
            ("/openapi/v3/api/v1", "text/html", None),
        ] {
            let answer = accept(&admin, path, asked);
            match kind {
                Some(_) => {
                    assert_eq!((answer.code, answer.header("content-type")), (200, kind), "{path} {asked}")
                }
                None => drop(answer.refused(406, "NotAcceptable")),
            }
        }
        let [old, new] = [V2_PROTOBUF_OLD, V2_PROTOBUF].map(|asked| accept(&admin, "/openapi/v2", asked));
        assert_eq!(old.body, new.body);
        assert!(old.body.starts_with(b"\x0a\x032.0\x12"), "swagger and info come first");
        assert_ne!(old.header("etag"), accept(&admin, "/openapi/v2", "application/json").header("etag"));
    });
}

/// Everything below `value` that passes, with where it stands.
fn find<'a>(
    value: &'a Value,
    at: &str,
    passes: &dyn Fn(&str, &Value) -> bool,
    found: &mut Vec<(String, &'a Value)>,
) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, child)| (key.clone(), child)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect()
        }
        _ => return,
    };
    for (key, child) in children {
        let at = format!("{at}/{key}");
        if passes(&key, child) {
            found.push((at.clone(), child));
        }
        find(child, &at, passes, found);
    }
}

fn all(document: &Value, passes: impl Fn(&str, &Value) -> bool) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    find(document, "", &passes, &mut found);
    found
}

#[test]
fn v2_is_all_of_v3_in_one_document() {
    variants(|server| {
        let admin = server.admin();
        let v2 = admin.get("/openapi/v2").expect(200);
        assert_eq!((&v2["swagger"], v2.get("openapi")), (&json!("2.0"), None));
        for (target, reference) in all(&v2, |key, value| key == "$ref" && value.is_string()) {
            let name = reference.as_str().unwrap().strip_prefix("#/definitions/").unwrap();
            assert!(v2["definitions"].get(name).is_some(), "{target} leads to {name}, which is not there");
        }
        for word in ["nullable", "oneOf", "anyOf", "not", "requestBody", "components"] {
            let found = all(&v2, |key, _| key == word);
            let found: Vec<_> = found.iter().filter(|(at, _)| !at.contains("/properties/")).collect();
            assert!(found.is_empty(), "{word}: {found:?}");
        }
        let mut paths = 0;
        for (_, url) in index(&admin) {
            let v3 = admin.get(&url).expect(200);
            for (path, item) in v3["paths"].as_object().unwrap() {
                paths += 1;
                for (method, operation) in
                    item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters")
                {
                    let converted = &v2["paths"][path][method];
                    for same in ["operationId", "x-kubernetes-action", "x-kubernetes-group-version-kind"] {
                        assert_eq!(converted[same], operation[same], "{method} {path}: {same}");
                    }
                }
            }
            for (name, schema) in v3["components"]["schemas"].as_object().unwrap() {
                let converted = &v2["definitions"][name];
                for same in ["description", "x-kubernetes-group-version-kind", "required"] {
                    assert_eq!(converted[same], schema[same], "{name}: {same}");
                }
            }
        }
        assert_eq!(v2["paths"].as_object().unwrap().len(), paths);
        let ids = all(&v2, |key, _| key == "operationId");
        let mut unique: Vec<_> = ids.iter().map(|(_, id)| id.as_str().unwrap()).collect();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len());
    });
}

#[test]
fn schemas_say_how_fields_merge_and_which_kind_they_are() {
    variants(|server| {
        let admin = server.admin();
        let v3 = admin.get("/openapi/v3/api/v1").expect(200)["components"]["schemas"].clone();
        let v2 = admin.get("/openapi/v2").expect(200)["definitions"].clone();
        for schemas in [&v3, &v2] {
            let owners =
                &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["ownerReferences"];
            for (word, expected) in [
                ("x-kubernetes-list-type", json!("map")),
                ("x-kubernetes-list-map-keys", json!(["uid"])),
                ("x-kubernetes-patch-merge-key", json!("uid")),
                ("x-kubernetes-patch-strategy", json!("merge")),
            ] {
                assert_eq!(owners[word], expected, "{word}");
            }
            let kind = json!([{"group": "", "version": "v1", "kind": "ConfigMap"}]);
            assert_eq!(schemas["io.k8s.api.core.v1.ConfigMap"]["x-kubernetes-group-version-kind"], kind);
            let reference = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference"];
            assert_eq!(reference["x-kubernetes-map-type"], "atomic");
        }
        let source = &v2["io.k8s.api.core.v1.Event"]["properties"]["source"];
        assert_eq!(source["$ref"], "#/definitions/io.k8s.api.core.v1.EventSource");
        assert!(source["description"].is_string());
        let documents = index(&admin).into_iter().map(|(_, url)| admin.get(url).expect(200));
        for document in documents.chain([admin.get("/openapi/v2").expect(200)]) {
            let bare = all(&document, |_, value| {
                let is_schema = value.get("type").is_some_and(Value::is_string) && value.get("in").is_none();
                is_schema
                    && value["type"] == "object"
                    && value.get("properties").is_some()
                    && value.get("description").is_none()
            });
            let bare: Vec<_> = bare.into_iter().map(|(at, _)| at).collect();
            assert!(bare.is_empty(), "these objects have no description: {bare:#?}");
        }
    });
}
