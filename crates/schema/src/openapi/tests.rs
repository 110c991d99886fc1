use super::*;
use detectviz_api::definition::{Additional, Definition, Schema};
use std::collections::BTreeSet;

use crate::Compiled;
use crate::columns::Columns;
use crate::fixture::{definitions, fragments};

fn document(group_version: &str) -> Value {
    let definitions = definitions();
    let built_in = |definition| Published { definition, built_in: true, subresources: &[] };
    let published: Vec<_> = definitions.values().map(built_in).collect();
    group_version_document(&group_version.parse().unwrap(), &published, &fragments())
}

/// The group-versions of which nothing is stored, and so nothing patched.
const COMPUTED: [&str; 2] = ["authentication.k8s.io/v1", "authorization.k8s.io/v1"];

const GROUP_VERSIONS: [&str; 5] = [
    "v1",
    "apiregistration.k8s.io/v1",
    "service.grafana.app/v0alpha1",
    "aggregation.grafana.app/v0alpha1",
    "datasource.detectviz.io/v0alpha1",
];

#[test]
fn every_definition_compiles_and_is_named_like_its_file() {
    let fragments = fragments();
    let definitions = definitions();
    assert!(definitions.len() > 9);
    for (file, definition) in definitions {
        // Where two groups have a resource of one name, the file of the second says its group too.
        let with_group = format!("{}.{}", definition.names.plural, definition.group);
        assert!(file == definition.names.plural || file == with_group, "{file}");
        assert_eq!(definition.names.list_kind, format!("{}List", definition.names.kind));
        for version in &definition.versions {
            Columns::compile(version).unwrap();
        }
        Compiled::built_in(definition, &fragments).unwrap();
    }
}

#[test]
fn a_protobuf_kind_numbers_all_its_fields() {
    let fragments = fragments();
    for (file, definition) in definitions().iter().filter(|(_, one)| one.extensions.protobuf) {
        for version in &definition.versions {
            check_numbers(&version.schema.open_api_v3_schema, &fragments, file);
        }
    }
}

/// Every field of every message has a number of its own, but for an object's `apiVersion` and `kind`: those of the body
/// travel in the envelope, and those of an object within it nowhere.
fn check_numbers(schema: &Schema, fragments: &Fragments, path: &str) {
    let schema = schema.reference.as_ref().map_or(schema, |name| &fragments[name]);
    let embedded = schema.properties.contains_key("metadata");
    let mut seen = BTreeSet::new();
    for (name, property) in &schema.properties {
        let path = format!("{path}.{name}");
        if embedded && matches!(name.as_str(), "apiVersion" | "kind") {
            continue;
        }
        let Some(place) = &property.protobuf_field else { panic!("{path} has no number") };
        assert!(seen.insert(place.numbers()), "{path} shares its number");
        check_numbers(property, fragments, &path);
    }
    if let Some(items) = &schema.items {
        check_numbers(items, fragments, path);
    }
    if let Some(Additional::Schema(values)) = &schema.additional_properties {
        check_numbers(values, fragments, path);
    }
}

#[test]
fn what_is_computed_is_only_created() {
    let document = document("authorization.k8s.io/v1");
    let paths = document["paths"].as_object().unwrap();
    let base = "/apis/authorization.k8s.io/v1";
    let local = format!("{base}/namespaces/{{namespace}}/localsubjectaccessreviews");
    let expected = ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"];
    let expected = expected.map(|plural| format!("{base}/{plural}")).into_iter().chain([local.clone()]);
    assert_eq!(BTreeSet::from_iter(paths.keys().cloned()), expected.collect());
    for item in paths.values() {
        let methods: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(methods, ["parameters", "post"]);
    }
    let post = &paths[&local]["post"];
    assert_eq!(post["operationId"], "createAuthorizationV1NamespacedLocalSubjectAccessReview");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.contains_key("io.k8s.api.authorization.v1.SubjectAccessReviewSpec"));
    assert!(!schemas.keys().any(|name| name.ends_with("ReviewList")), "{:?}", schemas.keys());
}

#[test]
fn core_paths_are_those_of_upstream() {
    let document = document("v1");
    let of = |path: &&str| {
        ["configmaps", "events", "secrets", "namespaces/{name}"].iter().any(|part| {
            path.split_once(part).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('/'))
        }) || path.ends_with("/namespaces")
    };
    let paths: Vec<_> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).filter(of).collect();
    let expected = [
        "/api/v1/configmaps",
        "/api/v1/events",
        "/api/v1/namespaces",
        "/api/v1/namespaces/{name}",
        "/api/v1/namespaces/{name}/status",
        "/api/v1/namespaces/{namespace}/configmaps",
        "/api/v1/namespaces/{namespace}/configmaps/{name}",
        "/api/v1/namespaces/{namespace}/events",
        "/api/v1/namespaces/{namespace}/events/{name}",
        "/api/v1/namespaces/{namespace}/secrets",
        "/api/v1/namespaces/{namespace}/secrets/{name}",
        "/api/v1/secrets",
    ];
    assert_eq!(BTreeSet::from_iter(paths), BTreeSet::from(expected));
    let ids = |path: &str, method: &str| document["paths"][path][method]["operationId"].clone();
    for (path, method, id) in [
        ("/api/v1/configmaps", "get", "listCoreV1ConfigMapForAllNamespaces"),
        ("/api/v1/namespaces/{namespace}/configmaps", "post", "createCoreV1NamespacedConfigMap"),
        ("/api/v1/namespaces/{name}", "delete", "deleteCoreV1Namespace"),
        ("/api/v1/namespaces/{namespace}/configmaps", "delete", "deleteCoreV1CollectionNamespacedConfigMap"),
        ("/api/v1/namespaces/{name}/status", "patch", "patchCoreV1NamespaceStatus"),
    ] {
        assert_eq!(ids(path, method), id);
    }
    assert!(document["paths"]["/api/v1/namespaces"]["delete"].is_null(), "namespaces go one by one");
}

/// What kubectl's `QueryParamVerifierV3` and its apply patcher look for.
#[test]
fn every_patch_operation_tells_kubectl_what_it_takes() {
    for group_version in GROUP_VERSIONS {
        let document = document(group_version);
        let items = document["paths"].as_object().unwrap().values();
        let patches: Vec<_> = items.filter_map(|item| item.get("patch")).collect();
        assert!(!patches.is_empty(), "{group_version}");
        for patch in patches {
            let gvk = &patch["x-kubernetes-group-version-kind"];
            assert!(gvk["kind"].is_string() && gvk["group"].is_string() && gvk["version"].is_string());
            let parameters = patch["parameters"].as_array().unwrap();
            for wanted in ["dryRun", "fieldManager", "fieldValidation"] {
                assert!(
                    parameters.iter().any(|one| one["name"] == wanted && one["in"] == "query"),
                    "{wanted}"
                );
            }
            let content = patch["requestBody"]["content"].as_object().unwrap();
            assert!(content.contains_key("application/strategic-merge-patch+json"));
        }
    }
}

#[test]
fn references_lead_somewhere_and_nothing_private_is_published() {
    for group_version in GROUP_VERSIONS.into_iter().chain(COMPUTED) {
        let document = document(group_version);
        let text = document.to_string();
        for private in ["x-protobuf-field", "micro-time", "\"nullable\""] {
            assert!(!text.contains(private), "{group_version}: {private}");
        }
        check_references(&document, &document["components"]["schemas"]);
    }
}

fn check_references(value: &Value, schemas: &Value) {
    if let Some(Value::String(target)) = value.get("$ref") {
        let name = target.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.get(name).is_some(), "{target} leads nowhere");
    }
    match value {
        Value::Array(list) => list.iter().for_each(|child| check_references(child, schemas)),
        Value::Object(map) => map.values().for_each(|child| check_references(child, schemas)),
        _ => {}
    }
}

#[test]
fn components_have_the_names_of_upstream() {
    for (group_version, name) in [
        ("v1", "io.k8s.api.core.v1.ConfigMap"),
        ("v1", "io.k8s.api.core.v1.ConfigMapList"),
        ("v1", "io.k8s.api.core.v1.EventSeries"),
        ("v1", "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference"),
        ("apiregistration.k8s.io/v1", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService"),
        (
            "apiregistration.k8s.io/v1",
            "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceCondition",
        ),
        ("service.grafana.app/v0alpha1", "app.grafana.service.v0alpha1.ExternalName"),
    ] {
        assert!(document(group_version)["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

#[test]
fn a_kind_keeps_what_patches_are_computed_by() {
    let document = document("v1");
    let schemas = &document["components"]["schemas"];
    let owners = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["ownerReferences"];
    assert_eq!(owners["x-kubernetes-patch-merge-key"], "uid");
    assert_eq!(owners["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(owners["x-kubernetes-list-map-keys"], json!(["uid"]));
    let event = &schemas["io.k8s.api.core.v1.Event"];
    assert_eq!(event["properties"]["eventTime"]["format"], "date-time");
    assert_eq!(
        event["properties"]["source"],
        json!({
            "description": "Who recorded the event.",
            "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.EventSource"}],
        })
    );
    assert_eq!(
        event["x-kubernetes-group-version-kind"],
        json!([{"group": "", "version": "v1", "kind": "Event"}])
    );
}

fn custom() -> Definition {
    let properties = json!({"metadata": {"type": "object"}, "spec": {"type": "object", "properties": {
        "port": {"x-kubernetes-int-or-string": true, "nullable": true},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        // A property may be called like a keyword.
        "format": {"type": "string", "format": "micro-time"},
    }}});
    let version = |name: &str, served: bool| {
        let schema = json!({"type": "object", "properties": properties});
        json!({"name": name, "served": served, "storage": served, "schema": {"openAPIV3Schema": schema}})
    };
    serde_json::from_value(json!({
        "group": "toys.example.com",
        "names": {"plural": "tops", "singular": "top", "kind": "Top", "listKind": "TopList"},
        "scope": "Cluster",
        "versions": [version("v1", true), version("v2", false)],
    }))
    .unwrap()
}

#[test]
fn a_custom_resource_is_published_without_what_only_built_in_ones_have() {
    let definition = custom();
    let published = [Published { definition: &definition, built_in: false, subresources: &[] }];
    let document =
        group_version_document(&GroupVersion::new("toys.example.com", "v1"), &published, &fragments());
    assert_eq!(
        document["components"]["schemas"]["com.example.toys.v1.Top"],
        json!({
            "type": "object",
            "properties": {
                "apiVersion": {"description": "The group and version of this form of the object.", "type": "string"},
                "kind": {"description": "The object's kind.", "type": "string"},
                "metadata": {
                    "description": "The object's metadata.",
                    "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}],
                },
                "spec": {"type": "object", "properties": {
                    "format": {"type": "string", "format": "date-time"},
                    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "port": {"nullable": true, "x-kubernetes-int-or-string": true},
                }},
            },
            "x-kubernetes-group-version-kind": [{"group": "toys.example.com", "version": "v1", "kind": "Top"}],
        })
    );
    let delete = &document["paths"]["/apis/toys.example.com/v1/tops/{name}"]["delete"];
    let kind = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1";
    let status = json!({"application/json": {"schema": {"$ref": format!("{kind}.Status")}}});
    assert_eq!(
        *delete,
        json!({
            "description": "Delete a Top.",
            "operationId": "deleteToysExampleComV1Top",
            "tags": ["toys.example.com_v1"],
            "parameters": parameters::Query::Delete.parameters(),
            "requestBody": {
                "content": {"application/json": {"schema": {"$ref": format!("{kind}.DeleteOptions")}}},
                "required": false,
            },
            "responses": {
                "200": {"description": "OK", "content": status},
                "202": {"description": "Accepted", "content": status},
                "default": {"description": "Failure", "content": status},
            },
            "x-kubernetes-action": "delete",
            "x-kubernetes-group-version-kind": {"group": "toys.example.com", "version": "v1", "kind": "Top"},
        })
    );
    let patch =
        &document["paths"]["/apis/toys.example.com/v1/tops/{name}"]["patch"]["requestBody"]["content"];
    assert!(patch.get("application/strategic-merge-patch+json").is_none());
}

#[test]
fn a_subresource_of_a_strategy_has_a_path_like_a_declared_one() {
    let definitions = definitions();
    let published =
        [Published { definition: &definitions["namespaces"], built_in: true, subresources: &["finalize"] }];
    let document = group_version_document(&GroupVersion::new("", "v1"), &published, &fragments());
    let put = &document["paths"]["/api/v1/namespaces/{name}/finalize"]["put"];
    assert_eq!(put["operationId"], "replaceCoreV1NamespaceFinalize");
    assert_eq!(put["description"], "Replace the finalize of a Namespace.");
}

#[test]
fn a_scale_is_of_a_kind_of_its_own() {
    let mut definition = custom();
    let scale = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"});
    definition.versions[0].subresources = serde_json::from_value(json!({"scale": scale})).unwrap();
    let published = [Published { definition: &definition, built_in: false, subresources: &[] }];
    let gv = GroupVersion::new("toys.example.com", "v1");
    let document = group_version_document(&gv, &published, &fragments());
    let put = &document["paths"]["/apis/toys.example.com/v1/tops/{name}/scale"]["put"];
    assert_eq!(put["x-kubernetes-group-version-kind"]["kind"], "Scale");
    let body = &put["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/io.k8s.api.autoscaling.v1.Scale");
    let schema = &document["components"]["schemas"]["io.k8s.api.autoscaling.v1.Scale"];
    assert_eq!(schema["properties"]["spec"]["properties"]["replicas"]["type"], "integer");
    assert_eq!(schema["properties"]["kind"]["type"], "string");
}

#[test]
fn a_version_that_is_not_served_has_no_paths() {
    let definition = custom();
    let published = [Published { definition: &definition, built_in: false, subresources: &[] }];
    let document =
        group_version_document(&GroupVersion::new("toys.example.com", "v2"), &published, &fragments());
    assert_eq!(document["paths"], json!({}));
}

#[test]
fn documents_do_not_depend_on_the_order_of_definitions() {
    let definitions = definitions();
    let built_in = |definition| Published { definition, built_in: true, subresources: &[] };
    let mut published: Vec<_> = definitions.values().map(built_in).collect();
    let core = GroupVersion::new("", "v1");
    let forwards = group_version_document(&core, &published, &fragments()).to_string();
    published.reverse();
    assert_eq!(group_version_document(&core, &published, &fragments()).to_string(), forwards);
}
