//! Who owns the number of replicas, told between an object and its `Scale`: the same entry, with another path in it.
//! Upstream's `ScaleHandler`.

use serde_json::{Map, Value, json};

use super::{API_VERSION, segments};

/// The entries of a `Scale`: of each that owns the number in the object, in the version `api_version`.
pub(super) fn to_scale(entries: Option<&Value>, api_version: &str, path: &str) -> Value {
    let own = list(entries).iter().filter(|entry| entry["apiVersion"] == api_version && owns(entry, path));
    own.map(|entry| {
        let mut entry = entry.clone();
        entry["apiVersion"] = API_VERSION.into();
        entry["fieldsV1"] = fields(".spec.replicas");
        entry
    })
    .collect()
}

/// The entries of the object after a write of its `Scale`: who lost the number there loses it here, and who took it there
/// owns it here.
pub(super) fn to_parent(
    entries: Option<&Value>,
    scale: Option<&Value>,
    api_version: &str,
    path: &str,
) -> Value {
    let mut taken: Vec<&Value> = list(scale).iter().filter(|entry| owns(entry, ".spec.replicas")).collect();
    let mut kept = Vec::new();
    for entry in list(entries) {
        if entry["apiVersion"] != api_version || !owns(entry, path) {
            kept.push(entry.clone());
        } else if let Some(index) = taken.iter().position(|other| is_same(entry, other)) {
            taken.remove(index);
            kept.push(entry.clone());
        } else {
            kept.extend(without(entry, path));
        }
    }
    kept.extend(taken.into_iter().map(|entry| {
        let mut entry = entry.clone();
        entry["apiVersion"] = api_version.into();
        entry["fieldsV1"] = fields(path);
        entry
    }));
    Value::Array(kept)
}

fn list(entries: Option<&Value>) -> &[Value] {
    entries.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether two entries are of the same manager, who wrote in the same way.
fn is_same(entry: &Value, other: &Value) -> bool {
    ["manager", "operation", "subresource"].iter().all(|field| entry.get(field) == other.get(field))
}

fn owns(entry: &Value, path: &str) -> bool {
    segments(path).try_fold(&entry["fieldsV1"], |set, segment| set.get(format!("f:{segment}"))).is_some()
}

/// The set of the one field that `path` names.
fn fields(path: &str) -> Value {
    let names: Vec<&str> = segments(path).collect();
    names
        .into_iter()
        .rev()
        .fold(json!({}), |inner, name| Value::Object(Map::from_iter([(format!("f:{name}"), inner)])))
}

/// The entry without the field; nothing if that was all that it had.
fn without(entry: &Value, path: &str) -> Option<Value> {
    let names: Vec<String> = segments(path).map(|name| format!("f:{name}")).collect();
    let mut entry = entry.clone();
    remove(&mut entry["fieldsV1"], &names);
    let empty = entry["fieldsV1"].as_object().is_none_or(Map::is_empty);
    (!empty).then_some(entry)
}

fn remove(set: &mut Value, names: &[String]) {
    let ([name, rest @ ..], Some(map)) = (names, set.as_object_mut()) else { return };
    if let Some(inner) = map.get_mut(name) {
        remove(inner, rest);
        // A name without anything in it would stand for the field itself.
        if rest.is_empty() || inner.as_object().is_some_and(Map::is_empty) {
            map.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = ".spec.replicas";

    fn entry(manager: &str, operation: &str, version: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": version, "time": "t",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn who_owns_the_number_owns_it_in_the_scale() {
        let both = json!({"f:spec": {"f:replicas": {}, "f:x": {}}});
        let entries = json!([
            entry("a", "Apply", "e.org/v1", &both),
            entry("b", "Update", "e.org/v1", &json!({"f:spec": {"f:x": {}}})),
            entry("c", "Update", "e.org/v2", &both),
        ]);
        let expected = json!([entry("a", "Apply", "autoscaling/v1", &json!({"f:spec": {"f:replicas": {}}}))]);
        assert_eq!(to_scale(Some(&entries), "e.org/v1", PATH), expected);
        assert_eq!(to_scale(None, "e.org/v1", PATH), json!([]));
    }

    #[test]
    fn who_takes_the_number_in_the_scale_takes_it_from_the_others() {
        let entries = json!([
            entry("a", "Apply", "e.org/v1", &json!({"f:spec": {"f:replicas": {}, "f:x": {}}})),
            entry("b", "Update", "e.org/v1", &json!({"f:spec": {"f:replicas": {}}})),
        ]);
        let scale = json!([entry("hpa", "Update", "autoscaling/v1", &json!({"f:spec": {"f:replicas": {}}}))]);
        let expected = json!([
            entry("a", "Apply", "e.org/v1", &json!({"f:spec": {"f:x": {}}})),
            entry("hpa", "Update", "e.org/v1", &json!({"f:spec": {"f:replicas": {}}})),
        ]);
        assert_eq!(to_parent(Some(&entries), Some(&scale), "e.org/v1", PATH), expected);
        let again = to_scale(Some(&expected), "e.org/v1", PATH);
        assert_eq!(to_parent(Some(&expected), Some(&again), "e.org/v1", PATH), expected);
    }
}
