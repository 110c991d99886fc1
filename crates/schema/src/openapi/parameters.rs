//! The parameters of operations, written out in each: kubectl looks for them by name and follows no reference.

use serde_json::{Value, json};

/// The query parameters that an action has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    None,
    List,
    Write,
    Patch,
    Delete,
    DeleteCollection,
}

/// Name, type and meaning.
type Parameter = (&'static str, &'static str, &'static str);

const DRY_RUN: Parameter = ("dryRun", "string", "All: do everything but store the result.");

const LIST: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean", "Whether a watch may send events that only tell how far it has come."),
    ("continue", "string", "The token of the page before, to get the next."),
    ("fieldSelector", "string", "Conditions on fields that objects must meet."),
    ("labelSelector", "string", "Conditions on labels that objects must meet."),
    ("limit", "integer", "The most objects of a page."),
    ("resourceVersion", "string", "The revision to read at or watch from."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    ("sendInitialEvents", "boolean", "Whether a watch starts with the objects that there are."),
    ("timeoutSeconds", "integer", "The seconds after which the server ends the call."),
    ("watch", "boolean", "Whether to stream changes instead of a list."),
];

const WRITE: &[Parameter] = &[
    DRY_RUN,
    ("fieldManager", "string", "Who makes the change."),
    ("fieldValidation", "string", "What unknown and duplicate fields bring about: Ignore, Warn or Strict."),
];

const FORCE: Parameter = ("force", "boolean", "Whether an apply takes fields that others own.");

const DELETE: &[Parameter] = &[
    DRY_RUN,
    ("gracePeriodSeconds", "integer", "The seconds that the object is given to end; 0 is at once."),
    ("orphanDependents", "boolean", "Replaced by propagationPolicy. Whether dependents stay."),
    ("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
];

impl Query {
    /// The parameters, as an operation lists them.
    pub(super) fn parameters(self) -> Value {
        let (parameters, more): (&[Parameter], &[Parameter]) = match self {
            Self::None => (&[], &[]),
            Self::List => (LIST, &[]),
            Self::Write => (WRITE, &[]),
            Self::Patch => (WRITE, &[FORCE]),
            Self::Delete => (DELETE, &[]),
            Self::DeleteCollection => (LIST, DELETE),
        };
        // What only a watch has is not asked of a deletion.
        let is_of_watches = |name: &str| matches!(name, "allowWatchBookmarks" | "watch");
        let fits = |name: &str| self != Self::DeleteCollection || !is_of_watches(name);
        parameters.iter().filter(|(name, ..)| fits(name)).chain(more).map(in_query).collect()
    }
}

/// The parameters that all operations of a path have: those in it, and `pretty`.
pub(super) fn of_path(names: &[&str]) -> Value {
    let pretty = ("pretty", "string", "Whether the answer is indented.");
    names.iter().map(|name| in_path(name)).chain([in_query(&pretty)]).collect()
}

fn in_path(name: &str) -> Value {
    let description = format!("The object's {name}.");
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"}})
}

fn in_query((name, kind, description): &Parameter) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind}})
}
