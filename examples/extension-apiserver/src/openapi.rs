//! The contract in OpenAPI v3: which operations there are, with which parameters, on which schemas.
//!
//! kubectl reads three things out of it: the schema by `x-kubernetes-group-version-kind` (`explain`, merge),
//! the PATCH operation's `fieldValidation` parameter (`apply`), and `dryRun`.

use serde_json::{Map, Value, json};

use crate::respond::hash;
use crate::route::{GROUP, KIND, RESOURCE, VERSION};
use crate::schema::{FLIGHT, FLIGHT_LIST, PATCH, SCHEMAS, STATUS, reference};

const JSON: &[&str] = &["application/json"];
const PATCHES: &[&str] = &["application/json-patch+json", "application/merge-patch+json"];

/// `/openapi/v3`: where the document is, with a hash that changes when it does.
pub(crate) fn index() -> Value {
    let path = format!("apis/{GROUP}/{VERSION}");
    let url = format!("/openapi/v3/{path}?hash={}", hash(&document().to_string()));
    json!({"paths": {path: {"serverRelativeURL": url}}})
}

/// `/openapi/v3/apis/GROUP/VERSION`.
pub(crate) fn document() -> Value {
    let root = format!("/apis/{GROUP}/{VERSION}");
    let namespaced = format!("{root}/namespaces/{{namespace}}/{RESOURCE}");
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Flights", "version": concat!("v", env!("CARGO_PKG_VERSION"))},
        "paths": {
            format!("{root}/"): {"get": discovery()},
            format!("{root}/{RESOURCE}"): {
                "get": list(&format!("list{GROUP}{VERSION}{KIND}ForAllNamespaces")),
                "parameters": [parameter("pretty", "string", "Accepted and ignored.")],
            },
            namespaced.clone(): collection(),
            format!("{namespaced}/{{name}}"): item(),
        },
        "components": {"schemas": *SCHEMAS},
    })
}

/// One operation under construction.
struct Operation(Value);

impl Operation {
    fn new(verb: &str, action: &str, schema: &str, codes: &[&str]) -> Self {
        let answer =
            json!({"description": "OK", "content": {"application/json": {"schema": reference(schema)}}});
        let answers = codes.iter().map(|code| ((*code).to_owned(), answer.clone())).collect::<Map<_, _>>();
        Self(json!({
            "tags": [format!("{GROUP}_{VERSION}")],
            "description": format!("{verb} {KIND}"),
            "operationId": format!("{verb}{VERSION}Namespaced{KIND}"),
            "responses": answers,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": KIND},
        }))
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.0[key] = value;
        self
    }

    fn body(self, media_types: &[&str], schema: &Value) -> Self {
        let content = media_types
            .iter()
            .map(|media_type| ((*media_type).to_owned(), json!({"schema": schema})))
            .collect::<Map<_, _>>();
        self.with("requestBody", json!({"required": true, "content": content}))
    }

    fn parameters(self, parameters: Vec<Value>) -> Self {
        self.with("parameters", Value::Array(parameters))
    }

    fn build(self) -> Value {
        self.0
    }
}

fn parameter(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true}})
}

fn path_parameter(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description,
           "schema": {"type": "string", "uniqueItems": true}})
}

fn dry_run() -> Value {
    parameter("dryRun", "string", "All: go through every step and keep nothing.")
}

fn write_parameters() -> Vec<Value> {
    vec![
        dry_run(),
        parameter("fieldManager", "string", "Accepted and ignored: this server has no server-side apply."),
        parameter(
            "fieldValidation",
            "string",
            "What happens to unknown fields: Ignore, Warn (default) or Strict.",
        ),
    ]
}

fn list_parameters() -> Vec<Value> {
    vec![
        parameter("labelSelector", "string", "Limits the answer by labels."),
        parameter("fieldSelector", "string", "Limits the answer by metadata.name or metadata.namespace."),
        parameter("resourceVersion", "string", "The revision to have reached, or to watch from."),
        parameter("resourceVersionMatch", "string", "How resourceVersion is meant."),
        parameter("limit", "integer", "Accepted and ignored: lists are whole."),
        parameter("watch", "boolean", "Follow the changes instead."),
        parameter("allowWatchBookmarks", "boolean", "Allow events that only carry a revision."),
        parameter("sendInitialEvents", "boolean", "Begin a watch with the present state and a bookmark."),
        parameter("timeoutSeconds", "integer", "Seconds after which a watch ends."),
    ]
}

fn discovery() -> Value {
    json!({
        "description": "get available resources",
        "operationId": format!("get{VERSION}APIResources"),
        "responses": {"200": {"description": "OK"}},
    })
}

fn list(id: &str) -> Value {
    Operation::new("list", "list", FLIGHT_LIST, &["200"])
        .with("operationId", json!(id))
        .parameters(list_parameters())
        .build()
}

fn collection() -> Value {
    let mut clear = list_parameters();
    clear.push(dry_run());
    json!({
        "get": list(&format!("list{VERSION}Namespaced{KIND}")),
        "post": Operation::new("create", "post", FLIGHT, &["200", "201", "202"])
            .parameters(write_parameters())
            .body(JSON, &reference(FLIGHT))
            .build(),
        "delete": Operation::new("deleteCollection", "deletecollection", FLIGHT_LIST, &["200"])
            .parameters(clear)
            .build(),
        "parameters": [path_parameter("namespace", "The namespace of the flights.")],
    })
}

fn item() -> Value {
    json!({
        "get": Operation::new("read", "get", FLIGHT, &["200"]).build(),
        "put": Operation::new("replace", "put", FLIGHT, &["200"])
            .parameters(write_parameters())
            .body(JSON, &reference(FLIGHT))
            .build(),
        "patch": Operation::new("patch", "patch", FLIGHT, &["200"])
            .parameters(write_parameters())
            .body(PATCHES, &reference(PATCH))
            .build(),
        "delete": Operation::new("delete", "delete", STATUS, &["200"]).parameters(vec![dry_run()]).build(),
        "parameters": [
            path_parameter("namespace", "The namespace of the flight."),
            path_parameter("name", "The name of the flight."),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn kubectl_finds_that_fields_are_validated() {
        let document = document();
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/{RESOURCE}/{{name}}");
        let patch = &document["paths"][path]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], KIND);
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    }
}
