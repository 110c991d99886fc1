//! The rules: each is a function from a history to what breaks it.

#[cfg(test)]
mod fixture;
mod reads;
mod streams;
mod window;
mod writes;

use std::fmt;

use super::History;
use super::model::Model;
use window::Windows;

/// Something that no order of events explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The rule's name.
    pub(super) rule: &'static str,
    /// What breaks it.
    pub(super) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are long for the disk's sake.
        write!(f, "{}: {}", self.rule, self.what.replace("xxxxxxxx", ""))
    }
}

fn broken(rule: &'static str, what: impl Into<String>) -> Violation {
    Violation { rule, what: what.into() }
}

/// Everything that breaks a rule.
pub(super) fn check(history: &History, model: &Model<'_>) -> Vec<Violation> {
    let windows = Windows::new(history);
    let operations = history.operations.iter();
    let mut violations = Vec::new();
    violations.extend(writes::acknowledged(history, model));
    violations.extend(writes::explained(history));
    violations.extend(writes::final_state(history, model));
    violations.extend(operations.clone().filter_map(|operation| writes::in_time(operation, &windows)));
    violations
        .extend(operations.clone().filter_map(|operation| writes::precondition(operation, model, &windows)));
    violations.extend(operations.clone().filter_map(|operation| writes::refusal(operation, model, &windows)));
    violations.extend(operations.filter_map(|operation| reads::linearizable(operation, model, &windows)));
    violations.extend(reads::monotonic(&history.operations));
    for stream in &history.streams {
        violations.extend(streams::ordered_and_unique(stream));
        violations.extend(streams::atomic(stream, model));
        violations.extend(streams::right(stream, model));
        violations.extend(streams::complete(stream, model, history.last.revision));
        violations.extend(streams::bookmarks(stream));
        violations.extend(streams::resumable(stream));
    }
    violations
}
