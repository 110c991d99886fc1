//! `metadata`, read and written in place: objects stay JSON documents, nothing a client sent is lost on the way.

mod faults;

use serde_json::{Map, Value};

pub use faults::{Subject, embedded_faults, faults};

/// The text at `metadata.FIELD`; empty when absent.
pub fn field<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|meta| meta.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// The object's name.
pub fn name(object: &Value) -> &str {
    field(object, "name")
}

/// The object's namespace; empty when cluster-scoped.
pub fn namespace(object: &Value) -> &str {
    field(object, "namespace")
}

/// The object's uid.
pub fn uid(object: &Value) -> &str {
    field(object, "uid")
}

/// The object's `resourceVersion`, as text.
pub fn resource_version(object: &Value) -> &str {
    field(object, "resourceVersion")
}

/// Whether the object waits for its finalizers.
pub fn is_deleting(object: &Value) -> bool {
    !field(object, "deletionTimestamp").is_empty()
}

/// Whether any finalizer holds the object.
pub fn has_finalizers(object: &Value) -> bool {
    finalizers(object).next().is_some()
}

/// The object's finalizers.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().map(|finalizer| finalizer.as_str().unwrap_or_default())
}

/// The seconds that an object which is being deleted is given to end.
pub fn deletion_grace_seconds(object: &Value) -> Option<i64> {
    object.pointer("/metadata/deletionGracePeriodSeconds")?.as_i64()
}

/// `metadata` as a map, made when it is missing or no map; `None` when the object is no map.
pub fn of_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let meta = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if !meta.is_object() {
        *meta = Value::Object(Map::new());
    }
    meta.as_object_mut()
}

/// A copy of the parts of the object that `PartialObjectMetadata` has.
pub fn partial(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_default();
    serde_json::json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
}

/// The most levels that an object may be nested: few enough that a list or an event around it can be read by any
/// client, far more than any kind needs.
pub const MAX_DEPTH: usize = 100;

/// How deep `value` is nested; a scalar is 0. Recurses as deep: for values whose depth was bounded when they were read.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
