//! Where a watch begins: with a state, or behind a version.

use detectviz_api::Status;
use detectviz_api::options::ListOptions;
use detectviz_storage::cache::{Listing, Watcher};

use super::super::{Call, cache_fault};

/// A watch that was let in.
pub(super) struct Begun {
    pub(super) initial: Option<Listing>,
    pub(super) watcher: Watcher,
}

impl Call {
    /// Unset and "0" begin with the present state unless the client wants none; any other version is what the client
    /// has already. (Upstream: the table of `resourceVersion` semantics for watch, and KEP-3157.)
    pub(super) async fn begin(&self, options: &ListOptions) -> Result<Begun, Status> {
        let cache = &self.resource.backend.cache;
        let after = match (options.resource_version, options.send_initial_events) {
            (Some(version), None | Some(false)) if version > 0 => Some(version),
            // From now, and from about now.
            (None, Some(false)) => {
                self.reach(None).await?;
                Some(cache.applied_revision())
            }
            (_, Some(false)) => Some(cache.applied_revision()),
            _ => None,
        };
        let (prefix, within) = (&self.resource.prefix, self.watched());
        match after {
            Some(version) => {
                let watcher = cache.watch(prefix, &within, version).await.map_err(cache_fault)?;
                Ok(Begun { initial: None, watcher })
            }
            None => {
                self.reach(options.resource_version).await?;
                let (listing, watcher) = cache.list_and_watch(prefix, &within);
                Ok(Begun { initial: Some(listing), watcher })
            }
        }
    }

    /// The keys that the watch is about: one, if it names one object, so that the others do not even wake it.
    fn watched(&self) -> String {
        let info = self.info();
        let one =
            !info.name.is_empty() && info.namespace().is_some() == self.resource.definition.is_namespaced();
        if one { self.key(&info.name) } else { self.within() }
    }
}
