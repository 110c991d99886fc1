//! Taking fields out of an object, and finding out which: those that an applier dropped and that nobody else has.

use serde_json::Value;

use super::element::Element;
use super::fields::{Count, fields};
use super::set::Set;
use super::types::{Shape, Type};

/// Takes out of `merged` what is in `last`, the fields that an applier had, and not in `managed`, those that all managers have now.
///
/// A field is what it holds, too: an item goes with all that is in it, and with the last of its owned fields goes what only
/// held them together, and what stood there without an owner. What others own stays, and so does what holds it.
///
/// # Errors
/// When an item of a list cannot be told apart.
pub(super) fn prune(
    ty: Type<'_>,
    merged: &mut Value,
    last: &Set<'_>,
    managed: &Set<'_>,
) -> Result<(), String> {
    let last = last.clone().with_named(ty);
    let gone = {
        let all = fields(ty, merged, Count::Owned)?.with_named(ty);
        let mut unowned = going(ty, merged, &all, &last)?;
        unowned.remove(&managed.clone().with_named(ty));
        last.intersection(&going(ty, merged, &all, &unowned)?)
    };
    remove(ty, merged, &gone, Emptied::GoneUnless(Some(managed)));
    Ok(())
}

/// The fields of `value`, which has `all`, that go with those in `gone`.
fn going<'a>(ty: Type<'_>, value: &Value, all: &Set<'a>, gone: &Set<'_>) -> Result<Set<'a>, String> {
    let mut rest = value.clone();
    remove(ty, &mut rest, gone, Emptied::Null);
    let mut going = all.clone();
    going.remove(&fields(ty, &rest, Count::Owned)?.with_named(ty));
    Ok(going)
}

/// What becomes of an object or a list that has nothing any more.
#[derive(Clone, Copy)]
enum Emptied<'a> {
    /// It is null: still there, but nothing of it is.
    Null,
    /// It goes, unless it is in this set, since somebody wants it even so.
    GoneUnless(Option<&'a Set<'a>>),
}

impl<'a> Emptied<'a> {
    fn below(self, element: &Element<'_>) -> Self {
        match self {
            Self::Null => Self::Null,
            Self::GoneUnless(set) => {
                Self::GoneUnless(set.and_then(|set| set.get(element)).map(|branch| &branch.below))
            }
        }
    }

    fn is_wanted(self, element: &Element<'_>) -> bool {
        matches!(self, Self::GoneUnless(Some(set)) if set.get(element).is_some_and(|branch| branch.member))
    }
}

/// Takes the fields in `gone` out of `value`.
fn remove(ty: Type<'_>, value: &mut Value, gone: &Set<'_>, emptied: Emptied<'_>) {
    let list = match ty.shape(value) {
        Shape::Leaf | Shape::Nothing => return,
        Shape::Map(_) => None,
        Shape::List(list, _) => Some(list),
    };
    match (value, list) {
        (Value::Object(map), _) => {
            for branch in gone.branches() {
                let Element::Field(name) = &branch.element else { continue };
                let Some(child) = map.get_mut(&**name) else { continue };
                if !branch.member {
                    let was_empty = is_empty(child);
                    remove(ty.field(name), child, &branch.below, emptied.below(&branch.element));
                    if was_empty || !is_empty(child) || emptied.is_wanted(&branch.element) {
                        continue;
                    }
                    if matches!(emptied, Emptied::Null) {
                        child.take();
                        continue;
                    }
                }
                map.remove(&**name);
            }
        }
        (Value::Array(items), Some(list)) => items.retain_mut(|item| {
            let Ok(element) = Element::of_item(list, item) else { return true };
            let Some(branch) = gone.get(&element) else { return true };
            if !branch.member {
                remove(list.items(), item, &branch.below, emptied.below(&element));
            }
            !branch.member
        }),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
