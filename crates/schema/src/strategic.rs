//! Strategic merge patch: a merge patch that knows from the schema which lists are really sets or maps, and so merges them too.
//!
//! The patch is data with directives among it (`$patch`, `$retainKeys`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`).
//! A value that has nothing to merge with is merged into an empty one, so that no directive ever gets into a document.
//! Rules and codes are those of upstream's published semantics; `$patch: merge` is accepted as the no-op that its documents promise.

mod list;

use detectviz_api::go::{cut, quote};
use detectviz_api::{Reason, Status};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use crate::CompiledVersion;
use crate::decode::{Limits, decode_json};
use crate::node::{Node, Strategy};
use crate::path::Path;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";

impl CompiledVersion {
    /// Applies the strategic merge patch in `body` to `document`.
    ///
    /// # Errors
    /// 400 when the body is no such patch, 422 when it cannot be applied. On an error `document` may be half patched:
    /// the caller throws it away.
    pub fn strategic_merge_patch(&self, document: &mut Value, body: &[u8]) -> Result<(), Status> {
        let decoded = decode_json(body, Limits::default())
            .map_err(|fault| Status::bad_request(format!("error decoding patch: {fault}")))?;
        let Value::Object(patch) = decoded.value else {
            return Err(Status::bad_request(
                "error decoding patch: a strategic merge patch must be a JSON object",
            ));
        };
        merge_map(Some(&self.root), object(document), patch, &Path::Root)
    }
}

/// What the schema says of one field; nothing for a field that it does not know.
#[derive(Clone, Copy, Default)]
struct Slot<'a> {
    node: Option<&'a Node>,
    strategy: Strategy,
    merge_key: Option<&'a str>,
}

impl<'a> Slot<'a> {
    fn of(node: Option<&'a Node>, name: &str) -> Self {
        let Some(node) = node else { return Self::default() };
        match node.fields.get(name) {
            Some(field) => Self {
                node: Some(&field.node),
                strategy: field.strategy,
                merge_key: field.merge_key.as_deref(),
            },
            None => Self { node: node.values.as_deref(), ..Self::default() },
        }
    }
}

fn merge_map(
    node: Option<&Node>,
    target: &mut Map<String, Value>,
    mut patch: Map<String, Value>,
    path: &Path<'_>,
) -> Result<(), Status> {
    match patch.remove(PATCH).as_ref().map(|directive| directive.as_str()) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => target.clear(),
        Some(Some("delete")) => {
            target.clear();
            return Ok(());
        }
        Some(_) => return Err(unknown_directive(path)),
    }
    if let Some(keys) = patch.remove(RETAIN_KEYS) {
        retain_keys(target, &patch, &keys, path)?;
    }
    for (name, items) in take_directives(&mut patch, DELETE_ITEMS, path)? {
        delete_items(target, &name, &items);
    }
    let mut orders = take_directives(&mut patch, ELEMENT_ORDER, path)?;
    for (name, value) in patch {
        let slot = Slot::of(node, &name);
        merge_field(slot, target, &name, value, orders.remove(&name), &path.field(&name))?;
    }
    for (name, order) in orders {
        let path = path.field(&name);
        let Some(Value::Array(items)) = target.get_mut(&name) else { continue };
        list::merge(Slot::of(node, &name), items, Vec::new(), Some(order), &path)?;
    }
    Ok(())
}

fn merge_field(
    slot: Slot<'_>,
    target: &mut Map<String, Value>,
    name: &str,
    value: Value,
    order: Option<Vec<Value>>,
    path: &Path<'_>,
) -> Result<(), Status> {
    if value.is_null() {
        target.remove(name);
        return Ok(());
    }
    let live = target.entry(name).or_insert(Value::Null);
    match value {
        Value::Object(patch) => {
            let live = object(live);
            if slot.strategy == Strategy::Replace {
                live.clear();
            }
            merge_map(slot.node, live, patch, path)
        }
        Value::Array(patch) if slot.strategy == Strategy::Merge => {
            list::merge(slot, array(live), patch, order, path)
        }
        other => {
            *live = other;
            Ok(())
        }
    }
}

/// Drops from `target` the fields that `keys` does not name; the patch may only give those that it does.
fn retain_keys(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    keys: &Value,
    path: &Path<'_>,
) -> Result<(), Status> {
    let malformed = |why: &str| Err(bad_format(RETAIN_KEYS, path, why));
    let Value::Array(keys) = keys else { return malformed("must be a list of field names") };
    let keys: BTreeSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let is_directive = |name: &str| name.starts_with(DELETE_ITEMS) || name.starts_with(ELEMENT_ORDER);
    let given = patch.iter().filter(|(name, value)| !value.is_null() && !is_directive(name));
    for (name, _) in given {
        if !keys.contains(name.as_str()) {
            return malformed(&format!("must name every field that the patch gives, not so {}", quote(name)));
        }
    }
    target.retain(|name, _| keys.contains(name.as_str()));
    Ok(())
}

/// Takes the directives that start with `prefix` out of the patch: their lists, by the name of the field that they are about.
fn take_directives(
    patch: &mut Map<String, Value>,
    prefix: &str,
    path: &Path<'_>,
) -> Result<BTreeMap<String, Vec<Value>>, Status> {
    let names: Vec<String> = patch.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    let take = |name: String| match patch.remove(&name) {
        Some(Value::Array(items)) => Ok((name[prefix.len()..].to_owned(), items)),
        _ => Err(bad_format(&name, path, "must be a list")),
    };
    names.into_iter().map(take).collect()
}

fn delete_items(target: &mut Map<String, Value>, name: &str, gone: &[Value]) {
    let gone: BTreeSet<String> = gone.iter().map(Value::to_string).collect();
    if let Some(Value::Array(items)) = target.get_mut(name) {
        items.retain(|item| !gone.contains(&item.to_string()));
    }
}

/// `value` as an object, an empty one if it is something else.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made an object")
}

/// `value` as a list, an empty one if it is something else.
fn array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().expect("it was just made a list")
}

/// A directive that cannot be read, in upstream's words and with its place.
fn bad_format(directive: &str, path: &Path<'_>, why: &str) -> Status {
    let what = match directive.split('/').next() {
        Some("$setElementOrder") => "setElementOrder list",
        Some("$deleteFromPrimitiveList") => "primitive list",
        _ => "retainKeys",
    };
    let place = quote(&path.spelled());
    Status::bad_request(format!("invalid patch format of {what}: {} at {place}: {why}", cut(directive)))
}

fn inapplicable(path: &Path<'_>, why: &str) -> Status {
    let place = quote(&path.spelled());
    let fault = format!("at {place}: {why}");
    let message = format!("unable to apply strategic merge patch: {fault}");
    Status::failure(Reason::Invalid, message).because("FieldValueInvalid", fault, "patch")
}

fn unknown_directive(path: &Path<'_>) -> Status {
    inapplicable(path, "unknown $patch; supported values: \"delete\", \"merge\", \"replace\"")
}

#[cfg(test)]
mod tests;
