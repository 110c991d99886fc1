//! What must hold for one schema by itself, apart from the schemas within it.

use detectviz_api::definition::Schema;
use regex_lite::Regex;
use std::collections::BTreeMap;

use super::{Fault, fault};
use crate::node::{Bound, Bounds, Field, Kind, ListType, Node, Numbered, Numbers};
use crate::validate::Admitted;

/// The first number that is too great for a protobuf field.
const MAX_FIELD: u32 = 1 << 29;
/// The most numbers that lead to one field.
const MAX_EMBEDDED: usize = 4;

pub(super) fn defaulted(fields: &BTreeMap<String, Field>) -> Vec<String> {
    fields.iter().filter(|(_, field)| field.node.default.is_some()).map(|(name, _)| name.clone()).collect()
}

/// The fields by their protobuf number.
pub(super) fn numbers(schema: &Schema, path: &str) -> Result<Numbers, Fault> {
    let mut numbers = Numbers::new();
    for (name, property) in &schema.properties {
        let Some(place) = &property.protobuf_field else { continue };
        let place = place.numbers();
        if place.is_empty() || place.len() > MAX_EMBEDDED {
            let why =
                format!("x-protobuf-field of {name:?} must be a number, or a list of 1 to {MAX_EMBEDDED}");
            return fault(path, why);
        }
        put(&mut numbers, place, name)
            .map_err(|why| (path.to_owned(), format!("x-protobuf-field of {name:?} {why}")))?;
    }
    Ok(numbers)
}

pub(super) fn is_atomic_map(schema: &Schema, kind: Kind, path: &str) -> Result<bool, Fault> {
    let path = format!("{path}.x-kubernetes-map-type");
    match schema.map_type.as_str() {
        "" => Ok(false),
        _ if kind != Kind::Object => fault(&path, format!("only an object has one, this is {}", kind.name())),
        "granular" => Ok(false),
        "atomic" => Ok(true),
        other => fault(&path, format!("{other:?} is unknown; allowed: atomic, granular")),
    }
}

/// Puts the field `name` where `place` leads to.
fn put(numbers: &mut Numbers, place: &[u32], name: &str) -> Result<(), String> {
    let Some((number @ 1..MAX_FIELD, inner)) = place.split_first() else {
        return Err(format!("must be from 1 to {}", MAX_FIELD - 1));
    };
    if inner.is_empty() {
        return match numbers.insert(*number, Numbered::Field(name.to_owned())) {
            None => Ok(()),
            Some(Numbered::Field(other)) => Err(format!("is {number}, as that of {other:?}")),
            Some(Numbered::Embedded(_)) => Err(format!("is {number}, which is an embedded message's")),
        };
    }
    match numbers.entry(*number).or_insert_with(|| Numbered::Embedded(Numbers::new())) {
        Numbered::Embedded(message) => put(message, inner, name),
        Numbered::Field(other) => Err(format!("is in {number}, which is that of {other:?}")),
    }
}

pub(super) fn list_type(
    schema: &Schema,
    kind: Kind,
    items: Option<&Node>,
    path: &str,
) -> Result<ListType, Fault> {
    let path = |field: &str| format!("{path}.x-kubernetes-{field}");
    if !schema.list_type.is_empty() && kind != Kind::Array {
        return fault(&path("list-type"), format!("only an array has one, this is {}", kind.name()));
    }
    match (schema.list_type.as_str(), schema.list_map_keys.as_slice()) {
        ("map", []) => fault(&path("list-map-keys"), "a list of type map must name the keys of its items"),
        ("map", keys) => {
            check_keys(items, keys, &path("list-map-keys")).map(|()| ListType::Map(keys.to_vec()))
        }
        (_, [_, ..]) => fault(&path("list-map-keys"), "only a list of type map has keys"),
        ("set", []) => Ok(ListType::Set),
        ("" | "atomic", []) => Ok(ListType::Atomic),
        (other, []) => fault(&path("list-type"), format!("{other:?} is unknown; allowed: atomic, set, map")),
    }
}

fn check_keys(items: Option<&Node>, keys: &[String], path: &str) -> Result<(), Fault> {
    match keys.iter().find(|key| items.is_none_or(|items| !items.fields.contains_key(*key))) {
        Some(key) => fault(path, format!("{key:?} is no property of the items")),
        None => Ok(()),
    }
}

pub(super) fn check_object(node: &Node, path: &str) -> Result<(), Fault> {
    match node.kind {
        Kind::Object => Ok(()),
        other => fault(path, format!("type is {:?}; an object's must be \"object\"", other.name())),
    }
}

/// Checks that a default is what the schema itself admits: a client could not mend it.
pub(super) fn check_default(node: &Node, path: &str) -> Result<(), Fault> {
    let Some(mut default) = node.default.clone() else { return Ok(()) };
    match Admitted::of(node, &mut default) {
        Admitted { unknown, .. } if !unknown.is_empty() => fault(
            &format!("{path}.default"),
            format!("has fields that the schema does not know: {}", unknown.join(", ")),
        ),
        Admitted { causes, .. } => match causes.first() {
            Some(cause) => fault(&format!("{path}.default"), cause.message.clone()),
            None => Ok(()),
        },
    }
}

pub(super) fn bounds(schema: &Schema, path: &str) -> Result<Bounds, Fault> {
    let pattern = match schema.pattern.as_deref().map(Regex::new) {
        Some(Err(why)) => {
            return fault(&format!("{path}.pattern"), format!("is no regular expression: {why}"));
        }
        Some(Ok(pattern)) => Some(pattern),
        None => None,
    };
    if schema.unique_items {
        let why = "must not be true, it costs the square of the length; a list of type set says the same";
        return fault(&format!("{path}.uniqueItems"), why);
    }
    if let Some(factor) = schema.multiple_of.filter(|factor| *factor <= 0.0) {
        return fault(&format!("{path}.multipleOf"), format!("must be greater than 0, not {factor}"));
    }
    let bound = |at: Option<f64>, exclusive| at.map(|at| Bound { at, exclusive });
    Ok(Bounds {
        length: (schema.min_length, schema.max_length),
        range: (
            bound(schema.minimum, schema.exclusive_minimum),
            bound(schema.maximum, schema.exclusive_maximum),
        ),
        multiple_of: schema.multiple_of,
        items: (schema.min_items, schema.max_items),
        properties: (schema.min_properties, schema.max_properties),
        pattern,
    })
}
