//! What a sweep through a namespace came across, and how the namespace's conditions say it.

use detectviz_api::condition::{self, Condition};
use detectviz_api::{Reason, Status, meta};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::Obstruction;
use crate::controllers::write::segment;

/// The longest message of a condition, in bytes; objects name their finalizers, and there can be many.
const MESSAGE_BYTES: usize = 4096;

/// What a sweep through a namespace came across.
#[derive(Default)]
pub(super) struct Found {
    /// The objects that nothing was done about yet: the path of the collection, and of the object.
    undeleted: Vec<(String, String)>,
    /// The path of an object that waits for its finalizers.
    held: Option<String>,
    /// How many objects there are, by the path of their collection.
    remaining: BTreeMap<String, usize>,
    /// How many objects wait, by the name of the finalizer.
    finalizers: BTreeMap<String, usize>,
    /// What was refused, by the path of the collection.
    pub(super) refused: BTreeMap<String, Status>,
}

impl Found {
    /// Counts an object of a list.
    pub(super) fn add(&mut self, collection: &str, item: &Value) {
        let path = format!("{collection}/{}", segment(meta::name(item)));
        *self.remaining.entry(collection.to_owned()).or_default() += 1;
        if !meta::is_deleting(item) {
            self.undeleted.push((collection.to_owned(), path));
            return;
        }
        self.held = Some(path);
        let finalizers = item.pointer("/metadata/finalizers").and_then(Value::as_array);
        for finalizer in finalizers.into_iter().flatten().filter_map(Value::as_str) {
            *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn take_undeleted(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.undeleted)
    }

    /// What to wait for before the next sweep.
    pub(super) fn obstruction(&self) -> Option<Obstruction> {
        if let Some((path, _)) = self.undeleted.first() {
            let refusal = self.refused.get(path).map(|refusal| refusal.message.clone());
            let why = refusal.unwrap_or_else(|| "objects are still being created".to_owned());
            return Some(Obstruction::Refusal { path: path.clone(), why });
        }
        if let Some(path) = &self.held {
            return Some(Obstruction::Object(path.clone()));
        }
        let (path, refusal) = self.refused.first_key_value()?;
        Some(Obstruction::Refusal { path: path.clone(), why: refusal.message.clone() })
    }

    /// Sets the conditions of `namespace`; returns whether anything changed.
    pub(super) fn tell(&self, namespace: &mut Value) -> bool {
        let mut changed = false;
        for condition in self.conditions() {
            // What does not hold is said only where it was said to hold.
            if condition.status == Some(true) || condition::find(namespace, condition.kind).is_some() {
                changed |= condition.apply(namespace);
            }
        }
        changed
    }

    /// The conditions with upstream's types and reasons.
    fn conditions(&self) -> [Condition; 4] {
        let (unavailable, refused): (Vec<_>, Vec<_>) =
            self.refused.iter().partition(|(_, refusal)| is_unavailable(refusal));
        let why = |list: Vec<(&String, &Status)>| {
            join(list.into_iter().map(|(collection, refusal)| (resource_of(collection), &refusal.message)))
        };
        let remaining = self.remaining.iter().map(|(collection, count)| (resource_of(collection), count));
        [
            condition(
                "NamespaceDeletionDiscoveryFailure",
                ("DiscoveryFailed", "resources are not available"),
                ("ResourcesDiscovered", "all resources are available"),
                &why(unavailable),
            ),
            condition(
                "NamespaceDeletionContentFailure",
                ("ContentDeletionFailed", "deletion was refused"),
                ("ContentDeleted", "no deletion was refused"),
                &why(refused),
            ),
            condition(
                "NamespaceContentRemaining",
                ("SomeResourcesRemain", "objects remain"),
                ("ContentRemoved", "no object is known to remain"),
                &join(remaining),
            ),
            condition(
                "NamespaceFinalizersRemaining",
                ("SomeFinalizersRemain", "objects wait for finalizers"),
                ("ContentHasNoFinalizers", "no object waits for a finalizer"),
                &join(self.finalizers.iter()),
            ),
        ]
    }
}

/// A condition that holds when there are `details`.
fn condition(kind: &'static str, yes: (&str, &str), no: (&str, &str), details: &str) -> Condition {
    match details.is_empty() {
        true => Condition::new(kind, false, no.0, no.1),
        false => Condition::new(kind, true, yes.0, format!("{}: {details}", yes.1)),
    }
}

/// `name: value`, separated by commas; what is too long is left out.
fn join(pairs: impl Iterator<Item = (impl Display, impl Display)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if text.len() > MESSAGE_BYTES {
            text.push_str(", ...");
            break;
        }
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{name}: {value:.256}");
    }
    text
}

/// The resource and group-version of a collection's path, as in `things.example.org/v1`.
fn resource_of(collection: &str) -> String {
    let (group_version, rest) = collection.split_once("/namespaces/").unwrap_or_default();
    let resource = rest.split_once('/').map_or(rest, |(_, resource)| resource);
    match group_version.strip_prefix("/apis/") {
        Some(group_version) => format!("{resource}.{group_version}"),
        None => resource.to_owned(),
    }
}

/// Whether the refusal says that there is no such collection: nothing to delete.
pub(super) fn is_absent(refusal: &Status) -> bool {
    refusal.is(Reason::NotFound) || refusal.is(Reason::MethodNotAllowed)
}

fn is_unavailable(refusal: &Status) -> bool {
    matches!(refusal.code, 502..=504)
}
