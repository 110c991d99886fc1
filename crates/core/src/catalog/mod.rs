//! What is served, as ready bytes: every link of the chain publishes its group-versions here, so `/api`, `/apis` and
//! `/openapi/*` are answered without walking the chain, and change only when a group-version does.

mod aggregated;
mod document;
mod legacy;
mod order;
mod published;
mod snapshot;
#[cfg(test)]
mod tests;
mod written;

pub use aggregated::DiscoveryVersion;
pub use document::Document;
pub use snapshot::Snapshot;

use arc_swap::ArcSwap;
use bytes::Bytes;
use detectviz_api::GroupVersion;
use published::Published;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use written::Written;

/// The OpenAPI v3 document of a group-version, made when it is first asked for.
pub type OpenApi = Arc<dyn Fn() -> Bytes + Send + Sync>;

/// One served group-version.
#[derive(Clone)]
pub struct GroupVersionEntry {
    /// Which.
    pub group_version: GroupVersion,
    /// Who serves it; a group-version has one owner.
    pub owner: Owner,
    /// Where its group stands among groups (greater first), and its version in the group (greater first). Versions of
    /// equal priority stand in the order of Kubernetes: `v2`, `v1`, `v1beta1`.
    pub priority: (i64, i64),
    /// Its resources, each an `APIResourceDiscovery` of `apidiscovery.k8s.io/v2`, and besides perhaps the
    /// `storageVersionHash` that legacy discovery alone shows.
    pub resources: Vec<Value>,
    /// Its OpenAPI document, if it has one.
    pub open_api: Option<OpenApi>,
    /// Whether what is known of it may be out of date.
    pub stale: bool,
}

/// Who serves a group-version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This server.
    Local,
    /// An extension API server behind the aggregator.
    Aggregated,
}

/// The shared catalog. Cheap to read: an immutable snapshot, swapped at each change.
pub struct Catalog {
    snapshot: ArcSwap<Snapshot>,
    change: Mutex<()>,
    generation: watch::Sender<u64>,
    written: Written,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            change: Mutex::new(()),
            generation: watch::channel(0).0,
            written: Written::default(),
        }
    }
}

/// Someone else serves the group-version already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is served locally and cannot be taken by another server")]
pub struct Taken(pub GroupVersion);

impl Catalog {
    /// Publishes a group-version, or replaces what its owner published before.
    ///
    /// # Errors
    /// When another owner has it.
    pub fn publish(&self, entry: GroupVersionEntry) -> Result<(), Taken> {
        let gv = entry.group_version.clone();
        self.edit(|entries| match entries.get(&gv) {
            Some(have) if have.entry.owner != entry.owner => Err(Taken(gv.clone())),
            have => {
                let published = Published::new(entry, have.map(Arc::as_ref));
                entries.insert(gv.clone(), Arc::new(published));
                Ok(())
            }
        })
    }

    /// Gives what `owner` published of a group-version another place in discovery: see [`GroupVersionEntry::priority`].
    pub fn prioritize(&self, gv: &GroupVersion, owner: Owner, priority: (i64, i64)) {
        let elsewhere = |have: &&Arc<Published>| have.entry.owner == owner && have.entry.priority != priority;
        if self.snapshot.load().entries().get(gv).filter(elsewhere).is_none() {
            return;
        }
        let _: Result<(), Taken> = self.edit(|entries| {
            if let Some(have) = entries.get(gv).filter(elsewhere) {
                let moved = Arc::new(have.at(priority));
                entries.insert(gv.clone(), moved);
            }
            Ok(())
        });
    }

    /// Withdraws what `owner` published of a group-version.
    pub fn withdraw(&self, gv: &GroupVersion, owner: Owner) {
        let _: Result<(), Taken> = self.edit(|entries| {
            if entries.get(gv).is_some_and(|have| have.entry.owner == owner) {
                entries.remove(gv);
            }
            Ok(())
        });
    }

    /// What is served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Tells of every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    fn edit(&self, change: impl FnOnce(&mut Entries) -> Result<(), Taken>) -> Result<(), Taken> {
        let _one_at_a_time = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.snapshot.load().entries().clone();
        change(&mut entries)?;
        self.snapshot.store(Arc::new(Snapshot::new(entries)));
        self.generation.send_modify(|generation| *generation += 1);
        Ok(())
    }
}

/// A persistent map: a change shares with the snapshot before it all but the group-version that changed.
type Entries = imbl::OrdMap<GroupVersion, Arc<Published>>;
