//! Who owns which field: server-side apply and `metadata.managedFields`, as pure functions over a value and its schema.
//!
//! A write is compared with what was there (`compare`); the fields that differ, a `set`, become the writer's and are taken
//! from everybody else (`update`). An apply first makes the object (`merge`, `prune`) and asks before it takes (`apply`).
//! Everything else is how a set stands in an entry (`codec`, `entries`) and what upstream says of each type (`types`).
//!
//! Behaviour is that of Kubernetes' structured merge. An entry of another version of the kind is read as if its fields were
//! called the same in this one, unless it is known what they are called there (`forms`).

mod apply;
mod canonical;
mod check;
mod codec;
mod compare;
mod conflict;
mod element;
mod entries;
mod faults;
mod fields;
mod forms;
mod last_applied;
mod merge;
mod prune;
mod set;
#[cfg(test)]
mod tests;
mod types;
mod update;

use serde_json::Value;
use std::borrow::Cow;

use crate::CompiledVersion;
use apply::Apply;
use entries::Slot;

pub(crate) use forms::Form;

pub use conflict::{ApplyError, Conflict, Operation};
pub use faults::managed_faults;

/// Who writes, through what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager, such as `kubectl`; empty for an unknown one.
    pub manager: &'a str,
    /// The subresource that is written through, such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The `apiVersion` of the request, such as `apps/v1`.
    pub api_version: &'a str,
    /// The time, in RFC 3339 with seconds, such as `2026-01-31T12:00:00Z`.
    pub now: &'a str,
}

/// The fields that a write through an endpoint does not take, since the server resets them: paths of field names,
/// such as `&[&["status"]]` for the object itself. A path stands for all that is below it.
pub type Reset<'a> = &'a [&'a [&'a str]];

impl CompiledVersion {
    /// Keeps the books of a create (`live` is `None`), an update or a patch that is no apply: writes `managedFields` of `new`.
    ///
    /// A client may send entries of its own, except through a subresource; an empty list or `[{}]` ends the tracking of the
    /// object until it is applied next. Entries that cannot be read count as none sent: those of `live` go on.
    pub fn manage_update(
        &self,
        live: Option<&Value>,
        new: &mut Value,
        writer: &Writer<'_>,
        reset: Reset<'_>,
    ) {
        let Some(sent) = take_sent(new) else { return };
        let before = live.map_or(&[][..], list_in);
        let old = live.unwrap_or(&Value::Null);
        let (mut list, is_sent): (Cow<'_, [Value]>, bool) = match sent {
            Some(Value::Array(sent)) if writer.subresource.is_empty() && sent != before => {
                (if is_reset(&sent) { Vec::new() } else { sent }.into(), true)
            }
            _ => (before.into(), false),
        };
        let mut slots = update::update(self, old, new, &list, writer, reset);
        if slots.is_err() && is_sent {
            list = before.into();
            slots = update::update(self, old, new, &list, writer, reset);
        }
        put(new, slots.map_or_else(|_| before.to_vec(), |slots| fill(slots, list)));
    }

    /// Applies `config` to `live` (`None` if there is no such object) and returns the result with its new `managedFields`.
    ///
    /// The caller has read `config` in the writer's version, and decides what the result's defaults are and whether it is valid.
    ///
    /// # Errors
    /// The fields that others own, unless `force` takes them; what is wrong with `config` or with the object.
    pub fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        writer: &Writer<'_>,
        force: bool,
        reset: Reset<'_>,
    ) -> Result<Value, ApplyError> {
        let live = live.unwrap_or(&Value::Null);
        let (mut merged, slots) =
            Apply { root: &self.root, forms: &self.forms, live, config, writer, force, reset }.run()?;
        put(&mut merged, fill(slots, list_in(live).into()));
        last_applied::sync(&mut merged, config, writer.manager);
        Ok(merged)
    }
}

/// Whether `old` and `new` differ in nothing but the times of their entries, and in their `resourceVersion`: such a write is none.
pub fn only_times_differ(old: &Value, new: &Value) -> bool {
    same_but(old, new, &["metadata"], |old, new| {
        same_but(old, new, &["managedFields", "resourceVersion"], |old, new| match (old, new) {
            (Value::Array(old), Value::Array(new)) => {
                let same = |(old, new)| same_but(old, new, &["time"], |_, _| true);
                old.len() == new.len() && old.iter().zip(new).all(same)
            }
            (Value::Array(_), _) | (_, Value::Array(_)) => false,
            _ => true,
        })
    })
}

/// Whether two objects are the same where `special` does not name the field; there, `same` decides, of null for a field that is not.
fn same_but(old: &Value, new: &Value, special: &[&str], same: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return old == new };
    let is_plain = |(name, _): &(&String, &Value)| !special.contains(&name.as_str());
    old.iter().filter(is_plain).eq(new.iter().filter(is_plain))
        && special
            .iter()
            .all(|name| same(old.get(*name).unwrap_or(&Value::Null), new.get(*name).unwrap_or(&Value::Null)))
}

/// The entries that an object has.
fn list_in(object: &Value) -> &[Value] {
    let list = object.get("metadata").and_then(|metadata| metadata.get("managedFields"));
    list.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Takes what a client sent as entries out of an object; `None` for a value that has no metadata and so can have no entries.
fn take_sent(object: &mut Value) -> Option<Option<Value>> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    Some(metadata.remove("managedFields"))
}

/// Whether a client asks for the end of the tracking.
fn is_reset(sent: &[Value]) -> bool {
    match sent {
        [] => true,
        [Value::Object(entry)] => entry.values().all(|value| value.is_null() || value == ""),
        _ => false,
    }
}

/// The entries behind `slots`, of which the kept ones stand in `list`.
fn fill(slots: Vec<Slot>, mut list: Cow<'_, [Value]>) -> Vec<Value> {
    let entry = |slot| match (slot, &mut list) {
        (Slot::Written(entry), _) => entry,
        (Slot::Kept(place), Cow::Borrowed(list)) => list[place].clone(),
        (Slot::Kept(place), Cow::Owned(list)) => list[place].take(),
    };
    slots.into_iter().map(entry).collect()
}

/// Gives an object its entries; none is no list.
fn put(object: &mut Value, entries: Vec<Value>) {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}
