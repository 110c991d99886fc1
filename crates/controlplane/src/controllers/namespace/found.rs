//! What a sweep through a namespace came across, and how the namespace's conditions say it: upstream's types, reasons and
//! texts.

use detectviz_api::condition::Condition;
use detectviz_api::{GroupVersion, Status};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;

use super::Obstruction;
use super::empty::Item;
use crate::controllers::served::Served;

/// The longest message of a condition, in bytes; objects name their finalizers, and there can be many.
const MESSAGE_BYTES: usize = 4096;

/// What a sweep through a namespace came across.
#[derive(Default)]
pub(super) struct Found {
    /// Whether it was a sweep through what another server has. One that answers nonsense does not answer.
    is_remote: bool,
    /// Collections that could not be listed or emptied because whoever serves them does not answer: what is not known, by
    /// group-version, with the path to ask.
    pub(super) unavailable: BTreeMap<String, (String, String)>,
    /// What was refused, by the path of the collection.
    pub(super) refused: BTreeMap<String, String>,
    /// How many objects there are, by resource and group.
    pub(super) remaining: BTreeMap<String, usize>,
    /// How many objects wait, by the name of the finalizer.
    finalizers: BTreeMap<String, usize>,
    /// The path of an object that waits for its finalizers, or was given time.
    held: Option<String>,
    /// Whether something was not deleted yet when all of its collection had been.
    is_new: bool,
}

impl Found {
    /// Counts an object that is still there.
    pub(super) fn add(&mut self, path: String, item: &Item) {
        if !item.is_deleting() {
            self.is_new = true;
        } else if self.held.is_none() {
            self.held = Some(path);
        }
        for finalizer in item.finalizers() {
            *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }

    /// Takes down that the collection of `served` at `path` was not emptied.
    pub(super) fn refuse(&mut self, served: &Served, path: &str, refusal: Status) {
        if matches!(refusal.code, 502..=504) || (self.is_remote && refusal.code >= 500) {
            let why = (path.to_owned(), refusal.message);
            self.unavailable.insert(served.group_version.to_string(), why);
        } else {
            self.refused.insert(path.to_owned(), refusal.message);
        }
    }

    /// Nothing yet, of what another server has.
    pub(super) fn of_remote() -> Self {
        Self { is_remote: true, ..Self::default() }
    }

    /// Takes down what another sweep through the same namespace came across.
    pub(super) fn add_all(&mut self, other: Self) {
        self.unavailable.extend(other.unavailable);
        self.refused.extend(other.refused);
        self.remaining.extend(other.remaining);
        for (finalizer, count) in other.finalizers {
            *self.finalizers.entry(finalizer).or_default() += count;
        }
        self.held = self.held.take().or(other.held);
        self.is_new |= other.is_new;
    }

    /// Says by which APIService the failures, all of `gv`, have come.
    pub(super) fn name_server(&mut self, gv: &GroupVersion) {
        let server = format!(" (APIService {})", gv.api_service_name());
        self.unavailable.values_mut().for_each(|(_, why)| why.push_str(&server));
        self.refused.values_mut().for_each(|why| why.push_str(&server));
    }

    /// Whether objects of a kind remain.
    pub(super) fn remains(&self, served: &Served) -> bool {
        self.remaining.get(&served.name()).is_some_and(|count| *count > 0)
    }

    /// What to wait for before the next sweep.
    pub(super) fn obstruction(&self) -> Option<Obstruction> {
        let refusal =
            |(path, why): (&String, &String)| Obstruction::Refusal { path: path.clone(), why: why.clone() };
        let refused = || self.refused.first_key_value().map(refusal);
        let unavailable = || self.unavailable.values().next().map(|(path, why)| refusal((path, why)));
        if self.is_new {
            return Some(Obstruction::New);
        }
        self.held.clone().map(Obstruction::Object).or_else(refused).or_else(unavailable)
    }

    /// Sets the conditions of `namespace`; returns whether anything changed.
    pub(super) fn tell(&self, namespace: &mut Value) -> bool {
        let conditions = self.conditions();
        conditions.iter().fold(false, |changed, condition| condition.apply(namespace) | changed)
    }

    fn conditions(&self) -> [Condition; 5] {
        let failing = self.unavailable.iter().map(|(gv, (_, why))| format!("{gv}: {why}"));
        let count = self.unavailable.len();
        let remaining = self.remaining.iter().filter(|(_, count)| **count > 0);
        let remaining =
            remaining.map(|(resource, count)| format!("{resource} has {count} resource instances"));
        let finalizers = self
            .finalizers
            .iter()
            .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"));
        [
            condition(
                "NamespaceDeletionDiscoveryFailure",
                (
                    "DiscoveryFailed",
                    &format!(
                        "Discovery failed for some groups, {count} failing: unable to retrieve the complete list of server APIs"
                    ),
                ),
                ("ResourcesDiscovered", "All resources successfully discovered"),
                &join(failing),
            ),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure",
                ("GroupVersionParsingFailed", ""),
                ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
                "",
            ),
            condition(
                "NamespaceDeletionContentFailure",
                (
                    "ContentDeletionFailed",
                    &format!("Failed to delete all resource types, {} remaining", self.refused.len()),
                ),
                ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
                &join(self.refused.values()),
            ),
            condition(
                "NamespaceContentRemaining",
                ("SomeResourcesRemain", "Some resources are remaining"),
                ("ContentRemoved", "All content successfully removed"),
                &join(remaining),
            ),
            condition(
                "NamespaceFinalizersRemaining",
                ("SomeFinalizersRemain", "Some content in the namespace has finalizers remaining"),
                ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
                &join(finalizers),
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

/// The parts, separated by commas; what is too long is left out.
fn join(parts: impl Iterator<Item = impl Display>) -> String {
    let mut text = String::new();
    for part in parts {
        if text.len() > MESSAGE_BYTES {
            text.push_str(", ...");
            break;
        }
        let separator = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{separator}{part:.512}"));
    }
    text
}
