//! A listing is a snapshot and a range of it: it costs nothing to take, and nothing that happens later changes it.

use std::{ops::Bound, sync::Arc};

use super::{
    Object,
    resource::{Objects, State},
};
use crate::{Revision, keys};

/// The objects under a prefix, or under one key, at one revision.
#[derive(Clone)]
pub struct Listing {
    /// The revision of the snapshot.
    pub revision: Revision,
    objects: Objects,
    within: Box<str>,
}

impl Listing {
    pub(super) fn new(state: &State, within: &str, applied: Revision) -> Self {
        // The snapshot may be newer than `applied`, which was loaded before it.
        let revision = applied.max(state.revision);
        Self { revision, objects: state.objects.clone(), within: within.into() }
    }

    pub(super) fn empty(within: &str, revision: Revision) -> Self {
        Self { revision, objects: Objects::new(), within: within.into() }
    }

    /// Undoes the events after `revision`, all of which have to be in the window.
    pub(super) fn at(state: &State, within: &str, revision: Revision) -> Self {
        let mut objects = state.objects.clone();
        for (_, event) in state.events.range(revision + 1..).rev() {
            match &event.previous {
                Some(previous) => objects.insert(previous.key.clone(), previous.clone()),
                None => objects.remove(&event.object.key),
            };
        }
        Self { revision, objects, within: within.into() }
    }

    /// The objects, in key order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.from(Bound::Included(&self.within))
    }

    /// The objects whose key is above `key`, in key order: how a page, or a streamed list, goes on.
    pub fn iter_after<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        self.from(if key < &*self.within { Bound::Included(&self.within) } else { Bound::Excluded(key) })
    }

    fn from<'a>(&'a self, start: Bound<&str>) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let later = self.objects.range::<_, str>((start, Bound::Unbounded));
        later.map(|(_, object)| object).take_while(|object| keys::is_within(&object.key, &self.within))
    }
}
