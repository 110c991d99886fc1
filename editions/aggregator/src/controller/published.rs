//! What the catalog was told of one remote group-version: of the last check that passed, or that there is something of
//! which nothing is known yet.

use detectviz_api::GroupVersion;
use detectviz_core::catalog::{GroupVersionEntry, OpenApi, Owner};
use std::sync::Arc;

use super::discovery::Discovered;

pub(super) struct Published {
    discovered: Discovered,
    open_api: Option<OpenApi>,
    /// `groupPriorityMinimum` and `versionPriority`.
    priority: (i64, i64),
    stale: bool,
}

impl Published {
    pub(super) fn new(discovered: Discovered, open_api: Option<OpenApi>, priority: (i64, i64)) -> Self {
        Self { stale: discovered.stale, discovered, open_api, priority }
    }

    /// What is known of a backend that never passed a check.
    pub(super) fn nothing(priority: (i64, i64)) -> Self {
        let discovered = Discovered { resources: Vec::new(), stale: true };
        Self { discovered, open_api: None, priority, stale: false }
    }

    /// The same, marked as what may be out of date.
    pub(super) fn stale(self, priority: (i64, i64)) -> Self {
        Self { stale: true, priority, ..self }
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(super) fn has(&self, priority: (i64, i64)) -> bool {
        self.priority == priority
    }

    /// Whether this is what a check found.
    pub(super) fn is(
        &self,
        discovered: &Discovered,
        open_api: Option<&OpenApi>,
        priority: (i64, i64),
    ) -> bool {
        let same_schema = match (&self.open_api, open_api) {
            (Some(have), Some(new)) => Arc::ptr_eq(have, new),
            (have, new) => have.is_none() && new.is_none(),
        };
        same_schema
            && self.discovered == *discovered
            && (self.priority, self.stale) == (priority, discovered.stale)
    }

    pub(super) fn entry(&self, gv: &GroupVersion) -> GroupVersionEntry {
        GroupVersionEntry {
            group_version: gv.clone(),
            owner: Owner::Aggregated,
            priority: self.priority,
            resources: self.discovered.resources.clone(),
            open_api: self.open_api.clone(),
            stale: self.stale,
        }
    }
}
