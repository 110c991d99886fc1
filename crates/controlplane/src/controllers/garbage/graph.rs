//! Who depends on whom: what was seen, and what was only referred to. The graph says what has to be looked at; whether
//! something goes is decided by what the server says at that moment.
//!
//! Only what has owners, has dependents or waits for its dependents is a node. Of everything else just the place is known,
//! in a few bytes, so that an owner in another namespace is told from one that is gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::object::{FOREGROUND, Identity, Meta, Names, ORPHAN, Owner, Uid};

/// Something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Task {
    /// Whether what was referred to is there.
    Verify(Uid),
    /// Whether an object has to go.
    Collect(Uid),
    /// An object that is going and lets go of its dependents.
    Orphan(Uid),
}

/// What a change of the graph brings about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    pub(super) tasks: Vec<Task>,
    /// Owners that have just begun to wait: dependents that were made before may still be on their way here.
    pub(super) begun: Vec<Task>,
    pub(super) misplaced: Vec<Misplaced>,
}

/// An object that refers to an owner in another namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    pub(super) uid: Uid,
    pub(super) identity: Identity,
    pub(super) owner: Owner,
}

/// One followed collection.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Tells it from the others.
    pub(super) number: u32,
    pub(super) api_version: Arc<str>,
    pub(super) kind: Arc<str>,
    /// Whether another server has it.
    pub(super) remote: bool,
}

struct Place {
    source: u32,
    namespace: Arc<str>,
}

pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) owners: Vec<Owner>,
    dependents: HashSet<Uid>,
    /// Whether it was seen, and not only referred to.
    observed: bool,
    pub(super) deleting: bool,
    /// Whether it is going once its dependents are gone.
    pub(super) waiting: bool,
    orphaning: bool,
}

impl Node {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            owners: Vec::new(),
            dependents: HashSet::new(),
            observed: false,
            deleting: false,
            waiting: false,
            orphaning: false,
        }
    }

    fn owner(&self, uid: Uid) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.uid == uid)
    }
}

/// The graph.
#[derive(Default)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
    places: HashMap<Uid, Place>,
    names: Names,
    effects: Effects,
}

impl Graph {
    /// An object of `source` is as `meta` says.
    pub(super) fn seen(&mut self, source: &Source, meta: &Meta) -> Effects {
        let uid = Uid::of(&meta.uid);
        let namespace = self.names.share(&meta.namespace);
        self.places.insert(uid, Place { source: source.number, namespace: Arc::clone(&namespace) });
        let waits = meta.waits_by(FOREGROUND) || meta.waits_by(ORPHAN);
        if meta.owners().is_empty() && !waits && !self.nodes.contains_key(&uid) {
            return Effects::default();
        }
        let (api_version, kind) = (Arc::clone(&source.api_version), Arc::clone(&source.kind));
        self.observe(uid, &Identity { api_version, kind, namespace, name: meta.name.as_str().into() });
        let owners = meta.owners().iter().map(|owner| owner.owner(&mut self.names)).collect();
        self.set_owners(uid, owners);
        self.set_state(uid, meta);
        self.prune(uid);
        std::mem::take(&mut self.effects)
    }

    /// An object is gone.
    pub(super) fn gone(&mut self, uid: Uid) -> Effects {
        self.places.remove(&uid);
        self.remove(uid);
        std::mem::take(&mut self.effects)
    }

    /// The server has nothing at `identity` with this uid. Dependents that mean something else by the uid keep it for
    /// another try.
    pub(super) fn absent(&mut self, uid: Uid, identity: &Identity) -> Effects {
        let Some(node) = self.nodes.get(&uid) else { return Effects::default() };
        if node.observed && node.identity != *identity {
            return Effects::default();
        }
        let other =
            node.dependents.iter().filter_map(|dependent| self.other_identity(*dependent, uid, identity));
        // In turn, so that each is tried.
        let key = |identity: &Identity| {
            [&identity.kind, &identity.api_version, &identity.namespace, &identity.name].map(Arc::clone)
        };
        let others: Vec<Identity> = if node.observed { Vec::new() } else { other.collect() };
        let behind = others.iter().filter(|other| key(other) > key(identity)).min_by_key(|other| key(other));
        let next = behind.or_else(|| others.iter().min_by_key(|other| key(other))).cloned();
        let dependents: Vec<Uid> = node.dependents.iter().copied().collect();
        self.effects.tasks.extend(dependents.into_iter().map(Task::Collect));
        match next.and_then(|next| Some((next, self.nodes.get_mut(&uid)?))) {
            Some((next, node)) => node.identity = next,
            None => self.remove(uid),
        }
        std::mem::take(&mut self.effects)
    }

    /// What else than `identity` the dependent means by the uid of its owner.
    fn other_identity(&self, dependent: Uid, owner: Uid, identity: &Identity) -> Option<Identity> {
        let node = self.nodes.get(&dependent)?;
        let owner = node.owner(owner)?;
        let same_place = identity.namespace.is_empty() || identity.namespace == node.identity.namespace;
        (!owner.names(identity) || !same_place).then(|| Identity {
            api_version: Arc::clone(&owner.api_version),
            kind: Arc::clone(&owner.kind),
            namespace: Arc::clone(&node.identity.namespace),
            name: Arc::clone(&owner.name),
        })
    }

    /// The collection `source` was listed and has `present`: all else of it has to be looked at.
    pub(super) fn listed(&mut self, source: &Source, present: &HashSet<Uid>) -> Effects {
        self.places.retain(|uid, place| place.source != source.number || present.contains(uid));
        let is_of = |node: &Node| {
            (&node.identity.api_version, &node.identity.kind) == (&source.api_version, &source.kind)
        };
        let missing = self.nodes.iter().filter(|(uid, node)| is_of(node) && !present.contains(uid));
        let missing: Vec<Uid> = missing.map(|(uid, _)| *uid).collect();
        for uid in &missing {
            if let Some(node) = self.nodes.get_mut(uid) {
                node.observed = false;
            }
        }
        Effects { tasks: missing.into_iter().map(Task::Verify).collect(), ..Effects::default() }
    }

    /// The collection is not served any more: what was in it is not known to be there, nor to be gone.
    pub(super) fn left(&mut self, source: u32) -> Effects {
        let of_source = self.places.iter().filter(|(_, place)| place.source == source);
        let left: Vec<Uid> = of_source.map(|(uid, _)| *uid).collect();
        for uid in left {
            self.places.remove(&uid);
            self.set_owners(uid, Vec::new());
            if let Some(node) = self.nodes.get_mut(&uid) {
                node.observed = false;
            }
            self.prune(uid);
        }
        std::mem::take(&mut self.effects)
    }

    /// What was referred to is there, at `identity`.
    pub(super) fn verified(&mut self, uid: Uid, identity: &Identity) -> Effects {
        // It may be gone since.
        if self.nodes.contains_key(&uid) {
            self.observe(uid, identity);
        }
        std::mem::take(&mut self.effects)
    }

    /// Whether the object was only referred to.
    pub(super) fn is_virtual(&self, uid: Uid) -> bool {
        self.nodes.get(&uid).is_some_and(|node| !node.observed)
    }

    /// The node of an object.
    pub(super) fn node(&self, uid: Uid) -> Option<&Node> {
        self.nodes.get(&uid)
    }

    /// The objects that depend on `uid`.
    pub(super) fn dependents(&self, uid: Uid) -> impl Iterator<Item = (Uid, &Node)> {
        let dependents = self.nodes.get(&uid).into_iter().flat_map(|node| &node.dependents);
        dependents.filter_map(|uid| Some((*uid, self.nodes.get(uid)?)))
    }

    /// Whether a dependent keeps `uid` from going.
    pub(super) fn is_blocked(&self, uid: Uid) -> bool {
        // What depends on itself would wait for ever.
        let mut others = self.dependents(uid).filter(|(dependent, _)| *dependent != uid);
        others.any(|(_, node)| node.owner(uid).is_some_and(|owner| owner.blocks))
    }

    /// Whether objects of a collection are known in `namespace`.
    pub(super) fn has(&self, source: u32, namespace: &str) -> bool {
        self.places.values().any(|place| place.source == source && *place.namespace == *namespace)
    }

    /// How many nodes and how many known objects there are.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.nodes.len(), self.places.len())
    }

    /// Takes down that `uid` is at `identity`; dependents that thought otherwise are looked at.
    fn observe(&mut self, uid: Uid, identity: &Identity) {
        let node = self.nodes.entry(uid).or_insert_with(|| Node::new(identity.clone()));
        node.observed = true;
        if node.identity == *identity {
            return;
        }
        node.identity = identity.clone();
        let dependents = std::mem::take(&mut node.dependents);
        for dependent in &dependents {
            self.check_reference(*dependent, uid, identity, true);
        }
        if let Some(node) = self.nodes.get_mut(&uid) {
            node.dependents = dependents;
        }
    }

    /// Has the dependent looked at, if it means something else than the owner's `identity`, which may be a guess.
    fn check_reference(&mut self, dependent: Uid, owner: Uid, identity: &Identity, sure: bool) {
        let Some(node) = self.nodes.get(&dependent) else { return };
        let Some(reference) = node.owner(owner) else { return };
        let elsewhere = !identity.namespace.is_empty() && identity.namespace != node.identity.namespace;
        if elsewhere && sure {
            let (identity, owner) = (node.identity.clone(), reference.clone());
            self.effects.misplaced.push(Misplaced { uid: dependent, identity, owner });
        }
        if elsewhere || !reference.names(identity) {
            self.effects.tasks.push(Task::Collect(dependent));
        }
    }

    fn set_owners(&mut self, uid: Uid, owners: Vec<Owner>) {
        let Some(node) = self.nodes.get_mut(&uid) else { return };
        if node.owners == owners {
            return;
        }
        let before = std::mem::replace(&mut node.owners, owners.clone());
        for old in before {
            let now = owners.iter().find(|owner| owner.uid == old.uid);
            if old.blocks && !now.is_some_and(|owner| owner.blocks) {
                self.look_at_waiting(old.uid);
            }
            if now.is_none() {
                self.drop_dependent(old.uid, uid);
            }
        }
        for owner in owners {
            self.add_dependent(uid, &owner);
        }
    }

    fn add_dependent(&mut self, uid: Uid, owner: &Owner) {
        let Some(namespace) = self.nodes.get(&uid).map(|node| Arc::clone(&node.identity.namespace)) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&owner.uid) {
            node.dependents.insert(uid);
            let (identity, sure, waiting) = (node.identity.clone(), node.observed, node.waiting);
            if waiting {
                self.effects.tasks.push(Task::Collect(uid));
            }
            return self.check_reference(uid, owner.uid, &identity, sure);
        }
        let known = self.places.get(&owner.uid).map(|place| Arc::clone(&place.namespace));
        let sure = known.is_some();
        let identity = Identity {
            api_version: Arc::clone(&owner.api_version),
            kind: Arc::clone(&owner.kind),
            namespace: known.unwrap_or(namespace),
            name: Arc::clone(&owner.name),
        };
        let mut node = Node::new(identity.clone());
        node.dependents.insert(uid);
        self.nodes.insert(owner.uid, node);
        self.effects.tasks.push(Task::Verify(owner.uid));
        self.check_reference(uid, owner.uid, &identity, sure);
    }

    fn drop_dependent(&mut self, owner: Uid, dependent: Uid) {
        if let Some(node) = self.nodes.get_mut(&owner) {
            node.dependents.remove(&dependent);
        }
        self.prune(owner);
    }

    /// What is going, and how: its dependents have to be looked at when that begins.
    fn set_state(&mut self, uid: Uid, meta: &Meta) {
        let Some(node) = self.nodes.get_mut(&uid) else { return };
        let (waited, orphaned) = (node.waiting, node.orphaning);
        node.deleting = meta.is_deleting();
        node.orphaning = meta.waits_by(ORPHAN);
        node.waiting = meta.waits_by(FOREGROUND);
        let (waits, orphans) = (node.waiting && !waited, node.orphaning && !orphaned);
        if orphans {
            self.effects.begun.push(Task::Orphan(uid));
        } else if waits {
            self.effects.tasks.extend(node.dependents.iter().copied().map(Task::Collect));
            self.effects.begun.push(Task::Collect(uid));
        }
    }

    fn look_at_waiting(&mut self, uid: Uid) {
        if self.nodes.get(&uid).is_some_and(|node| node.waiting) {
            self.effects.tasks.push(Task::Collect(uid));
        }
    }

    fn remove(&mut self, uid: Uid) {
        let Some(node) = self.nodes.remove(&uid) else { return };
        self.effects.tasks.extend(node.dependents.into_iter().map(Task::Collect));
        for owner in node.owners {
            self.look_at_waiting(owner.uid);
            self.drop_dependent(owner.uid, uid);
        }
    }

    /// Forgets a node that nothing is asked of.
    fn prune(&mut self, uid: Uid) {
        let idle = |node: &Node| {
            node.owners.is_empty() && node.dependents.is_empty() && !node.waiting && !node.orphaning
        };
        if self.nodes.get(&uid).is_some_and(idle) {
            self.nodes.remove(&uid);
        }
    }
}

#[cfg(test)]
mod tests;
