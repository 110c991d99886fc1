//! When the store no longer has the events that the feed needs, the difference between what is cached and what is
//! stored becomes events again, so that live watchers go on. Each gets a revision inside the missed history that no
//! other event has: a write its own, a deletion the lowest free one. There are enough of them unless somebody deleted
//! several objects at once, past the API; then they share one, and what that means is for [`super::resource`] to say.
//! Nobody may resume in between: the true order there is unknown.

use std::{collections::HashMap, sync::Arc};

use super::Shared;
use crate::{Event, EventKind, KeyValue, Range, Revision};

/// The events that lead from what is cached to `range`, in order.
pub(super) fn difference(shared: &Shared, range: Range) -> Result<Vec<Arc<Event>>, String> {
    let from = shared.applied();
    let mut deletions = deletions(shared, &range);
    deletions.sort_unstable_by_key(|deletion| deletion.before);
    let mut changed: Vec<_> = range.items.into_iter().filter(|item| item.mod_revision > from).collect();
    changed.sort_unstable_by_key(|item| item.mod_revision);

    let is_free =
        |revision: &Revision| changed.binary_search_by_key(revision, |item| item.mod_revision).is_err();
    let mut free = (from + 1..=range.revision).filter(is_free).peekable();
    let mut events = Vec::with_capacity(deletions.len() + changed.len());
    for Deletion { key, create_revision, before } in deletions {
        let revision = free.next_if(|free| *free < before).unwrap_or(before - 1);
        if revision <= from {
            return Err("store history does not go on from the cache".to_owned());
        }
        let kind = EventKind::Delete { previous: bytes::Bytes::new() };
        events.push(Arc::new(Event { key, revision, create_revision, kind }));
    }
    drop(free);
    events.extend(changed.into_iter().map(|item| Arc::new(put(item))));
    events.sort_unstable_by_key(|event| event.revision);
    Ok(events)
}

/// A cached key that was deleted, and the revision before which this happened: of its next creation, if there was one.
struct Deletion {
    key: Arc<str>,
    create_revision: Revision,
    before: Revision,
}

fn deletions(shared: &Shared, range: &Range) -> Vec<Deletion> {
    let stored: HashMap<&str, &KeyValue> = range.items.iter().map(|item| (&*item.key, item)).collect();
    let mut deletions = Vec::new();
    for resource in shared.registry.all().values() {
        for (key, object) in &resource.state().objects {
            let before = match stored.get(&**key) {
                Some(item) if item.create_revision == object.create_revision => continue,
                Some(item) => item.create_revision,
                None => range.revision + 1,
            };
            deletions.push(Deletion { key: key.clone(), create_revision: object.create_revision, before });
        }
    }
    deletions
}

fn put(item: KeyValue) -> Event {
    let KeyValue { key, value, create_revision, mod_revision: revision } = item;
    Event { key, revision, create_revision, kind: EventKind::Put { value, previous: None } }
}
