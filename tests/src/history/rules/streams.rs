//! Watches: each tells its part of the one order of events: in order, once, whole, and rightly named.

use super::{Violation, broken};
use crate::history::model::{Event, Model};
use crate::history::watcher::{Seen, Stream};

/// Events come in the order of their revisions, each once.
pub(super) fn ordered_and_unique(stream: &Stream) -> Vec<Violation> {
    let events: Vec<&Event> = stream.events().collect();
    let check = |pair: &[&Event]| {
        let (before, after) = (pair[0].version.revision, pair[1].version.revision);
        let rule = match after.cmp(&before) {
            std::cmp::Ordering::Greater => return None,
            std::cmp::Ordering::Equal => "watches are unique",
            std::cmp::Ordering::Less => "watches are ordered",
        };
        Some(broken(rule, format!("{:?} after {:?} in {:?}", pair[1], pair[0], stream.selection)))
    };
    events.windows(2).filter_map(check).collect()
}

/// One revision is one change of one object, for all watches.
pub(super) fn atomic(stream: &Stream, model: &Model<'_>) -> Vec<Violation> {
    let other =
        |event: &&Event| model.event(event.version.revision).is_none_or(|known| known.key != event.key);
    let others = stream.events().filter(other);
    others
        .map(|event| {
            broken("watches are atomic", format!("no other watch saw {event:?} of {:?}", stream.selection))
        })
        .collect()
}

/// An event is of the selection, says rightly whether the object is new to it, changed or gone, and carries the object as
/// it was written; of what is gone, the last state.
pub(super) fn right(stream: &Stream, model: &Model<'_>) -> Vec<Violation> {
    let check = |event: &Event| {
        let source = model.event(event.version.revision).filter(|source| source.key == event.key)?;
        let told = model.told(&stream.selection, source);
        let rule = match &told {
            Some(told) if told == event => return None,
            None => "watches are filtered",
            Some(told) if told.kind != event.kind => "watches tell new from changed",
            Some(_) => "watches carry what was written",
        };
        Some(broken(rule, format!("{event:?} instead of {told:?} in {:?}", stream.selection)))
    };
    stream.events().filter_map(check).collect()
}

/// All events of the selection come, up to `end` at least.
pub(super) fn complete(stream: &Stream, model: &Model<'_>, end: u64) -> Vec<Violation> {
    let Some(first) = stream.segments.first() else { return Vec::new() };
    let seen: std::collections::BTreeSet<u64> = stream.events().map(|event| event.version.revision).collect();
    let to = end.max(seen.last().copied().unwrap_or_default());
    let expected = model.events(first.from, to).filter_map(|event| model.told(&stream.selection, event));
    let missing = expected.filter(|event| !seen.contains(&event.version.revision));
    missing
        .map(|event| {
            broken("watches are complete", format!("{event:?} is missing in {:?}", stream.selection))
        })
        .collect()
}

/// A bookmark is never behind what came before it, and what comes after it is behind it.
pub(super) fn bookmarks(stream: &Stream) -> Vec<Violation> {
    let (mut violations, mut newest, mut marked) = (Vec::new(), 0, 0);
    for seen in stream.segments.iter().flat_map(|segment| &segment.seen) {
        match seen {
            Seen::Event(event, _) if event.version.revision <= marked => {
                violations.push(broken("bookmarks hold", format!("{event:?} after the bookmark {marked}")));
            }
            Seen::Bookmark(revision) if *revision < newest => {
                violations
                    .push(broken("bookmarks hold", format!("bookmark {revision} after revision {newest}")));
            }
            Seen::Event(event, _) => newest = newest.max(event.version.revision),
            Seen::Bookmark(revision) => marked = marked.max(*revision),
            Seen::Error(_) => {}
        }
    }
    violations
}

/// A watch that goes on behind a revision begins behind it, and that revision is not forgotten.
pub(super) fn resumable(stream: &Stream) -> Vec<Violation> {
    let check = |(from, seen): (u64, &Seen)| match seen {
        Seen::Event(event, _) if event.version.revision <= from => {
            Some(broken("watches resume", format!("{event:?} on a watch from behind {from}")))
        }
        Seen::Error(code) => Some(broken("watches resume", format!("refused with {code} from {from}"))),
        _ => None,
    };
    let seen =
        stream.segments.iter().flat_map(|segment| segment.seen.iter().map(|seen| (segment.from, seen)));
    seen.filter_map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;

    /// What is broken when the watch of a selection has seen this, over two connections.
    fn broken(selection: &Selection, first: Vec<Seen>, second: Vec<Seen>) -> Vec<&'static str> {
        let mut history = sound();
        history.streams = vec![stream(selection.clone(), first, second)];
        rules_broken(&history)
    }

    fn seen(kind: Kind, revision: u64) -> Seen {
        Seen::Event(Event { kind, ..sound_event(revision) }, ms(1000))
    }

    #[test]
    fn every_way_to_tell_it_wrongly_has_a_name() {
        let everything = Selection::default();
        let [added, changed] = [seen(Kind::Added, 11), seen(Kind::Modified, 12)];
        let two = |first: &[&Seen], second: &[&Seen]| {
            let [first, second] = [first, second].map(|seen| seen.iter().copied().cloned().collect());
            broken(&everything, first, second)
        };
        assert_eq!(two(&[&added], &[&changed]), [""; 0]);
        assert_eq!(two(&[&added, &changed], &[]), [""; 0]);
        assert_eq!(two(&[&changed, &added], &[]), ["watches are ordered"]);
        assert_eq!(two(&[&added, &changed, &changed], &[]), ["watches are unique"]);
        assert_eq!(two(&[&added], &[&added, &changed]), ["watches are unique", "watches resume"]);
        assert_eq!(two(&[&added], &[]), ["watches are complete"]);
        assert_eq!(two(&[&changed], &[]), ["watches are complete"]);
        assert_eq!(two(&[&added, &Seen::Bookmark(12)], &[&changed]), ["bookmarks hold", "watches resume"]);
        assert_eq!(two(&[&added, &changed, &Seen::Bookmark(11)], &[]), ["bookmarks hold"]);
        assert_eq!(two(&[&added, &Seen::Bookmark(11)], &[&changed]), [""; 0]);
        assert_eq!(two(&[&added], &[&Seen::Error(410)]), ["watches are complete", "watches resume"]);
        assert_eq!(two(&[&added], &[&seen(Kind::Added, 12)]), ["watches tell new from changed"]);
        let other = Seen::Event(event(Kind::Modified, 12, "two"), ms(1000));
        assert_eq!(two(&[&added], &[&other]), ["watches are atomic"]);
        let Seen::Event(mut torn, at) = changed else { panic!() };
        torn.version.value.clear();
        assert_eq!(two(&[&added], &[&Seen::Event(torn, at)]), ["watches carry what was written"]);
    }

    #[test]
    fn what_leaves_a_selection_is_gone_from_it() {
        let group = |group: &str| Selection { group: Some(group.to_owned()), ..Selection::default() };
        let gone = Event {
            kind: Kind::Deleted,
            version: Version { revision: 12, ..sound_version(11) },
            key: key("one"),
        };
        let (added, gone) = (seen(Kind::Added, 11), Seen::Event(gone, ms(1000)));
        assert_eq!(broken(&group("a"), vec![added.clone(), gone], vec![]), [""; 0]);
        assert_eq!(broken(&group("a"), vec![added.clone()], vec![]), ["watches are complete"]);
        assert_eq!(broken(&group("b"), vec![], vec![seen(Kind::Added, 12)]), [""; 0]);
        assert_eq!(broken(&group("b"), vec![added], vec![seen(Kind::Added, 12)]), ["watches are filtered"]);
        // The state that made it leave is not the last one of the selection.
        let wrong = Seen::Event(Event { kind: Kind::Deleted, ..sound_event(12) }, ms(1000));
        assert_eq!(
            broken(&group("a"), vec![seen(Kind::Added, 11), wrong], vec![]),
            ["watches carry what was written"]
        );
    }
}
