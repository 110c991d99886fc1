//! Where a list's objects come from: a snapshot of the cache, or the store's history where the cache has forgotten. Both
//! are one state that nothing changes any more.

use detectviz_storage::cache::{Listing, Object};
use detectviz_storage::{KeyValue, Range};
use std::borrow::Cow;
use tokio::sync::OwnedSemaphorePermit;

/// The objects of one revision.
pub(super) enum Source {
    /// A snapshot of the cache.
    Cached(Listing),
    /// What the store read; parsed only as it is looked at. Not `whole` where it read no more than a page needs.
    Stored {
        /// The objects.
        range: Range,
        /// Whether these are all objects.
        whole: bool,
        /// Held for as long as the copy is.
        _place: OwnedSemaphorePermit,
    },
}

impl Source {
    /// The revision that the objects are the state of.
    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Cached(listing) => listing.revision,
            Self::Stored { range, .. } => range.revision,
        }
    }

    /// How many objects have a key above `key`, if that can be told.
    pub(super) fn count_after(&self, key: &str) -> Option<usize> {
        (!matches!(self, Self::Stored { whole: false, .. })).then(|| self.after(key).count())
    }

    /// The objects whose key is above `key`, in key order.
    pub(super) fn after<'a>(&'a self, key: &str) -> impl Iterator<Item = Cow<'a, Object>> + use<'a> {
        let (cached, stored) = match self {
            Self::Cached(listing) => (Some(listing.iter_after(key)), None),
            Self::Stored { range, .. } => {
                let start = range.items.partition_point(|item| *item.key <= *key);
                (None, Some(range.items[start..].iter().filter_map(parse)))
            }
        };
        let cached = cached.into_iter().flatten().map(|object| Cow::Borrowed(&**object));
        cached.chain(stored.into_iter().flatten().map(Cow::Owned))
    }
}

/// An item as an object; one that is none is left out, as the cache leaves it out.
fn parse(item: &KeyValue) -> Option<Object> {
    Object::parse(item.key.clone(), item.value.clone(), item.mod_revision, item.create_revision).ok()
}
