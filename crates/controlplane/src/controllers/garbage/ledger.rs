//! In which namespaces there are objects of a collection, as its follower saw it last. A namespace that is to go asks,
//! when the server of the collection does not answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Work;
use super::object::Meta;
use crate::controllers::served::Served;

/// Whether a namespace holds objects of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controllers) enum Holds {
    /// There were some when they were seen last.
    Some,
    /// There were none when they were seen last.
    None,
    /// The collection was never seen whole, or its objects cannot be told apart.
    Unknown,
}

/// What is known of all collections that are followed; clones are the same one.
#[derive(Clone, Default)]
pub(in crate::controllers) struct Ledger {
    work: Option<Arc<Work>>,
    /// By path.
    followed: Arc<Mutex<HashMap<String, Followed>>>,
}

struct Followed {
    /// The follower's number, by which the graph knows its objects.
    number: u32,
    /// Whether all that there was has been seen once.
    listed: bool,
    /// Whether there are objects that have no uid.
    vague: bool,
}

impl Ledger {
    pub(super) fn new(work: &Arc<Work>) -> Self {
        Self { work: Some(Arc::clone(work)), followed: Arc::default() }
    }

    /// Whether there are objects of `served` in `namespace`. Costs a look at every object that is known, and so is for
    /// when that is seldom asked.
    pub(in crate::controllers) fn holds(&self, served: &Served, namespace: &str) -> Holds {
        let path = served.collection(None);
        let number = self.with(|followed| {
            followed.get(&path).filter(|one| one.listed && !one.vague).map(|one| one.number)
        });
        match (number, &self.work) {
            (Some(number), Some(work)) if work.collector.graph().has(number, namespace) => Holds::Some,
            (Some(_), Some(_)) => Holds::None,
            _ => Holds::Unknown,
        }
    }

    pub(super) fn follows(&self, path: String, number: u32) {
        self.with(|followed| followed.insert(path, Followed { number, listed: false, vague: false }));
    }

    pub(super) fn left(&self, path: &str) {
        self.with(|followed| followed.remove(path));
    }

    pub(super) fn listed(&self, number: u32) {
        self.change(number, |one| one.listed = true);
    }

    /// Looks whether the object can be told from others.
    pub(super) fn seen(&self, number: u32, meta: &Meta) {
        if meta.uid.is_empty() {
            self.change(number, |one| one.vague = true);
        }
    }

    fn change(&self, number: u32, change: impl FnOnce(&mut Followed)) {
        self.with(|followed| followed.values_mut().find(|one| one.number == number).map(change));
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Followed>) -> T) -> T {
        work(&mut self.followed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
