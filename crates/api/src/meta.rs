//! `metadata`, read and written in place: objects stay JSON documents, nothing a client sent is lost on the way.

use serde_json::{Map, Value};

use crate::names::{check_dns_label, check_label_key, check_label_value};
use crate::status::Cause;

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
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|list| !list.is_empty())
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

/// Every fault of the object's metadata; `check_name` is the rule of the kind.
pub fn faults(
    object: &Value,
    namespaced: bool,
    check_name: impl Fn(&str) -> Result<(), String>,
) -> Vec<Cause> {
    let mut faults = Vec::new();
    match name(object) {
        "" => faults.push(cause(
            "FieldValueRequired",
            "metadata.name",
            "Required value: name or generateName is required".into(),
        )),
        name => faults.extend(check_name(name).err().map(|why| invalid("metadata.name", name, &why))),
    }
    match (namespaced, namespace(object)) {
        (true, "") => faults.push(cause("FieldValueRequired", "metadata.namespace", "Required value".into())),
        (true, ns) => {
            faults.extend(check_dns_label(ns).err().map(|why| invalid("metadata.namespace", ns, &why)))
        }
        (false, "") => {}
        (false, _) => faults.push(cause(
            "FieldValueForbidden",
            "metadata.namespace",
            "Forbidden: not allowed on this type".into(),
        )),
    }
    faults.extend(map_faults(object, "labels", check_label_value));
    faults.extend(map_faults(object, "annotations", |_| Ok(())));
    faults.extend(annotation_size_fault(object));
    faults
}

/// The most bytes of all annotations of an object together; upstream's bound.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

fn annotation_size_fault(object: &Value) -> Option<Cause> {
    let annotations = object.pointer("/metadata/annotations")?.as_object()?;
    let bytes: usize =
        annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    let message = format!("Too long: may not be more than {MAX_ANNOTATION_BYTES} bytes");
    (bytes > MAX_ANNOTATION_BYTES).then(|| cause("FieldValueTooLong", "metadata.annotations", message))
}

fn map_faults(object: &Value, field: &str, check_value: fn(&str) -> Result<(), String>) -> Vec<Cause> {
    let path = format!("metadata.{field}");
    let Some(map) = object.get("metadata").and_then(|meta| meta.get(field)).and_then(Value::as_object) else {
        return Vec::new();
    };
    let fault = |(key, value): (&String, &Value)| {
        let text = value.as_str().unwrap_or_default();
        check_label_key(&key.to_lowercase())
            .map_err(|why| invalid(&path, key, &why))
            .and_then(|()| check_value(text).map_err(|why| invalid(&path, text, &why)))
            .err()
    };
    map.iter().filter_map(fault).collect()
}

fn invalid(field: &str, value: &str, why: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {value:?}: {why}"))
}

fn cause(reason: &str, field: &str, message: String) -> Cause {
    Cause { reason: reason.to_owned(), message, field: field.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::check_dns_subdomain;
    use serde_json::json;

    #[test]
    fn every_fault_is_reported_at_once() {
        let object =
            json!({"metadata": {"name": "A_", "namespace": "x", "labels": {"-": "ok", "k": "not ok"}}});
        let fields: Vec<_> =
            faults(&object, false, check_dns_subdomain).into_iter().map(|cause| cause.field).collect();
        assert_eq!(fields, ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.labels"]);
    }
}
