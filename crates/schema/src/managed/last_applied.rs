//! From `kubectl apply` of the client's side to that of the server's, and back.
//!
//! The client's side writes down in an annotation what it applied. Whoever goes on as `kubectl` on the server's side
//! applied that before, so it is no conflict to change it, and the annotation is kept up to date for the way back.

use serde_json::{Map, Value};

use super::apply::Apply;
use super::check::check;
use super::compare::compare;
use super::fields::{Count, fields};
use super::set::Set;
use super::types::Type;
use crate::decode::{Limits, decode_json};

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The manager that is one and the same on both sides.
const KUBECTL: &str = "kubectl";

/// What all annotations may have together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The fields that the writer owns by the annotation: those that are still as it says.
pub(super) fn allowed(apply: &Apply<'_>) -> Option<Set<'static>> {
    if apply.writer.manager != KUBECTL {
        return None;
    }
    let text = annotation(apply.live)?;
    let applied = decode_json(text.as_bytes(), Limits::default()).ok()?.value;
    if applied.get("apiVersion").and_then(Value::as_str) != Some(apply.writer.api_version) {
        return None;
    }
    let ty = Type::of(apply.root);
    check(ty, &applied).ok()?;
    let mut set = fields(ty, &applied, Count::Owned).ok()?;
    let (changes, _) = compare(ty, &applied, apply.live).ok()?;
    set.remove(&changes.set);
    set.remove(&changes.removed);
    Some(set.into_owned())
}

/// Writes `config` into the annotation of `object`, if it has one and `manager` is the one whose it is.
pub(super) fn sync(object: &mut Value, config: &Value, manager: &str) {
    if manager != KUBECTL || annotation(object).is_none() {
        return;
    }
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), Value::String(text(config)));
    let size = |(name, value): (&String, &Value)| name.len() + value.as_str().map_or(0, str::len);
    if annotations.iter().map(size).sum::<usize>() > MAX_ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}

/// The configuration as the annotation has it: without the annotation, on one line with its end.
fn text(config: &Value) -> String {
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    format!("{config}\n")
}

fn annotation(object: &Value) -> Option<&str> {
    let annotations: &Map<String, Value> = object.get("metadata")?.get("annotations")?.as_object()?;
    annotations.get(ANNOTATION)?.as_str().filter(|text| !text.is_empty())
}
