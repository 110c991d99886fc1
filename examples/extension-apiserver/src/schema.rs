//! One schema for two readers: what OpenAPI publishes is what every body is checked against.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::route::{GROUP, KIND, VERSION};

/// Name of the flight's schema.
pub(crate) const FLIGHT: &str = "io.detectviz.example.v1.Flight";
/// Name of the list's schema.
pub(crate) const FLIGHT_LIST: &str = "io.detectviz.example.v1.FlightList";
/// Name of the schema of any patch.
pub(crate) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
/// Name of the schema of a failure, and of the answer to a deletion.
pub(crate) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const OWNER: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference";

/// Every schema by name, as `components.schemas` publishes them.
pub(crate) static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut schemas = Map::new();
    for (name, schema) in [
        (FLIGHT, flight()),
        (FLIGHT_LIST, flight_list()),
        (META, object_meta()),
        (LIST_META, list_meta()),
        (OWNER, owner_reference()),
        (
            PATCH,
            json!({"type": "object", "description": "Changes to the object, in the format that Content-Type names."}),
        ),
        (STATUS, status()),
    ] {
        schemas.insert(name.to_owned(), schema);
    }
    schemas
});

/// A reference to the schema called `name`.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn texts(description: &str) -> Value {
    json!({"type": "object", "description": description, "additionalProperties": {"type": "string"}})
}

fn time(description: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn whole(description: &str) -> Value {
    json!({"type": "integer", "format": "int64", "description": description})
}

fn described(name: &str, description: &str) -> Value {
    json!({"description": description, "default": {}, "allOf": [reference(name)]})
}

fn api_version() -> Value {
    text("The group and version that this representation of the object follows.")
}

fn kind() -> Value {
    text("The REST resource that this object represents.")
}

fn flight() -> Value {
    let place = |description| json!({"type": "string", "default": "", "description": description});
    json!({
        "type": "object",
        "description": "Flight is one departure.",
        "properties": {
            "apiVersion": api_version(),
            "kind": kind(),
            "metadata": described(META, "Standard object metadata."),
            "spec": {
                "type": "object",
                "description": "The flight as it is planned.",
                "required": ["origin", "destination"],
                "properties": {
                    "origin": place("Airport of departure."),
                    "destination": place("Airport of arrival."),
                    "gate": text("Gate of departure, once it is assigned."),
                },
            },
            "status": {
                "type": "object",
                "description": "The flight as it was last seen.",
                "properties": {"phase": text("Where the flight is in its life, such as Boarding.")},
            },
        },
        "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": KIND}],
    })
}

fn flight_list() -> Value {
    json!({
        "type": "object",
        "description": "FlightList is a list of flights.",
        "required": ["items"],
        "properties": {
            "apiVersion": api_version(),
            "kind": kind(),
            "metadata": described(LIST_META, "Standard list metadata."),
            "items": {"type": "array", "description": "The flights.", "items": reference(FLIGHT)},
        },
        "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": format!("{KIND}List")}],
    })
}

fn object_meta() -> Value {
    json!({
        "type": "object",
        "description": "ObjectMeta is the metadata that every stored object has.",
        "properties": {
            "name": text("Name, unique within the namespace."),
            "generateName": text("Prefix of a name that the server completes, where no name is given."),
            "namespace": text("Namespace that the name is unique in."),
            "selfLink": text("Kept for old clients, ignored."),
            "uid": text("Identity of this object in time and space, set by the server."),
            "resourceVersion": text("Opaque version of the object, set by the server, for conflicts and watches."),
            "generation": whole("Counts the changes of the spec, set by the server."),
            "creationTimestamp": time("When the object was created, set by the server."),
            "deletionTimestamp": time("When deletion was asked for, set by the server."),
            "deletionGracePeriodSeconds": whole("Seconds that deletion may take, set by the server."),
            "labels": texts("Names and values to select objects by."),
            "annotations": texts("Names and values that are kept and not interpreted."),
            "ownerReferences": {
                "type": "array",
                "description": "The objects that this object depends on.",
                "items": reference(OWNER),
            },
            "finalizers": {
                "type": "array",
                "description": "Who must finish something before the object may vanish.",
                "items": {"type": "string"},
            },
            "managedFields": {
                "type": "array",
                "description": "Accepted and dropped: this server has no server-side apply.",
                "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            },
        },
    })
}

fn list_meta() -> Value {
    json!({
        "type": "object",
        "description": "ListMeta is the metadata of a list.",
        "properties": {
            "resourceVersion": text("Version of the collection, to start a watch from."),
            "continue": text("Never set: lists are whole."),
            "remainingItemCount": whole("Never set: lists are whole."),
            "selfLink": text("Kept for old clients, ignored."),
        },
    })
}

fn owner_reference() -> Value {
    json!({
        "type": "object",
        "description": "OwnerReference names an object that another depends on.",
        "required": ["apiVersion", "kind", "name", "uid"],
        "properties": {
            "apiVersion": text("Group and version of the owner."),
            "kind": text("Kind of the owner."),
            "name": text("Name of the owner."),
            "uid": text("Uid of the owner."),
            "controller": {"type": "boolean", "description": "Whether the owner manages this object."},
            "blockOwnerDeletion": {"type": "boolean", "description": "Whether the owner waits for this object."},
        },
    })
}

fn status() -> Value {
    json!({
        "type": "object",
        "description": "Status is the answer of a call that returns no object.",
        "properties": {
            "apiVersion": api_version(),
            "kind": kind(),
            "metadata": described(LIST_META, "Standard list metadata."),
            "status": text("Success or Failure."),
            "message": text("What happened, for people."),
            "reason": text("What happened, in one word, for programs."),
            "details": {"type": "object", "description": "What it happened to.",
                        "x-kubernetes-preserve-unknown-fields": true},
            "code": {"type": "integer", "format": "int32", "description": "The HTTP status."},
        },
        "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Status"}],
    })
}

/// What [`prune`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Paths of the fields that the schema does not know; they are gone from the value.
    pub(crate) unknown: Vec<String>,
    /// What has the wrong type, as phrases such as `spec.origin must be a string`.
    pub(crate) mistyped: Vec<String>,
}

/// Removes from `value` what the schema called `name` does not know, and nulls, which mean absent.
pub(crate) fn prune(name: &str, value: &mut Value) -> Findings {
    let mut findings = Findings::default();
    walk(&SCHEMAS[name], value, "", &mut findings);
    findings
}

fn walk(schema: &Value, value: &mut Value, path: &str, findings: &mut Findings) {
    let schema = resolve(schema);
    let expected = schema["type"].as_str().unwrap_or_default();
    match (expected, value) {
        ("object", Value::Object(fields)) => walk_fields(schema, fields, path, findings),
        ("array", Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{index}]"), findings);
            }
        }
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) => {}
        ("integer", Value::Number(number)) if number.is_i64() => {}
        _ => findings.mistyped.push(format!("{path} must be of type {expected}")),
    }
}

fn walk_fields(schema: &Value, fields: &mut Map<String, Value>, path: &str, findings: &mut Findings) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    fields.retain(|key, value| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let known = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
        match known {
            Some(_) if value.is_null() => return false,
            Some(schema) => walk(schema, value, &path, findings),
            None => findings.unknown.push(path),
        }
        known.is_some()
    });
}

/// Follows `$ref`, directly or as the only part of `allOf`.
fn resolve(schema: &Value) -> &Value {
    let target = schema["allOf"].get(0).unwrap_or(schema);
    let name = target["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.map_or(schema, |name| &SCHEMAS[name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_named_and_removed() {
        let mut value = json!({
            "metadata": {"labels": {"any": "thing"}, "ownerReferences": [{"name": "a", "extra": 1}], "creationTimestamp": null},
            "spec": {"origin": "TPE", "foo": {"bar": 1}},
            "top": 1,
        });
        let findings = prune(FLIGHT, &mut value);
        assert_eq!(findings.unknown, ["metadata.ownerReferences[0].extra", "spec.foo", "top"]);
        let metadata = json!({"labels": {"any": "thing"}, "ownerReferences": [{"name": "a"}]});
        assert_eq!(value, json!({"metadata": metadata, "spec": {"origin": "TPE"}}));
    }

    #[test]
    fn wrong_types_are_named() {
        let findings = prune(FLIGHT, &mut json!({"metadata": {"labels": {"a": 1}}, "spec": []}));
        assert_eq!(
            findings.mistyped,
            ["metadata.labels.a must be of type string", "spec must be of type object"]
        );
    }
}
