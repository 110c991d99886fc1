//! The chain of API servers behind one address: each link looks whether a request is its own, else asks the next.
//!
//! A delegate is a lookup, not a middleware: it never sees a body and never waits.

use arc_swap::ArcSwap;
use detectviz_api::RequestInfo;
use std::sync::Arc;

use crate::handler::Handler;

/// One link of the chain.
pub trait Delegate: Send + Sync {
    /// The handler of a request, from an immutable snapshot; `None` when no link knows it.
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>>;
}

/// The end of the chain: knows nothing.
#[derive(Debug, Default)]
pub struct End;

impl Delegate for End {
    fn route(&self, _: &RequestInfo) -> Option<Arc<dyn Handler>> {
        None
    }
}

/// A stable place in the chain whose link can be exchanged while requests go through.
pub struct Slot(ArcSwap<Arc<dyn Delegate>>);

impl Slot {
    /// A slot that holds `link`.
    pub fn new(link: Arc<dyn Delegate>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(link)))
    }

    /// Points the slot to `link`; requests under way finish on the old one.
    pub fn point_to(&self, link: Arc<dyn Delegate>) {
        self.0.store(Arc::new(link));
    }
}

impl Delegate for Slot {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        self.0.load().route(info)
    }
}
