//! The fields of a value.

use serde_json::Value;

use super::element::Element;
use super::set::{Branch, Set};
use super::types::{List, Shape, Type};

/// Which steps to a field are fields themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Those that somebody who writes the value means to own: not the fields that the schema names and that only lead on.
    Owned,
    /// All: what comes or goes when the whole value does.
    Every,
}

/// The fields below `value`.
///
/// # Errors
/// When an item of a list cannot be told apart.
pub(super) fn fields<'a>(ty: Type<'_>, value: &'a Value, count: Count) -> Result<Set<'a>, String> {
    match ty.shape(value) {
        Shape::Leaf | Shape::Nothing => Ok(Set::default()),
        Shape::List(list, items) => of_list(list, items, count),
        Shape::Map(map) => {
            let mut set = Set::with_capacity(map.len());
            for (name, child) in map {
                let child_type = ty.field(name);
                let member = count == Count::Every || !ty.names(name) || is_one(child_type, child);
                set.push(Element::field(name), member, fields(child_type, child, count)?);
            }
            Ok(set)
        }
    }
}

/// Whether nothing in `value` has an owner of its own. An empty list whose items would have is not: nobody owns it.
fn is_one(ty: Type<'_>, value: &Value) -> bool {
    match ty.shape(value) {
        Shape::Leaf | Shape::Nothing => true,
        Shape::Map(map) => map.is_empty(),
        Shape::List(..) => false,
    }
}

fn of_list<'a>(list: List<'_>, items: &'a [Value], count: Count) -> Result<Set<'a>, String> {
    let mut branches: Vec<Branch<'a>> = Vec::with_capacity(items.len());
    for (element, item) in list.index(items)? {
        match branches.last_mut() {
            // Items that cannot be told apart are owned together, as one.
            Some(last) if last.element == element => last.below = Set::default(),
            _ => {
                let below = fields(list.items(), item, count)?;
                branches.push(Branch { element, member: true, below });
            }
        }
    }
    Ok(Set::of(branches))
}
