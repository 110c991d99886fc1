//! Into which namespaces of whose group-versions something was written through this server. A server that is away may
//! have objects there, whatever was seen of it before.

use detectviz_api::GroupVersion;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::Catalog;

/// The most namespaces that are remembered of all group-versions together. When there are more, everything counts as
/// written.
const MAX_NAMESPACES: usize = 100_000;

#[derive(Default)]
pub(super) struct Written(Mutex<Namespaces>);

#[derive(Default)]
struct Namespaces {
    /// By namespace, so that one is forgotten at once.
    versions: BTreeMap<String, BTreeSet<GroupVersion>>,
    count: usize,
    overflowed: bool,
}

impl Catalog {
    /// Something is about to be written into `namespace` of a group-version that another server serves.
    pub fn note_write(&self, gv: &GroupVersion, namespace: &str) {
        self.written(|written| {
            if written.versions.get(namespace).is_some_and(|versions| versions.contains(gv)) {
                return;
            }
            if written.count >= MAX_NAMESPACES {
                written.overflowed = true;
                return;
            }
            written.count += 1;
            written.versions.entry(namespace.to_owned()).or_default().insert(gv.clone());
        });
    }

    /// Whether something may have been written there since the namespace was forgotten.
    pub fn was_written(&self, gv: &GroupVersion, namespace: &str) -> bool {
        self.written(|written| {
            let versions = written.versions.get(namespace);
            written.overflowed || versions.is_some_and(|versions| versions.contains(gv))
        })
    }

    /// The namespace is gone.
    pub fn forget_writes(&self, namespace: &str) {
        self.written(|written| {
            let gone = written.versions.remove(namespace).map_or(0, |versions| versions.len());
            written.count -= gone;
        });
    }

    fn written<T>(&self, work: impl FnOnce(&mut Namespaces) -> T) -> T {
        work(&mut self.written.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_remembered_until_their_namespace_is_gone() {
        let (catalog, gv) = (Catalog::default(), "a/v1".parse().unwrap());
        catalog.note_write(&gv, "x");
        catalog.note_write(&gv, "x");
        assert!(catalog.was_written(&gv, "x"));
        assert!(!catalog.was_written(&gv, "y") && !catalog.was_written(&"a/v2".parse().unwrap(), "x"));
        catalog.forget_writes("x");
        assert!(!catalog.was_written(&gv, "x"));
        assert_eq!(catalog.written(|written| written.count), 0);
    }

    #[test]
    fn what_cannot_be_remembered_counts_as_written() {
        let (catalog, gv) = (Catalog::default(), "a/v1".parse().unwrap());
        for number in 0..=MAX_NAMESPACES {
            catalog.note_write(&gv, &number.to_string());
        }
        assert_eq!(catalog.written(|written| written.count), MAX_NAMESPACES);
        assert!(catalog.was_written(&gv, "never"));
    }
}
