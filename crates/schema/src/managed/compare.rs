//! What a write changed.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

use super::element::Element;
use super::fields::{Count, fields};
use super::set::Set;
use super::types::{List, Shape, Type};

/// The fields that differ between two values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes<'a> {
    /// Those that are new or have a new value.
    pub(super) set: Set<'a>,
    /// Those that are gone.
    pub(super) removed: Set<'a>,
}

impl<'a> Changes<'a> {
    /// Leaves out what the server resets.
    pub(super) fn without(mut self, reset: &Set<'_>) -> Self {
        self.set.remove_below(reset);
        self.removed.remove_below(reset);
        self
    }

    fn push(&mut self, element: Element<'a>, modified: bool, below: Changes<'a>) {
        if !below.removed.is_empty() {
            self.removed.push(element.clone(), false, below.removed);
        }
        self.set.push(element, modified, below.set);
    }
}

/// What differs below two values, and whether the values differ as such: in the first of the two, all is said by its fields.
pub(super) fn compare<'a>(
    ty: Type<'_>,
    old: &'a Value,
    new: &'a Value,
) -> Result<(Changes<'a>, bool), String> {
    let whole = |changes| Ok((changes, false));
    match (ty.shape(old), ty.shape(new)) {
        (Shape::Map(old), Shape::Map(new)) if !(old.is_empty() && new.is_empty()) => {
            maps(ty, Some(old), Some(new)).and_then(whole)
        }
        (Shape::Map(old), Shape::Nothing) if !old.is_empty() => maps(ty, Some(old), None).and_then(whole),
        (Shape::Nothing, Shape::Map(new)) if !new.is_empty() => maps(ty, None, Some(new)).and_then(whole),
        (Shape::List(list, old), Shape::List(_, new)) if !(old.is_empty() && new.is_empty()) => {
            lists(list, old, new).and_then(whole)
        }
        (Shape::List(list, old), Shape::Nothing) if !old.is_empty() => lists(list, old, &[]).and_then(whole),
        (Shape::Nothing, Shape::List(list, new)) if !new.is_empty() => lists(list, &[], new).and_then(whole),
        (Shape::Leaf, Shape::Leaf) => Ok((Changes::default(), !equal(old, new))),
        // An object became a scalar or the reverse, or an empty value null: a change as such, and of all that is below.
        _ => {
            let removed = fields(ty, old, Count::Every)?;
            let set = fields(ty, new, Count::Every)?;
            Ok((Changes { set, removed }, !equal(old, new)))
        }
    }
}

fn maps<'a>(
    ty: Type<'_>,
    old: Option<&'a Map<String, Value>>,
    new: Option<&'a Map<String, Value>>,
) -> Result<Changes<'a>, String> {
    let mut changes = Changes::default();
    let mut olds = old.into_iter().flatten().peekable();
    let mut news = new.into_iter().flatten().peekable();
    loop {
        let order = match (olds.peek(), news.peek()) {
            (None, None) => return Ok(changes),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((two, _))) => one.cmp(two),
        };
        let old = if order.is_le() { olds.next() } else { None };
        let new = if order.is_ge() { news.next() } else { None };
        let Some((name, _)) = old.or(new) else { return Ok(changes) };
        let (old, new) = (old.map(|(_, value)| value), new.map(|(_, value)| value));
        one(ty.field(name), Element::field(name), old, new, &mut changes)?;
    }
}

/// Compares what stands at one place; at least one of the two does.
fn one<'a>(
    ty: Type<'_>,
    element: Element<'a>,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    changes: &mut Changes<'a>,
) -> Result<(), String> {
    match (old, new) {
        (Some(old), Some(new)) => {
            let (below, modified) = compare(ty, old, new)?;
            changes.push(element, modified, below);
        }
        (Some(old), None) => changes.removed.push(element, true, fields(ty, old, Count::Every)?),
        (None, Some(new)) => changes.set.push(element, true, fields(ty, new, Count::Every)?),
        (None, None) => {}
    }
    Ok(())
}

fn lists<'a>(list: List<'_>, old: &'a [Value], new: &'a [Value]) -> Result<Changes<'a>, String> {
    let mut changes = Changes::default();
    if old == new {
        return Ok(changes);
    }
    let (old, new) = (list.index(old)?, list.index(new)?);
    let (mut olds, mut news) = (&old[..], &new[..]);
    while let Some((element, _)) = match (olds.first(), news.first()) {
        (Some(one), Some(two)) => Some(if one.0 <= two.0 { one } else { two }),
        (one, two) => one.or(two),
    } {
        let (old, new) = (take(&mut olds, element), take(&mut news, element));
        items(list.items(), element, old, new, &mut changes)?;
    }
    Ok(changes)
}

/// Takes the items of `element` off the front of an index.
fn take<'i, 'a>(
    index: &mut &'i [(Element<'a>, &'a Value)],
    element: &Element<'_>,
) -> &'i [(Element<'a>, &'a Value)] {
    let count = index.iter().take_while(|(other, _)| other == element).count();
    let (taken, rest) = index.split_at(count);
    *index = rest;
    taken
}

/// Compares the items of one key. Several of them are one field; to become several, or one again, is to change altogether.
fn items<'a>(
    ty: Type<'_>,
    element: &Element<'a>,
    old: &[(Element<'a>, &'a Value)],
    new: &[(Element<'a>, &'a Value)],
    changes: &mut Changes<'a>,
) -> Result<(), String> {
    let single = |items: &[(Element<'a>, &'a Value)]| match items {
        [(_, item)] => Some(*item),
        _ => None,
    };
    match (old.len(), new.len()) {
        (..=1, ..=1) => one(ty, element.clone(), single(old), single(new), changes),
        (2.., 2..) => {
            if !old.iter().map(|(_, item)| item).eq(new.iter().map(|(_, item)| item)) {
                changes.set.push(element.clone(), true, Set::default());
            }
            Ok(())
        }
        (2.., _) => {
            one(ty, element.clone(), None, single(new), changes)?;
            changes.removed.push(element.clone(), true, Set::default());
            Ok(())
        }
        (_, 2..) => {
            one(ty, element.clone(), single(old), None, changes)?;
            changes.set.push(element.clone(), true, Set::default());
            Ok(())
        }
    }
}

/// Whether two values are the same. Numbers are by what they count, not by how they are written.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => same_number(left, right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|((one, left), (two, right))| one == two && equal(left, right))
        }
        _ => left == right,
    }
}

fn same_number(left: &Number, right: &Number) -> bool {
    left == right || ((left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64())
}
