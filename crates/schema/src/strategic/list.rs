//! Merging lists whose items are told apart: by a key of theirs, or, when they are plain values, by what they are.
//!
//! Order is the delicate part. The patch says how its items stand to each other (`$setElementOrder`, else its own order);
//! an item that only the server has goes before the first of them that it preceded on the server, else to the end.

use detectviz_api::Status;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use super::{PATCH, Slot, bad_format, inapplicable, merge_map, object, unknown_directive};
use crate::path::Path;

/// What an item is told apart by, as JSON text.
type Id = String;

/// Merges `patch` into `items` and puts them into `order`, which is that of the patch if not given.
pub(super) fn merge(
    slot: Slot<'_>,
    items: &mut Vec<Value>,
    patch: Vec<Value>,
    order: Option<Vec<Value>>,
    path: &Path<'_>,
) -> Result<(), Status> {
    let id = |item: &Value| id(slot.merge_key, item, path);
    let ids = |items: &[Value]| items.iter().map(id).collect::<Result<Vec<Id>, Status>>();
    let live = positions(&ids(items)?);
    let patch = take_directives(patch, items, &id, path)?;
    let given = ids(&patch)?;
    let order = match order {
        Some(order) => check_order(&given, ids(&order)?, path)?,
        None => given.clone(),
    };
    merge_items(slot, items, given.into_iter().zip(patch), &id, path)?;
    sort(items, &positions(&order), &live, &id)
}

fn id(merge_key: Option<&str>, item: &Value, path: &Path<'_>) -> Result<Id, Status> {
    match (item, merge_key) {
        (Value::Array(_), _) => Err(inapplicable(path, "lists of lists cannot be merged")),
        (Value::Object(item), Some(key)) => match item.get(key) {
            Some(value) => Ok(value.to_string()),
            None => Err(inapplicable(path, &format!("an item lacks the merge key {key:?}"))),
        },
        (Value::Object(_), None) => {
            Err(inapplicable(path, "lists of objects without a merge key cannot be merged"))
        }
        (_, Some(_)) => Err(inapplicable(path, "an item is no object")),
        (value, None) => Ok(value.to_string()),
    }
}

fn positions(ids: &[Id]) -> BTreeMap<Id, usize> {
    ids.iter().enumerate().rev().map(|(position, id)| (id.clone(), position)).collect()
}

/// Carries out the items that are directives; gives back those that are data.
fn take_directives(
    patch: Vec<Value>,
    items: &mut Vec<Value>,
    id: &dyn Fn(&Value) -> Result<Id, Status>,
    path: &Path<'_>,
) -> Result<Vec<Value>, Status> {
    let (mut data, mut gone, mut replace) = (Vec::new(), BTreeSet::new(), false);
    for mut item in patch {
        let directive = item.as_object_mut().and_then(|item| item.remove(PATCH));
        match directive.as_ref().map(|directive| directive.as_str()) {
            None | Some(Some("merge")) => data.push(item),
            Some(Some("replace")) => replace = true,
            Some(Some("delete")) => drop(gone.insert(id(&item)?)),
            Some(_) => return Err(unknown_directive(path)),
        }
    }
    if replace {
        items.clear();
    }
    items.retain(|item| id(item).is_ok_and(|id| !gone.contains(&id)));
    Ok(data)
}

/// Checks that the items of the patch stand in `order` one after the other, as upstream demands.
fn check_order(given: &[Id], order: Vec<Id>, path: &Path<'_>) -> Result<Vec<Id>, Status> {
    let mut rest = order.iter();
    if order.is_empty() || given.iter().all(|id| rest.any(|other| other == id)) {
        return Ok(order);
    }
    Err(bad_format("$setElementOrder", path, "the order in the patch list doesn't match"))
}

fn merge_items(
    slot: Slot<'_>,
    items: &mut Vec<Value>,
    patch: impl Iterator<Item = (Id, Value)>,
    id: &dyn Fn(&Value) -> Result<Id, Status>,
    path: &Path<'_>,
) -> Result<(), Status> {
    let node = slot.node.and_then(|node| node.items.as_deref());
    let mut known = positions(&items.iter().map(id).collect::<Result<Vec<_>, _>>()?);
    for (id, item) in patch {
        let position = *known.entry(id).or_insert(items.len());
        if position == items.len() {
            items.push(if item.is_object() { Value::Object(Map::new()) } else { item.clone() });
        }
        if let Value::Object(item) = item {
            merge_map(node, object(&mut items[position]), item, &path.index(position))?;
        }
    }
    Ok(())
}

/// Puts the items that `order` names into that order, and each other one before the first of them that it precedes in `live`.
fn sort(
    items: &mut Vec<Value>,
    order: &BTreeMap<Id, usize>,
    live: &BTreeMap<Id, usize>,
    id: &dyn Fn(&Value) -> Result<Id, Status>,
) -> Result<(), Status> {
    let (mut ordered, mut others) = (Vec::new(), Vec::new());
    for item in items.drain(..) {
        let id = id(&item)?;
        match order.get(&id) {
            Some(position) => ordered.push((*position, live.get(&id), item)),
            None => others.push((live.get(&id), item)),
        }
    }
    ordered.sort_by_key(|(position, ..)| *position);
    let mut others = others.into_iter().peekable();
    for (_, position, item) in ordered {
        let precedes =
            |other: &(Option<&usize>, Value)| position.is_some() && other.0.is_some() && other.0 < position;
        while let Some((_, other)) = others.next_if(precedes) {
            items.push(other);
        }
        items.push(item);
    }
    items.extend(others.map(|(_, other)| other));
    Ok(())
}
