//! Objects on their way to the store: what the server owns of their metadata, and their stored form.

use bytes::Bytes;
use detectviz_api::options::FieldValidation;
use detectviz_api::{Status, meta, timestamp};
use detectviz_storage::KeyValue;
use serde_json::Value;

use super::body::judge_fields;
use crate::resource::Resource;

/// Metadata that only the server writes; what a client sends of it is replaced by what is stored.
const OWNED: [&str; 6] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"];

impl Resource {
    /// Gives a new object what the server owns.
    pub(super) fn begin(&self, object: &mut Value) {
        if self.has_status() {
            object.as_object_mut().map(|map| map.remove("status"));
        }
        if let Some(metadata) = meta::of_mut(object) {
            for field in OWNED.iter().chain(&["resourceVersion", "managedFields"]) {
                metadata.remove(*field);
            }
            metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
            metadata.insert("creationTimestamp".to_owned(), timestamp::now().into());
            if self.counts_generations() {
                metadata.insert("generation".to_owned(), 1.into());
            }
        }
    }

    /// The update of `old` that `incoming` asks for: of a subresource only `fields`, else all but the status.
    pub(super) fn successor(&self, mut incoming: Value, old: &Value, fields: Option<&[&str]>) -> Value {
        if let Some(fields) = fields {
            let mut new = old.clone();
            fields.iter().for_each(|field| copy(&mut incoming, &mut new, field));
            return new;
        }
        if self.has_status() {
            copy(&mut old.clone(), &mut incoming, "status");
        }
        let stored = old.get("metadata").and_then(Value::as_object);
        if let (Some(metadata), Some(stored)) = (meta::of_mut(&mut incoming), stored) {
            metadata.remove("managedFields");
            for field in OWNED {
                match stored.get(field) {
                    Some(value) => metadata.insert(field.to_owned(), value.clone()),
                    None => metadata.remove(field),
                };
            }
        }
        incoming
    }

    /// Counts the generation on when the spec changed.
    pub(super) fn count_generation(&self, object: &mut Value, old: &Value) {
        if self.counts_generations()
            && object.get("spec") != old.get("spec")
            && let Some(metadata) = meta::of_mut(object)
        {
            let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
            metadata.insert("generation".to_owned(), (generation + 1).into());
        }
    }

    /// Kinds with a status beside their spec have generations, as custom resources do; the core group's here do not.
    fn counts_generations(&self) -> bool {
        self.has_status() && !self.gvr.group.is_empty()
    }

    /// Prunes, defaults and validates the object by its schema and its metadata's rules. Returns warnings.
    ///
    /// # Errors
    /// 400 for unknown fields when they are refused, 422 with every fault.
    pub(super) fn check(
        &self,
        object: &mut Value,
        duplicates: &[String],
        validation: FieldValidation,
        special: impl FnOnce(&Value) -> Vec<detectviz_api::Cause>,
    ) -> Result<Vec<String>, Status> {
        if meta::depth(object) > meta::MAX_DEPTH {
            let message = format!("the object is nested more than {} levels deep", meta::MAX_DEPTH);
            return Err(Status::bad_request(message));
        }
        let admitted = self.version.admit(object);
        let warnings = judge_fields(validation, duplicates, &admitted.unknown)?;
        let rule = self.definition.extensions.name_rule;
        let mut causes = meta::faults(object, self.definition.is_namespaced(), |name| rule.check(name));
        causes.extend(admitted.causes);
        if causes.is_empty() {
            causes = special(object);
        }
        match causes.is_empty() {
            true => Ok(warnings),
            false => Err(Status::invalid(&self.gvr.group, self.kind(), meta::name(object), causes)),
        }
    }
}

fn copy(from: &mut Value, to: &mut Value, field: &str) {
    let value = from.as_object_mut().and_then(|map| map.remove(field));
    if let Some(to) = to.as_object_mut() {
        match value {
            Some(value) => to.insert(field.to_owned(), value),
            None => to.remove(field),
        };
    }
}

/// The object as it is stored: without its version, which the store gives.
pub(super) fn stored(object: &Value) -> Bytes {
    let mut object = object.clone();
    if let Some(metadata) = meta::of_mut(&mut object) {
        metadata.remove("resourceVersion");
    }
    object.to_string().into()
}

/// The object with the version `revision`.
pub(super) fn versioned(mut object: Value, revision: u64) -> Value {
    if let Some(metadata) = meta::of_mut(&mut object) {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
    object
}

/// A stored object, parsed, with its version.
///
/// # Errors
/// 500 when what is stored is no JSON.
pub(super) fn parsed(stored: &KeyValue) -> Result<Value, Status> {
    let object = serde_json::from_slice(&stored.value).map_err(Status::internal)?;
    Ok(versioned(object, stored.mod_revision))
}
