//! The resources by prefix: an immutable map, swapped when a resource is seen for the first time, and never shrunk.

use std::{collections::BTreeMap, panic::resume_unwind, sync::Arc, thread::Builder};

use arc_swap::ArcSwap;
use imbl::OrdMap;

use super::{
    CacheError,
    object::Object,
    resource::{Resource, State},
};
use crate::{KeyValue, Range, Revision, keys};

type ByPrefix = OrdMap<Arc<str>, Arc<Resource>>;

#[derive(Clone)]
struct Resources {
    by_prefix: ByPrefix,
    /// Where the cache began: a resource without keys has had no event since.
    base: Revision,
    /// Between these revisions (both excluded) the true events are unknown; see [`super::resync`].
    gap: Option<(Revision, Revision)>,
}

pub(super) struct Registry(ArcSwap<Resources>);

impl Registry {
    /// Sorts a first read of the store into resources.
    pub(super) fn load(range: &Range) -> Self {
        let mut states = BTreeMap::<Arc<str>, State>::new();
        for (item, object) in range.items.iter().zip(parse_all(&range.items)) {
            let Some(prefix) = keys::prefix_of(&item.key) else { continue };
            let Some(object) = object else { continue };
            let state = match states.get_mut(prefix) {
                Some(state) => state,
                None => states.entry(prefix.into()).or_insert_with(|| State::new(range.revision)),
            };
            state.load(object);
        }
        let by_prefix = states.into_iter().map(|(prefix, state)| (prefix, Arc::new(Resource::new(state))));
        let resources = Resources { by_prefix: by_prefix.collect(), base: range.revision, gap: None };
        Self(ArcSwap::from_pointee(resources))
    }

    pub(super) fn all(&self) -> ByPrefix {
        self.0.load().by_prefix.clone()
    }

    pub(super) fn find(&self, prefix: &str) -> Option<Arc<Resource>> {
        self.0.load().by_prefix.get(prefix).cloned()
    }

    pub(super) fn find_or_create(&self, prefix: &str) -> Arc<Resource> {
        if let Some(found) = self.find(prefix) {
            return found;
        }
        let created = Arc::new(Resource::new(State::new(self.0.load().base)));
        self.0.rcu(|now| {
            let mut next = Resources::clone(now);
            // Whoever comes second uses what the first one made.
            if !next.by_prefix.contains_key(prefix) {
                next.by_prefix.insert(prefix.into(), created.clone());
            }
            next
        });
        self.find(prefix).unwrap_or(created)
    }

    /// Marks history as unknown; a second gap and what lies between become one.
    pub(super) fn add_gap(&self, from: Revision, to: Revision) {
        self.0.rcu(|now| {
            let from = now.gap.map_or(from, |(first, _)| first);
            Resources { gap: Some((from, to)), ..Resources::clone(now) }
        });
    }

    /// Whether reading on after `revision` is possible without missing a change.
    pub(super) fn check(&self, revision: Revision) -> Result<(), CacheError> {
        match self.0.load().gap {
            Some((from, to)) if from < revision && revision < to => {
                Err(CacheError::Expired { requested: revision, oldest: to })
            }
            _ => Ok(()),
        }
    }
}

/// Items fewer than this are not worth a thread.
const WORTH_A_THREAD: usize = 1000;

/// The items as objects, in order; those of other keys are none.
fn parse_all(items: &[KeyValue]) -> Vec<Option<Object>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(WORTH_A_THREAD);
    let parse_some = |items: &[KeyValue]| -> Vec<_> {
        items.iter().map(|item| keys::prefix_of(&item.key).and_then(|_| parse(item))).collect()
    };
    std::thread::scope(|scope| {
        let begin = |items| Builder::new().spawn_scoped(scope, move || parse_some(items));
        let mut shares = items.chunks(share);
        let first = shares.next().unwrap_or_default();
        // What no thread can be had for is done here.
        let begun: Vec<_> = shares.map(|items| begin(items).map_err(|_| items)).collect();
        let mut objects = parse_some(first);
        for share in begun {
            objects.extend(match share {
                // A panic goes on where the caller would have had it.
                Ok(thread) => thread.join().unwrap_or_else(|cause| resume_unwind(cause)),
                Err(items) => parse_some(items),
            });
        }
        objects
    })
}

/// An item as an object. One that is none is left out, and a person has to look: no writer of ours makes such a value.
pub(super) fn parse(item: &KeyValue) -> Option<Object> {
    let parsed = Object::parse(item.key.clone(), item.value.clone(), item.mod_revision, item.create_revision);
    parsed
        .inspect_err(|error| {
            tracing::error!(key = &*item.key, revision = item.mod_revision, %error, "stored value is left out");
        })
        .ok()
}
