//! What becomes of one object: it stays while one owner does, it goes when all are gone, and it lets go of its dependents
//! or waits for them if it was asked to. Each decision is made on what the server says, and carried out only if that still
//! holds.

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::graph::{Effects, Graph, Task};
use super::live::{Fault, Live};
use super::object::{FOREGROUND, Identity, Meta, Names, ORPHAN, Reference, Uid};

/// How often something is tried at once when others change it at the same time.
const ATTEMPTS: usize = 8;
/// Dependents that are let go at once.
const CONCURRENT: usize = 32;
/// How many owners that are known to be gone are remembered; upstream's number.
const REMEMBERED: usize = 500;

/// Looks at objects, and does what has to be done.
pub(super) struct Collector {
    pub(super) graph: Mutex<Graph>,
    pub(super) live: Live,
    gone: Mutex<Gone>,
}

/// Owners that are gone for good: a uid never comes back.
#[derive(Default)]
struct Gone {
    known: HashSet<(Uid, Identity)>,
    order: VecDeque<(Uid, Identity)>,
}

/// What is known of one owner.
enum Owner {
    Solid,
    Absent,
    /// It waits for this object to go.
    Waiting,
}

/// The owners of an object, by what is known of them.
#[derive(Default)]
struct Owners<'a> {
    solid: usize,
    waiting: Vec<&'a Reference>,
    absent: Vec<&'a Reference>,
}

impl Collector {
    pub(super) fn new(live: Live) -> Self {
        Self { graph: Mutex::default(), live, gone: Mutex::default() }
    }

    pub(super) fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on a task; returns what that brings about.
    pub(super) async fn work(&self, task: Task) -> Result<Effects, Fault> {
        for _ in 1..ATTEMPTS {
            match self.attempt(task).await {
                Err(fault) if fault.is_conflict() => {}
                Err(Fault::NoNamespace) => return Ok(Effects::default()),
                outcome => return outcome,
            }
        }
        self.attempt(task).await
    }

    async fn attempt(&self, task: Task) -> Result<Effects, Fault> {
        match task {
            Task::Verify(uid) => self.verify(uid).await,
            Task::Collect(uid) => self.collect(uid).await,
            Task::Orphan(uid) => self.orphan(uid).await.map(|()| Effects::default()),
        }
    }

    /// Looks for what was only referred to.
    async fn verify(&self, uid: Uid) -> Result<Effects, Fault> {
        let node =
            |graph: &Graph| graph.is_virtual(uid).then(|| graph.node(uid).map(|node| node.identity.clone()));
        let Some(mut identity) = node(&self.graph()).flatten() else { return Ok(Effects::default()) };
        let (namespaced, followed) = self.live.kind(&identity)?;
        match self.live.get(uid, &identity).await? {
            None => Ok(self.graph().absent(uid, &identity)),
            // Its end will not be told of: it has to be looked for again.
            Some(_) if !followed => Err(Fault::Busy),
            Some(_) => {
                if !namespaced {
                    identity.namespace = "".into();
                }
                Ok(self.graph().verified(uid, &identity))
            }
        }
    }

    async fn collect(&self, uid: Uid) -> Result<Effects, Fault> {
        let node =
            |graph: &Graph| graph.node(uid).map(|node| (node.identity.clone(), node.deleting, node.waiting));
        let Some((identity, deleting, waiting)) = node(&self.graph()) else { return Ok(Effects::default()) };
        if deleting && !waiting {
            return Ok(Effects::default());
        }
        let Some(latest) = self.live.get(uid, &identity).await? else {
            return Ok(self.graph().absent(uid, &identity));
        };
        if waiting {
            return self.release(uid, &identity, &latest).await.map(|()| Effects::default());
        }
        if latest.owners().is_empty() || latest.is_deleting() {
            return Ok(Effects::default());
        }
        let owners = self.classify(&identity, latest.owners()).await?;
        self.decide(uid, &identity, &latest, owners).await.map(|()| Effects::default())
    }

    async fn decide(
        &self,
        uid: Uid,
        identity: &Identity,
        latest: &Meta,
        owners: Owners<'_>,
    ) -> Result<(), Fault> {
        if owners.solid > 0 {
            let without: Vec<&Reference> = owners.absent.into_iter().chain(owners.waiting).collect();
            return self.drop_owners(identity, latest, |owner| without.contains(&owner)).await;
        }
        if !owners.waiting.is_empty() && self.has_dependents(uid) {
            if self.has_waiting_dependents(uid) && latest.owners().iter().any(Reference::blocks) {
                // It may be a cycle: what depends on this object waits as well. The next attempt deletes it.
                self.unblock(identity, latest).await?;
                return Err(changed());
            }
            return self.live.delete(identity, latest, "Foreground").await;
        }
        let policy = match () {
            () if latest.has(ORPHAN) => "Orphan",
            () if latest.has(FOREGROUND) => "Foreground",
            () => "Background",
        };
        self.live.delete(identity, latest, policy).await
    }

    fn has_dependents(&self, uid: Uid) -> bool {
        self.graph().dependents(uid).next().is_some()
    }

    fn has_waiting_dependents(&self, uid: Uid) -> bool {
        self.graph().dependents(uid).any(|(_, node)| node.waiting)
    }

    /// Lets an object go that waits for its dependents, if none of them is in its way any more.
    async fn release(&self, uid: Uid, identity: &Identity, latest: &Meta) -> Result<(), Fault> {
        if self.graph().is_blocked(uid) {
            return Ok(());
        }
        self.take_off(identity, latest, FOREGROUND).await
    }

    /// Takes an object out of its dependents' owners, and lets it go.
    async fn orphan(&self, uid: Uid) -> Result<(), Fault> {
        let node = |graph: &Graph| graph.node(uid).map(|node| node.identity.clone());
        let Some(identity) = node(&self.graph()) else { return Ok(()) };
        let mut let_go = HashSet::new();
        loop {
            // Those that were made meanwhile, too.
            let dependents: Vec<(Uid, Identity)> = self
                .graph()
                .dependents(uid)
                .filter(|(dependent, _)| !let_go.contains(dependent))
                .map(|(dependent, node)| (dependent, node.identity.clone()))
                .collect();
            if dependents.is_empty() {
                break;
            }
            let_go.extend(dependents.iter().map(|(dependent, _)| *dependent));
            self.let_all_go(dependents, uid).await?;
        }
        match self.live.get(uid, &identity).await? {
            Some(latest) => self.take_off(&identity, &latest, ORPHAN).await,
            None => Ok(()),
        }
    }

    async fn let_all_go(&self, dependents: Vec<(Uid, Identity)>, owner: Uid) -> Result<(), Fault> {
        let let_go = |(dependent, identity): (Uid, Identity)| async move {
            self.let_go(dependent, &identity, owner).await
        };
        let mut outcomes = stream::iter(dependents).map(let_go).buffer_unordered(CONCURRENT);
        while let Some(outcome) = outcomes.next().await {
            outcome?;
        }
        Ok(())
    }

    async fn let_go(&self, dependent: Uid, identity: &Identity, owner: Uid) -> Result<(), Fault> {
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            let Some(latest) = self.live.get(dependent, identity).await? else { return Ok(()) };
            outcome = self.drop_owners(identity, &latest, |have| Uid::of(&have.uid) == owner).await;
            match &outcome {
                Err(fault) if fault.is_conflict() => {}
                _ => break,
            }
        }
        outcome
    }

    async fn classify<'a>(&self, identity: &Identity, owners: &'a [Reference]) -> Result<Owners<'a>, Fault> {
        let mut found = Owners::default();
        for owner in owners {
            match self.state_of(owner, &identity.namespace).await? {
                Owner::Solid => found.solid += 1,
                Owner::Absent => found.absent.push(owner),
                Owner::Waiting => found.waiting.push(owner),
            }
        }
        Ok(found)
    }

    /// What is known of the owner of an object in `namespace`.
    async fn state_of(&self, owner: &Reference, namespace: &Arc<str>) -> Result<Owner, Fault> {
        let reference = owner.owner(&mut Names::default());
        let (uid, api_version, kind, name) =
            (reference.uid, reference.api_version, reference.kind, reference.name);
        let mut identity = Identity { api_version, kind, namespace: Arc::clone(namespace), name };
        let (namespaced, _) = self.live.kind(&identity)?;
        if !namespaced {
            identity.namespace = "".into();
        }
        let key = (uid, identity);
        if self.gone().known.contains(&key) {
            return Ok(Owner::Absent);
        }
        match self.live.get(uid, &key.1).await? {
            None => {
                self.gone().remember(key);
                Ok(Owner::Absent)
            }
            Some(latest) if latest.waits_by(FOREGROUND) => Ok(Owner::Waiting),
            Some(_) => Ok(Owner::Solid),
        }
    }

    fn gone(&self) -> MutexGuard<'_, Gone> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes owners out of the object's references, in the object as it is stored: other fields of them stay.
    async fn drop_owners(
        &self,
        identity: &Identity,
        latest: &Meta,
        drop: impl Fn(&Reference) -> bool,
    ) -> Result<(), Fault> {
        if !latest.owners().iter().any(&drop) {
            return Ok(());
        }
        let kept: Vec<Value> =
            latest.owners().iter().filter(|owner| !drop(owner)).map(Reference::document).collect();
        let kept = if kept.is_empty() { Value::Null } else { kept.into() };
        self.live.patch(identity, latest, json!({"ownerReferences": kept})).await
    }

    async fn unblock(&self, identity: &Identity, latest: &Meta) -> Result<(), Fault> {
        let references = latest.owners().iter().map(|owner| {
            let mut owner = owner.document();
            owner["blockOwnerDeletion"] = false.into();
            owner
        });
        let references: Vec<Value> = references.collect();
        self.live.patch(identity, latest, json!({"ownerReferences": references})).await
    }

    async fn take_off(&self, identity: &Identity, latest: &Meta, finalizer: &str) -> Result<(), Fault> {
        if !latest.has(finalizer) {
            return Ok(());
        }
        let kept: Vec<&str> = latest.finalizers().filter(|have| *have != finalizer).collect();
        self.live.patch(identity, latest, json!({"finalizers": kept})).await
    }
}

/// What another attempt is made for.
fn changed() -> Fault {
    Fault::Refused(detectviz_api::Status::conflict("", "", "", "its references were changed"))
}

impl Gone {
    fn remember(&mut self, owner: (Uid, Identity)) {
        if !self.known.insert(owner.clone()) {
            return;
        }
        self.order.push_back(owner);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
