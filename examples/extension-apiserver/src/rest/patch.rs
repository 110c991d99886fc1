//! A patch is a function of the stored object: applied to what is there now, again if that changed meanwhile,
//! and within bounds that keep a small body from making a large object.

use http::{Response, StatusCode};
use json_patch::PatchOperation;
use serde_json::Value;

use super::{Call, update, written};
use crate::flight::{FieldValidation, Flight};
use crate::handler::BODY_LIMIT;
use crate::respond::Body;
use crate::status::Status;

const MERGE: &str = "application/merge-patch+json";
const OPERATIONS: &str = "application/json-patch+json";
/// How many operations a JSON patch may have.
const MAX_OPERATIONS: usize = 1000;
/// How deep a JSON patch may nest a value; what a body can nest by itself.
const MAX_DEPTH: usize = 128;

/// A decoded patch.
enum Patch {
    Merge(Value),
    Operations(Vec<PatchOperation>),
}

/// PATCH of one object: 415 for other formats than merge patch and JSON patch, 404 where the object does not exist.
pub(super) fn patch(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let view = call.view()?;
    let patch = Patch::decode(call.media_type(), &call.body)?;
    let validation = FieldValidation::parse(call.query)?;
    let key = call.key();
    let mut warnings = Vec::new();
    let stored = call.store.update(&key, call.dry_run()?, |current| {
        let current = current.ok_or_else(|| Status::not_found(&key.name))?;
        let decoded = Flight::decode(patch.apply(current.to_json())?, validation)?;
        warnings = decoded.warnings;
        update::replace(current, decoded.flight)
    })?;
    Ok(written(StatusCode::OK, view, &stored, &warnings))
}

impl Patch {
    fn decode(media_type: &str, body: &[u8]) -> Result<Self, Status> {
        let bad = |error: serde_json::Error| Status::bad_request(format!("error decoding patch: {error}"));
        match media_type {
            MERGE => Ok(Self::Merge(serde_json::from_slice(body).map_err(bad)?)),
            OPERATIONS => {
                let operations = serde_json::from_slice::<Vec<PatchOperation>>(body).map_err(bad)?;
                if operations.len() > MAX_OPERATIONS {
                    return Err(Status::bad_request(format!(
                        "patch has more than {MAX_OPERATIONS} operations"
                    )));
                }
                Ok(Self::Operations(operations))
            }
            _ => Err(Status::unsupported_media_type(&format!("{OPERATIONS}, {MERGE}"))),
        }
    }

    fn apply(&self, mut document: Value) -> Result<Value, Status> {
        match self {
            Self::Merge(patch) => json_patch::merge(&mut document, patch),
            Self::Operations(operations) => apply_operations(&mut document, operations)?,
        }
        Ok(document)
    }
}

/// Applies one operation at a time, so that copies are counted before they are made.
fn apply_operations(document: &mut Value, operations: &[PatchOperation]) -> Result<(), Status> {
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Copy(copy) = operation {
            copied += document.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
        }
        if copied > BODY_LIMIT {
            return Err(Status::too_large(BODY_LIMIT));
        }
        let depth =
            operation.path().as_str().matches('/').count() + source(document, operation).map_or(0, depth);
        if depth > MAX_DEPTH {
            return Err(Status::unprocessable(format!("patch nests values more than {MAX_DEPTH} deep")));
        }
        json_patch::patch(document, std::slice::from_ref(operation))
            .map_err(|error| Status::unprocessable(error.to_string()))?;
    }
    Ok(())
}

/// The value that the operation puts somewhere.
fn source<'a>(document: &'a Value, operation: &'a PatchOperation) -> Option<&'a Value> {
    match operation {
        PatchOperation::Add(add) => Some(&add.value),
        PatchOperation::Replace(replace) => Some(&replace.value),
        PatchOperation::Move(from) => document.pointer(from.from.as_str()),
        PatchOperation::Copy(from) => document.pointer(from.from.as_str()),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(media_type: &str, patch: &Value) -> Result<Value, u16> {
        let apply = |patch: Patch| patch.apply(json!({"spec": {"gate": "A1", "origin": "TPE"}}));
        Patch::decode(media_type, patch.to_string().as_bytes())
            .and_then(apply)
            .map_err(|status| status.code.as_u16())
    }

    #[test]
    fn both_formats() {
        let expected = json!({"spec": {"origin": "KHH"}});
        assert_eq!(check(MERGE, &json!({"spec": {"gate": null, "origin": "KHH"}})), Ok(expected.clone()));
        let operations = json!([
            {"op": "test", "path": "/spec/gate", "value": "A1"},
            {"op": "remove", "path": "/spec/gate"},
            {"op": "replace", "path": "/spec/origin", "value": "KHH"},
        ]);
        assert_eq!(check(OPERATIONS, &operations), Ok(expected));
    }

    #[test]
    fn refusals() {
        assert_eq!(check("application/strategic-merge-patch+json", &json!({})), Err(415));
        assert_eq!(check(OPERATIONS, &json!({})), Err(400));
        assert_eq!(
            check(OPERATIONS, &json!([{"op": "test", "path": "/spec/gate", "value": "B2"}])),
            Err(422)
        );
    }

    #[test]
    fn copies_that_double_are_stopped() {
        let mut operations = vec![json!({"op": "add", "path": "/a", "value": ["x"]})];
        operations.extend((0..60).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"})));
        assert_eq!(check(OPERATIONS, &json!(operations)), Err(413));
    }

    #[test]
    fn moves_that_nest_are_stopped() {
        let step = |_| {
            [
                json!({"op": "add", "path": "/b", "value": {}}),
                json!({"op": "move", "from": "/spec", "path": "/b/spec"}),
                json!({"op": "move", "from": "/b", "path": "/spec"}),
            ]
        };
        assert_eq!(check(OPERATIONS, &json!((0..200).flat_map(step).collect::<Vec<_>>())), Err(422));
    }
}
