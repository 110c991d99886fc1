//! Whether a configuration fits its schema at all: only then do its fields mean something. Values are judged later, of the whole object.

use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

use super::element::Element;
use super::types::{Shape, Type};
use crate::decode::MAX_REPORTED;
use crate::node::{Format, Kind, Node};

/// The size above which no further fault is told: each may repeat a large part of the configuration.
const MAX_TOLD: usize = 64 * 1024;

/// What is wrong with `config`, in upstream's words; at most [`MAX_REPORTED`] faults are told.
///
/// # Errors
/// Each fault with its path; one by itself, more below a heading.
pub(super) fn check(ty: Type<'_>, config: &Value) -> Result<(), String> {
    let mut faults = Faults(Vec::new());
    faults.check(ty, config, &Place::Root);
    match &faults.0[..] {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

/// Where a walk stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Below(&'a Place<'a>, &'a Element<'a>),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Below(place, element) => write!(f, "{place}{element}"),
        }
    }
}

struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, place: &Place<'_>, fault: impl fmt::Display) {
        let told: usize = self.0.iter().map(String::len).sum();
        if self.0.len() < MAX_REPORTED && told < MAX_TOLD {
            self.0.push(match place {
                Place::Root => fault.to_string(),
                place => format!("{place}: {fault}"),
            });
        }
    }

    fn check(&mut self, ty: Type<'_>, value: &Value, place: &Place<'_>) {
        if let Type::Known(node) = ty
            && let Some(fault) = mistyped(node, value)
        {
            return self.add(place, fault);
        }
        match value {
            Value::Object(map) => self.map(ty, map, place),
            Value::Array(items) => self.items(ty, value, items, place),
            _ => {}
        }
    }

    fn map(&mut self, ty: Type<'_>, map: &Map<String, Value>, place: &Place<'_>) {
        for (name, value) in map {
            let element = Element::field(name);
            let below = Place::Below(place, &element);
            match ty.field(name) {
                Type::Undeclared => return self.add(&below, "field not declared in schema"),
                ty => self.check(ty, value, &below),
            }
        }
    }

    fn items(&mut self, ty: Type<'_>, value: &Value, items: &[Value], place: &Place<'_>) {
        let Shape::List(list, _) = ty.shape(value) else {
            for (index, item) in items.iter().enumerate() {
                let element = Element::Index(i64::try_from(index).unwrap_or(i64::MAX));
                self.check(ty.below(&element), item, &Place::Below(place, &element));
            }
            return;
        };
        let mut seen = HashSet::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let element = match Element::of_item(list, item) {
                Ok(element) => element,
                Err(why) => return self.add(place, format_args!("element {index}: {why}")),
            };
            if seen.contains(&element) {
                self.add(place, format_args!("duplicate entries for key {element}"));
            }
            self.check(list.items(), item, &Place::Below(place, &element));
            seen.insert(element);
        }
    }
}

/// Why `value` is not of the type of `node`; null is of every type.
fn mistyped(node: &Node, value: &Value) -> Option<String> {
    let pointer = |wanted: &str| Some(format!("expected {wanted}, got &{{{}}}", Plain(value)));
    match (node.kind, value) {
        (_, Value::Null) | (Kind::Any, _) => None,
        (Kind::Object, Value::Object(_)) | (Kind::Array, Value::Array(_)) => None,
        (Kind::Boolean, Value::Bool(_)) | (Kind::Integer | Kind::Number, Value::Number(_)) => None,
        (Kind::String, Value::String(_)) => None,
        (Kind::Object, _) => pointer("map"),
        (Kind::Array, _) => pointer("list"),
        (Kind::Boolean, _) => pointer("boolean"),
        (Kind::Integer | Kind::Number, other) => {
            Some(format!("expected numeric (int or float), got {}", go_type(other)))
        }
        (Kind::String, _) if matches!(node.format, Format::None | Format::Byte) => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", Go(value)))
        }
        (Kind::String | Kind::IntOrString, Value::Object(_) | Value::Array(_)) => pointer("any scalar"),
        (Kind::String | Kind::IntOrString, _) => None,
    }
}

/// The type of a value as Go's `%T` has it.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%v` has it.
struct Plain<'a>(&'a Value);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("<nil>"),
            Value::String(text) => f.write_str(text),
            Value::Array(items) => {
                joined(f, "[", " ", items.iter(), |item, f| write!(f, "{}", Plain(item)))?;
                f.write_str("]")
            }
            Value::Object(map) => {
                joined(f, "map[", " ", map.iter(), |(name, value), f| write!(f, "{name}:{}", Plain(value)))?;
                f.write_str("]")
            }
            scalar => write!(f, "{scalar}"),
        }
    }
}

/// A value as Go's `%#v` has it.
struct Go<'a>(&'a Value);

impl fmt::Display for Go<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("interface {}(nil)"),
            Value::Array(items) => {
                joined(f, "[]interface {}{", ", ", items.iter(), |item, f| write!(f, "{}", Go(item)))?;
                f.write_str("}")
            }
            Value::Object(map) => {
                let entry = |(name, value): (&String, _), f: &mut fmt::Formatter<'_>| {
                    write!(f, "{name:?}:{}", Go(value))
                };
                joined(f, "map[string]interface {}{", ", ", map.iter(), entry)?;
                f.write_str("}")
            }
            scalar => write!(f, "{scalar}"),
        }
    }
}

fn joined<T>(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    separator: &str,
    parts: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_str(open)?;
    for (index, part) in parts.enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write(part, f)?;
    }
    Ok(())
}
