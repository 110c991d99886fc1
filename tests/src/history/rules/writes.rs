//! Writes: what was acknowledged has happened, once, in its time, and nothing else has.

use std::collections::{BTreeMap, BTreeSet};

use super::window::Windows;
use super::{Violation, broken};
use crate::history::History;
use crate::history::model::{Event, Kind, Model, Selection, Version};
use crate::history::operation::{Answer, Call, Operation};

/// An acknowledged write is an event: at the revision that the answer said, of what was sent.
pub(super) fn acknowledged(history: &History, model: &Model<'_>) -> Vec<Violation> {
    let deletions: BTreeMap<&str, &Event> = history
        .events
        .iter()
        .filter(|event| event.kind == Kind::Deleted)
        .map(|event| (event.version.uid.as_str(), event))
        .collect();
    let check = |operation: &Operation| {
        let event = match &operation.answer {
            Answer::Written(version) => {
                model.event(version.revision).filter(|event| event.version == *version)
            }
            Answer::Deleted(uid) => deletions.get(uid.as_str()).copied(),
            _ => return None,
        };
        let sent = |event: &Event| {
            let kind = match operation.call {
                Call::Create { .. } => Kind::Added,
                Call::Update { .. } => Kind::Modified,
                _ => Kind::Deleted,
            };
            event.kind == kind
                && operation.key() == Some(&event.key)
                && operation.value().is_none_or(|value| value == event.version.value)
        };
        match event {
            Some(event) if sent(event) => None,
            other => Some(broken("acknowledged writes happened", format!("{operation:?} became {other:?}"))),
        }
    };
    history.operations.iter().filter_map(check).collect()
}

/// An event is a write of somebody, who was not told that it failed; and a write is at most one event.
pub(super) fn explained(history: &History) -> Vec<Violation> {
    let done = |operation: &&Operation| operation.is_acknowledged() || operation.is_unknown();
    let mut values: BTreeSet<&str> =
        history.operations.iter().filter(done).filter_map(Operation::value).collect();
    let mut deleted: BTreeSet<&str> = BTreeSet::new();
    let mut unknown = Vec::new();
    for operation in &history.operations {
        match (&operation.call, &operation.answer) {
            (_, Answer::Deleted(uid)) => _ = deleted.insert(uid),
            (Call::Delete { key, .. }, Answer::Unknown) => unknown.push(key),
            _ => {}
        }
    }
    let new = history.events.iter().filter(|event| event.version.revision > history.seen_until);
    let unexplained = new.filter(|event| match event.kind {
        Kind::Deleted if deleted.remove(event.version.uid.as_str()) => false,
        Kind::Deleted => match unknown.iter().position(|key| **key == event.key) {
            Some(number) => {
                unknown.swap_remove(number);
                false
            }
            None => true,
        },
        Kind::Added | Kind::Modified => !values.remove(event.version.value.as_str()),
    });
    unexplained
        .map(|event| broken("events are writes, once", format!("{event:?} is nobody's, or is there twice")))
        .collect()
}

/// What is there at the end is what the events lead to.
pub(super) fn final_state(history: &History, model: &Model<'_>) -> Option<Violation> {
    let expected = model.state(&Selection::default(), history.last.revision);
    (history.last != expected).then(|| {
        broken("the state is what the events led to", difference(&history.last.items, &expected.items))
    })
}

/// What is in one list of objects and not in the other.
pub(super) fn difference<T: PartialEq + std::fmt::Debug>(found: &[T], expected: &[T]) -> String {
    let only = |one: &[T], other: &[T]| {
        format!("{:?}", one.iter().filter(|item| !other.contains(item)).collect::<Vec<_>>())
    };
    format!("there are {}, missing are {}", only(found, expected), only(expected, found))
}

/// A write happens between its call and its answer: behind what was known before, and before what came later.
pub(super) fn in_time(operation: &Operation, windows: &Windows<'_>) -> Option<Violation> {
    let (revision, low, high) = (windows.place(operation)?, windows.low(operation), windows.high(operation));
    let fits = low < revision && revision <= high;
    (!fits).then(|| {
        broken("writes happen while they are called", format!("not in {low}..={high}: {operation:?}"))
    })
}

/// A write that succeeded had what it wanted right before it.
pub(super) fn precondition(
    operation: &Operation,
    model: &Model<'_>,
    windows: &Windows<'_>,
) -> Option<Violation> {
    let before = model.at(operation.key()?, windows.place(operation)? - 1);
    let held = match &operation.call {
        Call::Create { .. } => before.is_none(),
        Call::Update { at, .. } | Call::Delete { at, .. } => {
            before.is_some_and(|before| at.is_none_or(|at| at == before.revision))
        }
        Call::Get { .. } | Call::List { .. } => true,
    };
    (!held).then(|| broken("preconditions held", format!("before was {before:?}: {operation:?}")))
}

/// A write that was refused for the state of the object met such a state.
pub(super) fn refusal(operation: &Operation, model: &Model<'_>, windows: &Windows<'_>) -> Option<Violation> {
    let (at, key) = match &operation.call {
        Call::Create { key, .. } => (None, key),
        Call::Update { at, key, .. } | Call::Delete { at, key } => (*at, key),
        Call::Get { .. } | Call::List { .. } => return None,
    };
    let met = |state: Option<&Version>| match &operation.answer {
        Answer::Exists => state.is_some(),
        Answer::NotFound => state.is_none(),
        Answer::Conflict => at.is_none_or(|at| state.is_some_and(|state| state.revision != at)),
        _ => true,
    };
    let (low, high) = (windows.low(operation), windows.high(operation));
    let fits = model.ever(key, low, high, met);
    (!fits).then(|| broken("refusals were right", format!("never so in {low}..={high}: {operation:?}")))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;

    #[test]
    fn a_history_that_fits_has_no_violations() {
        assert_eq!(rules_broken(&sound()), Vec::<&str>::new());
    }

    #[test]
    fn a_lost_write_is_seen() {
        let mut history = sound();
        history.events.retain(|event| event.version.revision != 12);
        assert!(rules_broken(&history).contains(&"acknowledged writes happened"));
        let mut history = sound();
        history.last.items.clear();
        assert_eq!(rules_broken(&history), ["the state is what the events led to"]);
    }

    #[test]
    fn a_write_that_failed_and_happened_is_seen() {
        let mut history = sound();
        history.operations[1].answer = Answer::Refused;
        assert!(rules_broken(&history).contains(&"events are writes, once"));
        history.operations[1].answer = Answer::Unknown;
        assert_eq!(rules_broken(&history), Vec::<&str>::new());
    }

    #[test]
    fn a_write_that_happened_twice_is_seen() {
        let mut history = sound();
        let mut again = event(Kind::Modified, 13, "one");
        again.version.value = "2".to_owned();
        history.events.insert(2, again);
        assert!(rules_broken(&history).contains(&"events are writes, once"));
    }

    #[test]
    fn a_write_out_of_its_time_is_seen() {
        let mut history = sound();
        // The create is said to have been called after its update was answered.
        (history.operations[0].called, history.operations[0].answered) = (ms(25), ms(26));
        assert!(rules_broken(&history).contains(&"writes happen while they are called"));
    }

    #[test]
    fn a_precondition_that_did_not_hold_is_seen() {
        let mut history = sound();
        let Call::Update { at, .. } = &mut history.operations[1].call else { panic!() };
        *at = Some(10);
        assert_eq!(rules_broken(&history), ["preconditions held"]);
    }

    #[test]
    fn a_refusal_without_a_reason_is_seen() {
        for (call, answer, right) in [
            (Call::Create { key: key("one"), value: "9".to_owned() }, Answer::Exists, true),
            (Call::Create { key: key("none"), value: "9".to_owned() }, Answer::Exists, false),
            (Call::Delete { key: key("none"), at: None }, Answer::NotFound, true),
            (Call::Delete { key: key("one"), at: None }, Answer::NotFound, false),
            (Call::Delete { key: key("one"), at: Some(11) }, Answer::Conflict, true),
            (Call::Delete { key: key("one"), at: Some(12) }, Answer::Conflict, false),
        ] {
            let mut history = sound();
            history.operations.push(operation((21, 22), call, answer));
            let expected: &[&str] = if right { &[] } else { &["refusals were right"] };
            assert_eq!(rules_broken(&history), expected, "{:?}", history.operations.last());
        }
    }
}
