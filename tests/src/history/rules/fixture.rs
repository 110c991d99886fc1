//! A small history that fits, for tests that break it: an object is created in group `a`, and moved to `b`.

pub(super) use std::time::Duration;

pub(super) use crate::history::History;
pub(super) use crate::history::model::{Event, Key, Kind, Selection, State, Version};
pub(super) use crate::history::operation::{Answer, Call, Operation, Wanted};
pub(super) use crate::history::watcher::{Seen, Segment, Stream};

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn key(name: &str) -> Key {
    ("default".to_owned(), name.to_owned())
}

pub(super) fn event(kind: Kind, revision: u64, name: &str) -> Event {
    Event { kind, key: key(name), version: Version { revision, ..sound_version(12) } }
}

/// What was written at 11 and at 12.
pub(super) fn sound_version(revision: u64) -> Version {
    let (value, group) = if revision == 11 { ("1", "a") } else { ("2", "b") };
    Version { revision, uid: "u".to_owned(), value: value.to_owned(), group: group.to_owned() }
}

pub(super) fn sound_event(revision: u64) -> Event {
    let kind = if revision == 11 { Kind::Added } else { Kind::Modified };
    Event { kind, key: key("one"), version: sound_version(revision) }
}

pub(super) fn operation((called, answered): (u64, u64), call: Call, answer: Answer) -> Operation {
    // Everybody is another client.
    Operation { client: called as usize, server: 1, called: ms(called), answered: ms(answered), call, answer }
}

pub(super) fn stream(selection: Selection, first: Vec<Seen>, second: Vec<Seen>) -> Stream {
    let first = Segment { from: 10, seen: first };
    let second = Segment { from: first.position(), seen: second };
    Stream { selection, segments: vec![first, second] }
}

pub(super) fn sound() -> History {
    let create = Call::Create { key: key("one"), value: "1".to_owned() };
    let update = Call::Update { key: key("one"), value: "2".to_owned(), at: Some(11) };
    let [first, second] = [11, 12].map(sound_version);
    let events = vec![sound_event(11), sound_event(12)];
    let seen = events.iter().map(|event| Seen::Event(event.clone(), ms(1000))).collect();
    History {
        base: State { revision: 10, items: Vec::new() },
        seen_until: 10,
        events,
        operations: vec![
            operation((9, 14), create, Answer::Written(first)),
            operation((16, 20), update, Answer::Written(second.clone())),
        ],
        streams: vec![stream(Selection::default(), seen, Vec::new())],
        last: State { revision: 12, items: vec![(key("one"), second)] },
    }
}

/// The names of the rules that a history breaks, each once.
pub(super) fn rules_broken(history: &History) -> Vec<&'static str> {
    let mut rules: Vec<_> = history.violations().into_iter().map(|violation| violation.rule).collect();
    rules.dedup();
    rules
}
