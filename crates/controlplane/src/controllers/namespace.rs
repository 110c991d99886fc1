//! Empties a namespace that is to go: deletes all objects in it, whoever serves them, and once there are none lets go
//! of the namespace. What is in the way is said in the namespace's conditions.
//!
//! What is in the way is also remembered, and until it is gone it alone is asked for: a namespace that is stuck for days
//! costs one read at a time, however many kinds there are.

mod away;
mod empty;
mod found;

use detectviz_api::{Status, meta};
use detectviz_core::informer::Informer;
use detectviz_core::{Catalog, Loopback, RunContext};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

use self::empty::is_absent;
use self::found::Found;
use super::garbage::Ledger;
use super::metadata::in_time;
use super::retry::Pace;
use super::served::Resources;
use super::write::edit;
use crate::strategies::namespaces::FINALIZER;

/// Sweeps under way at once, through what this server has and through what others have: a slow backend holds up the
/// second alone.
const SWEEPS: usize = 16;

/// Follows the namespaces and empties those that are to go.
pub(super) fn start(
    context: &RunContext,
    loopback: &Arc<dyn Loopback>,
    catalog: &Arc<Catalog>,
    namespaces: &Informer,
    ledger: Ledger,
) {
    let controller = Controller::new(loopback, catalog, namespaces, ledger);
    context.spawn(async move { controller.run().await });
}

struct Controller {
    loopback: Arc<dyn Loopback>,
    catalog: Arc<Catalog>,
    namespaces: Informer,
    /// Where objects of others are.
    ledger: Ledger,
    /// What is served, as it was when it was asked for last.
    resources: Mutex<Resources>,
    local_sweeps: Semaphore,
    remote_sweeps: Semaphore,
}

/// Why a namespace could not be let go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstruction {
    /// The object at this path waits for its finalizers.
    Object(String),
    /// A request for this path was refused.
    Refusal { path: String, why: String },
    /// Something was made while the rest was deleted.
    New,
}

impl Controller {
    fn new(
        loopback: &Arc<dyn Loopback>,
        catalog: &Arc<Catalog>,
        namespaces: &Informer,
        ledger: Ledger,
    ) -> Self {
        Self {
            loopback: Arc::clone(loopback),
            catalog: Arc::clone(catalog),
            namespaces: namespaces.clone(),
            ledger,
            resources: Mutex::default(),
            local_sweeps: Semaphore::new(SWEEPS),
            remote_sweeps: Semaphore::new(SWEEPS),
        }
    }

    /// Attends to each terminating namespace on its own: none waits for another.
    async fn run(&self) {
        let mut namespaces = self.namespaces.clone();
        namespaces.synced().await;
        let (mut attended, mut work) = (HashSet::new(), FuturesUnordered::new());
        let mut due = namespaces.objects();
        loop {
            for (name, _) in due.iter().filter(|(_, namespace)| is_ours(namespace)) {
                if attended.insert(name.clone()) {
                    work.push(self.attend(name.clone()));
                }
            }
            due = tokio::select! {
                Some(name) = work.next() => {
                    attended.remove(&name);
                    // It may have been made and deleted again meanwhile.
                    self.terminating(&name).map(|namespace| (name, namespace)).into_iter().collect()
                }
                () = namespaces.changed() => namespaces.objects(),
            };
        }
    }

    /// Works on a namespace until it is gone, or nobody's; returns its name.
    async fn attend(&self, name: String) -> String {
        let (mut pace, mut held) = (Pace::new(), None);
        while let Some(namespace) = self.terminating(&name) {
            let obstruction = self.release(&namespace, held.as_ref()).await;
            if let Some(obstruction) = obstruction.as_ref().filter(|now| held.as_ref() != Some(*now)) {
                obstruction.report(&name);
            }
            held = obstruction;
            match held {
                Some(_) => pace.pause().await,
                None => self.until_seen(&namespace).await,
            }
        }
        name
    }

    /// The namespace, if it is to go and waits for this controller.
    fn terminating(&self, name: &str) -> Option<Arc<Value>> {
        self.namespaces.get("", name).filter(|namespace| is_ours(namespace))
    }

    /// Whether the namespace is still the one that is to go: another of its name is not to be touched.
    fn is_still(&self, namespace: &Value) -> bool {
        self.terminating(meta::name(namespace)).is_some_and(|now| meta::uid(&now) == meta::uid(namespace))
    }

    /// Waits until it is seen that the namespace was let go.
    async fn until_seen(&self, namespace: &Value) {
        let mut namespaces = self.namespaces.clone();
        while self.is_still(namespace) {
            namespaces.changed().await;
        }
    }

    /// What is served now.
    fn resources(&self) -> Resources {
        let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        resources.refresh(&self.catalog);
        resources.clone()
    }

    /// Lets go of `namespace` if it is empty, else tells what is in the way.
    async fn release(&self, namespace: &Value, held: Option<&Obstruction>) -> Option<Obstruction> {
        let name = meta::name(namespace);
        if let Some(known) = held
            && self.persists(known, namespace).await
        {
            return Some(known.clone());
        }
        let found = self.empty(namespace, name).await;
        let obstruction = found.obstruction();
        let path = path_of(name);
        let written = match obstruction {
            Some(_) => self.tell(namespace, name, &found).await,
            None => finalize(&*self.loopback, &path, namespace).await,
        };
        if obstruction.is_none() && written.is_ok() {
            self.catalog.forget_writes(name);
        }
        obstruction.or_else(|| Some(Obstruction::Refusal { path, why: written.err()?.message }))
    }

    async fn persists(&self, known: &Obstruction, namespace: &Value) -> bool {
        match known {
            Obstruction::Object(path) => self.get(path).await.is_ok_and(|object| meta::is_deleting(&object)),
            Obstruction::Refusal { path, .. } => match self.get(&format!("{path}?limit=1")).await {
                Err(refusal) if refusal.code >= 500 => self.is_waited_for(path, namespace).await,
                outcome => outcome.is_err_and(|refusal| !is_absent(&refusal)),
            },
            Obstruction::New => false,
        }
    }

    /// Writes what was found into the namespace's conditions. What was refused is told again when it changes.
    async fn tell(&self, namespace: &Value, name: &str, found: &Found) -> Result<(), Status> {
        let change = |now: &mut Value| meta::uid(now) == meta::uid(namespace) && found.tell(now);
        edit(&*self.loopback, &path_of(name), "/status", namespace, change).await
    }

    async fn get(&self, path: &str) -> Result<Value, Status> {
        in_time(self.loopback.get(path)).await
    }
}

impl Obstruction {
    /// Logs an obstruction that came up.
    fn report(&self, namespace: &str) {
        match self {
            Self::Object(object) => {
                tracing::info!(namespace, object, "namespace waits for the finalizers of an object");
            }
            Self::Refusal { path, why } => {
                tracing::warn!(namespace, path, error = why, "empty namespace again");
            }
            Self::New => tracing::debug!(namespace, "empty namespace again: objects were made meanwhile"),
        }
    }
}

fn path_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}")
}

/// Whether the namespace is to go and waits for this controller.
fn is_ours(namespace: &Value) -> bool {
    let finalizers = namespace.pointer("/spec/finalizers").and_then(Value::as_array);
    meta::is_deleting(namespace) && finalizers.is_some_and(|list| list.iter().any(|have| have == FINALIZER))
}

async fn finalize(loopback: &dyn Loopback, path: &str, namespace: &Value) -> Result<(), Status> {
    edit(loopback, path, "/finalize", namespace, |now| {
        // A namespace that was made anew in between has not been emptied.
        let is_same = meta::uid(now) == meta::uid(namespace) && is_ours(now);
        if is_same && let Some(list) = now.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
            list.retain(|have| have != FINALIZER);
        }
        is_same
    })
    .await
}

#[cfg(test)]
mod tests;
