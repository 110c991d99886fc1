//! The state that a watch begins with: a snapshot, written as the client reads.

use bytes::{Bytes, BytesMut};
use detectviz_storage::cache::Listing;
use std::sync::Arc;

use super::super::filter::Filter;
use super::MAX_SCANNED;
use super::encode::Encoder;

/// A snapshot that is being written.
pub(super) struct Initial {
    listing: Listing,
    after: Arc<str>,
}

/// A step through it.
pub(super) enum Step {
    /// Objects; more may follow.
    Some(Bytes),
    /// Many were looked at, and none selected.
    Yield,
    /// All was written; it was the state of this revision.
    End(u64),
}

impl Initial {
    pub(super) fn new(listing: Listing) -> Self {
        Self { listing, after: Arc::from("") }
    }

    /// About `size` bytes of what follows.
    pub(super) fn next(&mut self, encoder: &mut Encoder, filter: &Filter, size: usize) -> Step {
        let mut out = BytesMut::new();
        let mut last = None;
        for object in self.listing.iter_after(&self.after).take(MAX_SCANNED) {
            if filter.matches(object) {
                encoder.initial(object, &mut out);
            }
            last = Some(Arc::clone(&object.key));
            if out.len() >= size {
                break;
            }
        }
        match last {
            None => Step::End(self.listing.revision),
            Some(last) => {
                self.after = last;
                if out.is_empty() { Step::Yield } else { Step::Some(out.freeze()) }
            }
        }
    }
}
