//! The books of a write that is no apply: what it changed is its manager's, and nobody else's any more.

use serde_json::Value;

use super::compare::{Changes, compare};
use super::conflict::Operation;
use super::entries::{self, Entry, Slot};
use super::forms;
use super::set::Set;
use super::types::Type;
use super::{Reset, Writer};
use crate::CompiledVersion;
use crate::node::{Kind, Node};

/// The fields of `metadata` and the type of the object that are nobody's: they come with the object.
const NOBODYS: Reset<'static> = &[
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "clusterName"],
    &["metadata", "creationTimestamp"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "resourceVersion"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
];

/// The entries after a write that made `new` of `old`, null if there was no object. They are those in `list`, as read.
///
/// # Errors
/// When the entries are none, or an item of a list cannot be told apart.
pub(super) fn update(
    version: &CompiledVersion,
    old: &Value,
    new: &Value,
    list: &[Value],
    writer: &Writer<'_>,
    reset: Reset<'_>,
) -> Result<Vec<Slot>, String> {
    let root = &*version.root;
    let mut entries = forms::decode(list, &version.forms)?;
    // What is not tracked from its creation on is only tracked once it is applied.
    if entries.is_empty() && !old.is_null() {
        return Ok(Vec::new());
    }
    reconcile(root, &mut entries);
    let changes = changes(root, old, new, reset)?;
    for entry in &mut entries {
        take(entry, &changes);
    }
    add(&mut entries, changes.set, writer);
    entries::cap(&mut entries);
    Ok(forms::encode(entries, &version.forms))
}

/// The entry of everything that was there before the first apply.
///
/// # Errors
/// When an item of a list cannot be told apart.
pub(super) fn before_first_apply<'a>(
    root: &Node,
    live: &'a Value,
    writer: &Writer<'a>,
    reset: Reset<'_>,
) -> Result<Vec<Entry<'a>>, String> {
    let mut entries = Vec::new();
    let fields = changes(root, &Value::Null, live, reset)?.set;
    add(&mut entries, fields, &Writer { manager: "before-first-apply", ..*writer });
    Ok(entries)
}

/// Makes one field of what has become atomic since an entry was written.
pub(super) fn reconcile(root: &Node, entries: &mut [Entry<'_>]) {
    for entry in entries {
        if entry.fields.reconcile(Type::of(root)) {
            entry.unchanged = None;
        }
    }
}

/// What made `new` of `old`, without what the server resets.
pub(super) fn changes<'a>(
    root: &Node,
    old: &'a Value,
    new: &'a Value,
    reset: Reset<'_>,
) -> Result<Changes<'a>, String> {
    let (mut changes, _) = compare(Type::of(root), old, new)?;
    // A built-in kind has its `spec` and `status` from its creation on, so nobody brings them.
    let is_message = |name: &str| {
        let node = root.fields.get(name).map(|field| &field.node);
        node.is_some_and(|node| node.kind == Kind::Object && !node.numbers.is_empty())
    };
    changes.set.disown(is_message);
    changes.removed.disown(is_message);
    Ok(changes.without(&Set::of_paths(reset)))
}

/// Takes from an entry what somebody else wrote or took away.
pub(super) fn take(entry: &mut Entry<'_>, changes: &Changes<'_>) {
    if entry.fields.remove(&changes.set) | entry.fields.remove(&changes.removed) {
        entry.unchanged = None;
    }
}

/// Leaves only what can be owned.
pub(super) fn ownable(mut fields: Set<'_>) -> Set<'_> {
    fields.remove(&Set::of_paths(NOBODYS));
    fields
}

/// Adds `fields` to the writer's entry, which is then of now.
fn add<'a>(entries: &mut Vec<Entry<'a>>, fields: Set<'a>, writer: &Writer<'a>) {
    let fields = ownable(fields);
    if fields.is_empty() {
        return;
    }
    let mut entry = writer.entry(Operation::Update, fields);
    entry.time = Some(writer.now);
    match entries.iter_mut().find(|other| other.is_of(&entry)) {
        Some(other) => {
            entry.fields = Set::union([entry.fields, std::mem::take(&mut other.fields)]);
            *other = entry;
        }
        None => entries.push(entry),
    }
}

impl<'a> Writer<'a> {
    /// The writer's entry, without a time.
    pub(super) fn entry(&self, operation: Operation, fields: Set<'a>) -> Entry<'a> {
        Entry {
            manager: if self.manager.is_empty() { "unknown" } else { self.manager },
            operation,
            subresource: self.subresource,
            api_version: self.api_version,
            time: None,
            fields,
            unchanged: None,
        }
    }
}
