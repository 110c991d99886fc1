//! Metadata under change: what the server owns of it, what may never change, and owners that stand twice.

use detectviz_api::go::{cut, quote};
use detectviz_api::{Cause, meta, timestamp};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashSet};

use crate::resource::Resource;

/// What is taken off a new object: the server gives it, or nothing does.
const SYSTEM: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "resourceVersion",
];

/// The most names that one message tells.
const MAX_TOLD: usize = 100;

/// Takes off a new object what only the server may give.
pub(super) fn wipe(object: &mut Value) {
    if let Some(metadata) = meta::of_mut(object) {
        SYSTEM.iter().for_each(|field| drop(metadata.remove(*field)));
    }
}

impl Resource {
    /// Gives a new object what the server owns.
    pub(super) fn begin(&self, object: &mut Value) {
        wipe(object);
        if let Some(metadata) = meta::of_mut(object) {
            metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
            metadata.insert("creationTimestamp".to_owned(), timestamp::now().into());
            if self.definition.extensions.generation {
                metadata.insert("generation".to_owned(), 1.into());
            }
        }
    }

    /// Puts back what an update cannot change, or may leave out.
    pub(super) fn keep_system_metadata(&self, object: &mut Value, old: &Value) {
        let Some(stored) = old.get("metadata").and_then(Value::as_object) else { return };
        let Some(metadata) = meta::of_mut(object) else { return };
        metadata.remove("selfLink");
        put_back(metadata, stored, "generation");
        put_back(metadata, stored, "creationTimestamp");
        if stored.contains_key("deletionTimestamp") {
            put_back(metadata, stored, "deletionTimestamp");
        }
        for field in ["uid", "deletionGracePeriodSeconds"] {
            if metadata.get(field).is_none_or(|value| value.is_null() || value == "") {
                put_back(metadata, stored, field);
            }
        }
    }

    /// Counts the generation on when anything changed but metadata and status.
    pub(super) fn count_generation(&self, object: &mut Value, old: &Value) {
        if !self.definition.extensions.generation || !is_other(object, old) {
            return;
        }
        if let Some(metadata) = meta::of_mut(object) {
            let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
            metadata.insert("generation".to_owned(), (generation + 1).into());
        }
    }
}

fn put_back(metadata: &mut Map<String, Value>, stored: &Map<String, Value>, field: &str) {
    match stored.get(field) {
        Some(value) => metadata.insert(field.to_owned(), value.clone()),
        None => metadata.remove(field),
    };
}

fn is_other(object: &Value, old: &Value) -> bool {
    let (Some(object), Some(old)) = (object.as_object(), old.as_object()) else { return object != old };
    let counts = |name: &str| !matches!(name, "apiVersion" | "kind" | "metadata" | "status");
    let missing = |name: &String| counts(name) && !object.contains_key(name);
    object.iter().any(|(name, value)| counts(name) && old.get(name) != Some(value)) || old.keys().any(missing)
}

/// What an update may not change, in upstream's words (`ValidateObjectMetaUpdate`).
pub(super) fn update_faults(object: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(added_finalizers(object, old));
    for field in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        let (new, before) = (given(object, field), given(old, field));
        if new != before {
            let message = format!("Invalid value: {}: field is immutable", shown(field, new));
            causes.push(cause("FieldValueInvalid", &format!("metadata.{field}"), message));
        }
    }
    causes
}

fn given<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(field).filter(|value| !value.is_null())
}

/// A value as upstream's messages show it: a time is in the form of Go there.
fn shown(field: &str, value: Option<&Value>) -> String {
    match value {
        None if field == "name" || field == "namespace" || field == "uid" => "\"\"".to_owned(),
        None => "null".to_owned(),
        Some(Value::String(time)) if field.ends_with("Timestamp") => {
            time.replacen('T', " ", 1).replacen('Z', " +0000 UTC", 1)
        }
        Some(value) => value.to_string(),
    }
}

/// An object that is being deleted takes no new finalizers: it could be held for ever.
fn added_finalizers(object: &Value, old: &Value) -> Option<Cause> {
    fn finalizers(object: &Value) -> &[Value] {
        let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }
    if !meta::is_deleting(old) {
        return None;
    }
    let before: HashSet<&str> = finalizers(old).iter().filter_map(Value::as_str).collect();
    let new = finalizers(object).iter().filter_map(Value::as_str).filter(|have| !before.contains(have));
    // Sorted, and each once; of very many the first.
    let added: BTreeSet<&str> = new.collect();
    if added.is_empty() {
        return None;
    }
    let added: Vec<String> = added.into_iter().take(MAX_TOLD).map(quote).collect();
    let message = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    Some(cause("FieldValueForbidden", "metadata.finalizers", message))
}

fn cause(reason: &str, field: &str, message: String) -> Cause {
    Cause { reason: reason.to_owned(), message, field: field.to_owned() }
}

/// Drops owners that stand twice, and says so; `mutated` if plugins have seen the object already.
pub(super) fn dedup_owners(object: &mut Value, mutated: bool) -> Option<String> {
    let owners = object.get_mut("metadata")?.get_mut("ownerReferences")?.as_array_mut()?;
    let mut twice: Vec<String> = Vec::new();
    // By their texts: to compare each with each would take for ever if there are very many.
    let mut seen = HashSet::with_capacity(owners.len());
    owners.retain(|owner| {
        let is_new = seen.insert(owner.to_string());
        if !is_new && twice.len() < MAX_TOLD {
            twice.push(cut(owner["uid"].as_str().unwrap_or_default()).to_owned());
        }
        is_new
    });
    if twice.is_empty() {
        return None;
    }
    let when = if mutated { " after mutating admission happens" } else { "" };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        twice.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_may_not_change_is_named() {
        let old = json!({"metadata": {"name": "a", "uid": "1", "creationTimestamp": "2026-01-02T03:04:05Z"}});
        assert!(update_faults(&old, &old).is_empty());
        let new = json!({"metadata": {"name": "b", "uid": "2", "creationTimestamp": "2026-01-02T03:04:05Z",
            "deletionTimestamp": "2026-01-02T03:04:06Z", "deletionGracePeriodSeconds": 5}});
        let read: Vec<String> = update_faults(&new, &old)
            .into_iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        assert_eq!(
            read,
            [
                "metadata.name: Invalid value: \"b\": field is immutable",
                "metadata.uid: Invalid value: \"2\": field is immutable",
                "metadata.deletionTimestamp: Invalid value: 2026-01-02 03:04:06 +0000 UTC: field is immutable",
                "metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable",
            ]
        );
    }

    #[test]
    fn who_is_going_takes_no_new_finalizers() {
        let old = json!({"metadata": {"deletionTimestamp": "2026-01-02T03:04:06Z", "finalizers": ["x/a"]}});
        let mut new = old.clone();
        new["metadata"]["finalizers"] = json!(["x/c", "x/a", "x/b"]);
        let faults = update_faults(&new, &old);
        assert_eq!(
            faults[0].message,
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x/b\", \"x/c\"}"
        );
        new["metadata"]["finalizers"] = json!([]);
        assert!(update_faults(&new, &old).is_empty());
    }

    #[test]
    fn generations_count_what_is_wanted() {
        let old = json!({"metadata": {"generation": 3}, "spec": {"a": 1}, "status": {"b": 1}});
        let with = |patch: Value| {
            let mut new = old.clone();
            json_patch_merge(&mut new, &patch);
            is_other(&new, &old)
        };
        assert!(with(json!({"spec": {"a": 2}})) && with(json!({"data": 1})) && with(json!({"spec": null})));
        assert!(!with(json!({"status": {"b": 2}})) && !with(json!({"metadata": {"labels": {}}})));
    }

    /// A merge as RFC 7396 has it.
    fn json_patch_merge(into: &mut Value, patch: &Value) {
        detectviz_api::patch::merge_patch(into, patch.to_string().as_bytes()).unwrap();
    }

    #[test]
    fn an_owner_stands_once() {
        let owner = |uid: &str, name: &str| json!({"uid": uid, "name": name});
        let owners = json!([owner("1", "a"), owner("1", "b"), owner("1", "a"), owner("2", "a")]);
        let mut object = json!({"metadata": {"ownerReferences": owners}});
        let warning = dedup_owners(&mut object, false).unwrap();
        assert!(warning.ends_with("please fix your requests; duplicate UID(s) observed: 1"), "{warning}");
        assert_eq!(object["metadata"]["ownerReferences"].as_array().unwrap().len(), 3);
        assert_eq!(dedup_owners(&mut object, true), None);

        let owner = |number: usize| owner(&format!("{}{number}", "u".repeat(10_000)), "x");
        let many: Vec<Value> = (0..200).chain(0..200).map(owner).collect();
        let mut object = json!({"metadata": {"ownerReferences": many}});
        let warning = dedup_owners(&mut object, false).unwrap();
        assert!(warning.len() < 110_000, "{} bytes", warning.len());
        assert_eq!(object["metadata"]["ownerReferences"].as_array().unwrap().len(), 200);
    }

    /// So many that to look at each for each would take very long.
    #[test]
    fn very_many_owners_and_finalizers_are_looked_at_once() {
        let owners: Vec<Value> = (0..300_000).map(|number| json!(number)).collect();
        assert_eq!(dedup_owners(&mut json!({"metadata": {"ownerReferences": owners}}), false), None);
        let finalizers = |prefix: &str| {
            let names: Vec<String> = (0..100_000).map(|number| format!("e.org/{prefix}{number}")).collect();
            json!({"metadata": {"deletionTimestamp": "2026-01-02T03:04:06Z", "finalizers": names}})
        };
        let faults = update_faults(&finalizers("new"), &finalizers("old"));
        assert!(faults[0].message.len() < 4_000, "{}", faults[0].message.len());
    }
}
