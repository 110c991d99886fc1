//! Reads: they are of one moment between the call and the answer, and time does not run backwards.

use std::collections::BTreeMap;

use super::window::Windows;
use super::writes::difference;
use super::{Violation, broken};
use crate::history::model::{Model, Selection, State};
use crate::history::operation::{Answer, Call, Operation, Wanted};

/// A get is the newest at some moment of the call; a list is the whole of its selection at its revision, and that is of
/// such a moment when it should be the newest.
pub(super) fn linearizable(
    operation: &Operation,
    model: &Model<'_>,
    windows: &Windows<'_>,
) -> Option<Violation> {
    let (low, high) = (windows.low(operation), windows.high(operation));
    let wrong = match (&operation.call, &operation.answer) {
        (Call::Get { key }, Answer::Found(found)) => {
            !model.ever(key, low, high, |state| state == Some(found))
        }
        (Call::Get { key }, Answer::NotFound) => !model.ever(key, low, high, |state| state.is_none()),
        (Call::List { selection, wanted }, Answer::Listed(state, revisions)) => {
            return list(selection, *wanted, state, revisions, (low, high), model).map(|why| {
                broken(
                    "lists are one moment",
                    format!("{why}, known was {low}..={high}: {:?}", operation.call),
                )
            });
        }
        _ => false,
    };
    wrong.then(|| broken("gets are the newest", format!("never so in {low}..={high}: {operation:?}")))
}

fn list(
    selection: &Selection,
    wanted: Wanted,
    state: &State,
    revisions: &[u64],
    (low, high): (u64, u64),
    model: &Model<'_>,
) -> Option<String> {
    let revision = state.revision;
    if revisions.iter().any(|page| *page != revision) {
        return Some(format!("the pages are of {revisions:?}"));
    }
    let fits = match wanted {
        Wanted::Newest => low <= revision,
        Wanted::NotOlderThan(version) => version <= revision,
        Wanted::Exact(version) => version == revision,
        Wanted::Any => true,
    };
    if !fits || revision > high {
        return Some(format!("{revision} is not {wanted:?}"));
    }
    let expected = model.state(selection, revision);
    (state.items != expected.items).then(|| difference(&state.items, &expected.items))
}

/// What one server says to one client is never older than what it said before; exact reads of the past aside.
pub(super) fn monotonic(operations: &[Operation]) -> Vec<Violation> {
    let mut last: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let mut ordered: Vec<&Operation> = operations.iter().collect();
    ordered.sort_by_key(|operation| operation.called);
    let step = |operation: &&Operation| {
        let revision = match (&operation.call, &operation.answer) {
            (Call::List { wanted: Wanted::Exact(_), .. }, _) => return None,
            (_, Answer::Listed(state, _)) => state.revision,
            (_, Answer::Written(version)) => version.revision,
            _ => return None,
        };
        let newest = last.entry((operation.client, operation.server)).or_default();
        let went_back = revision < *newest;
        let what = went_back.then(|| format!("{revision} after {newest}: {:?}", operation.call));
        *newest = revision.max(*newest);
        what.map(|what| broken("revisions do not go back", what))
    };
    ordered.iter().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;

    fn with(times: (u64, u64), call: Call, answer: Answer) -> Vec<&'static str> {
        let mut history = sound();
        history.operations.push(operation(times, call, answer));
        rules_broken(&history)
    }

    fn get(times: (u64, u64), answer: Answer) -> Vec<&'static str> {
        with(times, Call::Get { key: key("one") }, answer)
    }

    #[test]
    fn a_stale_get_is_seen() {
        let [first, second] = [11, 12].map(sound_version);
        assert_eq!(get((21, 22), Answer::Found(second.clone())), [""; 0]);
        assert_eq!(get((21, 22), Answer::Found(first.clone())), ["gets are the newest"]);
        assert_eq!(get((15, 22), Answer::Found(first)), [""; 0], "the update was under way");
        assert_eq!(get((5, 6), Answer::NotFound), [""; 0]);
        assert_eq!(get((21, 22), Answer::NotFound), ["gets are the newest"]);
        // Nobody had called the update.
        assert!(get((5, 6), Answer::Found(second)).contains(&"gets are the newest"));
    }

    fn listed(times: (u64, u64), wanted: Wanted, revision: u64, values: &[u64]) -> Vec<&'static str> {
        let items = values.iter().map(|revision| (key("one"), sound_version(*revision))).collect();
        let call = Call::List { selection: Selection::default(), wanted };
        with(times, call, Answer::Listed(State { revision, items }, vec![revision]))
    }

    #[test]
    fn a_list_that_is_no_moment_or_an_old_one_is_seen() {
        let wrong = ["lists are one moment"];
        assert_eq!(listed((21, 22), Wanted::Newest, 12, &[12]), [""; 0]);
        assert_eq!(listed((21, 22), Wanted::Newest, 12, &[11]), wrong);
        assert_eq!(listed((21, 22), Wanted::Newest, 12, &[]), wrong);
        assert_eq!(listed((21, 22), Wanted::Newest, 11, &[11]), wrong);
        assert_eq!(listed((21, 22), Wanted::Any, 11, &[11]), [""; 0]);
        assert_eq!(listed((21, 22), Wanted::Exact(11), 11, &[11]), [""; 0]);
        assert_eq!(listed((21, 22), Wanted::Exact(11), 12, &[12]), wrong);
        assert_eq!(listed((21, 22), Wanted::NotOlderThan(12), 11, &[11]), wrong);
    }

    #[test]
    fn pages_of_two_moments_and_time_that_runs_backwards_are_seen() {
        let all = |revision, pages: &[u64]| {
            let items = vec![(key("one"), sound_version(revision))];
            let call = Call::List { selection: Selection::default(), wanted: Wanted::Any };
            (call, Answer::Listed(State { revision, items }, pages.to_vec()))
        };
        let (call, answer) = all(12, &[12, 11]);
        assert_eq!(with((21, 22), call, answer), ["lists are one moment"]);
        let mut history = sound();
        for (times, revision) in [((21, 22), 12), ((23, 24), 11)] {
            let (call, answer) = all(revision, &[revision]);
            history.operations.push(Operation { client: 1, ..operation(times, call, answer) });
        }
        assert_eq!(rules_broken(&history), ["revisions do not go back"]);
    }
}
