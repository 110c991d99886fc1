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
    managed: Set<'_>,
) -> Result<(), String> {
    let last = last.clone().with_named(ty);
    let managed = managed.with_named(ty);
    let gone = {
        let all = fields(ty, merged, Count::Owned)?.with_named(ty);
        let mut unowned = going(ty, merged, &all, &last)?;
        unowned.remove(&managed);
        last.intersection(&going(ty, merged, &all, &unowned)?)
    };
    remove(ty, merged, &gone);
    Ok(())
}

/// The fields of `value`, which has `all`, that go with those in `gone`.
fn going<'a>(ty: Type<'_>, value: &Value, all: &Set<'a>, gone: &Set<'_>) -> Result<Set<'a>, String> {
    let mut rest = value.clone();
    remove(ty, &mut rest, gone);
    let mut going = all.clone();
    going.remove(&fields(ty, &rest, Count::Owned)?.with_named(ty));
    Ok(going)
}

/// Takes the fields in `gone` out of `value`. What holds nothing any more goes, too.
pub(super) fn remove(ty: Type<'_>, value: &mut Value, gone: &Set<'_>) {
    let list = match ty.shape(value) {
        Shape::Leaf | Shape::Nothing => return,
        Shape::Map(_) => None,
        Shape::List(list, _) => Some(list),
    };
    match value {
        Value::Object(map) => {
            for branch in gone.branches() {
                let Element::Field(name) = &branch.element else { continue };
                let Some(child) = map.get_mut(&**name) else { continue };
                if branch.member {
                    map.remove(&**name);
                } else {
                    let was_empty = is_empty(child);
                    remove(ty.field(name), child, &branch.below);
                    if is_empty(child) && !was_empty {
                        map.remove(&**name);
                    }
                }
            }
        }
        Value::Array(items) => {
            let Some(list) = list else { return };
            items.retain_mut(|item| {
                let Ok(element) = Element::of_item(list, item) else { return true };
                let Some(branch) = gone.get(&element) else { return true };
                if !branch.member {
                    remove(list.items(), item, &branch.below);
                }
                !branch.member
            });
        }
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
