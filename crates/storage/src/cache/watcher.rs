//! A watcher is a position in a resource's window. It queues nothing, so that a slow one costs nothing until it falls
//! off the window.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::watch;

use super::{CacheError, Shared, WatchEvent, resource::Resource};
use crate::Revision;

/// A stream of the changes under a prefix.
pub struct Watcher {
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    changed: watch::Receiver<()>,
    within: Box<str>,
    /// Everything up to here was delivered.
    position: Revision,
    ended: bool,
}

impl Watcher {
    pub(super) fn new(
        shared: Arc<Shared>,
        resource: Arc<Resource>,
        within: &str,
        position: Revision,
    ) -> Self {
        shared.watchers.fetch_add(1, Ordering::Relaxed);
        let changed = resource.changed.subscribe();
        Self { shared, resource, changed, within: within.into(), position, ended: false }
    }

    /// Waits for the next change; cancel-safe. A watcher that fell off the window ends with [`CacheError::Expired`];
    /// `None` after that, and when the cache stops.
    pub async fn next(&mut self) -> Option<Result<Arc<WatchEvent>, CacheError>> {
        while !self.ended {
            if let Some(result) = self.take().transpose() {
                self.ended = result.is_err();
                return Some(result);
            }
            tokio::select! {
                changed = self.changed.changed() => self.ended = changed.is_err(),
                () = self.shared.stopping.cancelled() => self.ended = true,
            }
        }
        None
    }

    /// The revision up to which everything was delivered, for bookmarks. It also advances when other resources change.
    pub fn progress(&self) -> Revision {
        // Loaded before the state, which therefore has at least all events up to it.
        let applied = self.shared.applied();
        let state = self.resource.state();
        let mut pending = state.events.range(self.position + 1..);
        if state.check(self.position).is_err() || pending.any(|(_, event)| self.concerns(event)) {
            return self.position;
        }
        self.position.max(applied).max(state.revision)
    }

    fn take(&mut self) -> Result<Option<Arc<WatchEvent>>, CacheError> {
        let applied = self.shared.applied();
        let state = self.resource.state();
        state.check(self.position)?;
        for (revision, event) in state.events.range(self.position + 1..) {
            self.position = *revision;
            if self.concerns(event) {
                return Ok(Some(event.clone()));
            }
        }
        self.position = self.position.max(applied).max(state.revision);
        Ok(None)
    }

    fn concerns(&self, event: &WatchEvent) -> bool {
        event.object.key.starts_with(&*self.within)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}
