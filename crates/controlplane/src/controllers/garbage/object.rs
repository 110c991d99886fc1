//! What the collector knows of an object: where it is, what it depends on, and whether it is going.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// The finalizer that lets dependents live on without their owner.
pub(super) const ORPHAN: &str = "orphan";
/// The finalizer that holds an owner until its dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// What tells an object from every other that ever was, in 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Uid(u128);

impl Uid {
    /// The identity that `text` is. Another server may have uids of another form.
    pub(super) fn of(text: &str) -> Self {
        static SEEDS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
        let hashed = || {
            let [high, low] = SEEDS.each_ref().map(|seed| u128::from(seed.hash_one(text)));
            high << 64 | low
        };
        Self(Uuid::parse_str(text).map_or_else(|_| hashed(), |uuid| uuid.as_u128()))
    }

    /// The identity as this server writes it.
    pub(super) fn text(self) -> String {
        Uuid::from_u128(self.0).to_string()
    }
}

/// Where an object is, as something refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) api_version: Arc<str>,
    pub(super) kind: Arc<str>,
    /// Empty when cluster-scoped.
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

/// What an object depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: Uid,
    pub(super) api_version: Arc<str>,
    pub(super) kind: Arc<str>,
    pub(super) name: Arc<str>,
    /// Whether the owner waits for the object when it is deleted in the foreground.
    pub(super) blocks: bool,
}

impl Owner {
    /// Whether the reference is to the kind and name of `identity`.
    pub(super) fn names(&self, identity: &Identity) -> bool {
        (&self.api_version, &self.kind, &self.name) == (&identity.api_version, &identity.kind, &identity.name)
    }
}

/// Texts that many objects share, kept once for as long as anybody has them.
#[derive(Default)]
pub(super) struct Names {
    texts: HashSet<Arc<str>>,
    /// How many there may be until those are let go that nobody has any more.
    bound: usize,
}

/// How many texts are kept without a look at who has them.
const FEW: usize = 256;

impl Names {
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(have) = self.texts.get(text) {
            return Arc::clone(have);
        }
        if self.texts.len() >= self.bound {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.texts.shrink_to(FEW);
            // Each look is paid for by as many new texts.
            self.bound = (self.texts.len() * 2).max(FEW);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}

/// The parts of an object's metadata that matter here, of whatever else there is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    deletion_timestamp: Option<String>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<Reference>>,
}

/// An entry of `ownerReferences`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Reference {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    controller: Option<bool>,
    block_owner_deletion: Option<bool>,
}

impl Meta {
    pub(super) fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    pub(super) fn has(&self, finalizer: &str) -> bool {
        self.finalizers.iter().flatten().any(|have| have == finalizer)
    }

    /// Whether it is going, and waits for its dependents to go or to be let go.
    pub(super) fn waits_by(&self, finalizer: &str) -> bool {
        self.is_deleting() && self.has(finalizer)
    }

    pub(super) fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.finalizers.iter().flatten().map(String::as_str)
    }

    pub(super) fn owners(&self) -> &[Reference] {
        self.owner_references.as_deref().unwrap_or_default()
    }
}

impl Reference {
    pub(super) fn blocks(&self) -> bool {
        self.block_owner_deletion == Some(true)
    }

    /// The reference as it is stored.
    pub(super) fn document(&self) -> Value {
        let mut document =
            json!({"apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid});
        for (field, value) in
            [("controller", self.controller), ("blockOwnerDeletion", self.block_owner_deletion)]
        {
            if let Some(value) = value {
                document[field] = value.into();
            }
        }
        document
    }

    /// The reference in the form of the graph.
    pub(super) fn owner(&self, names: &mut Names) -> Owner {
        Owner {
            uid: Uid::of(&self.uid),
            api_version: names.share(&self.api_version),
            kind: names.share(&self.kind),
            name: self.name.as_str().into(),
            blocks: self.blocks(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shared_and_go_with_those_who_have_them() {
        let mut names = Names::default();
        let kept = names.share("kept");
        for number in 0..100_000 {
            names.share(&format!("n{number}"));
            assert!(names.texts.len() <= FEW, "{number}");
        }
        assert!(Arc::ptr_eq(&kept, &names.share("kept")));
        let many: Vec<_> = (0..1000).map(|number| names.share(&format!("m{number}"))).collect();
        assert!(many.iter().all(|text| Arc::ptr_eq(text, &names.share(text))));
    }
}
