//! Config maps as the rules see them, and what was true at which revision.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The label by which watches select.
const GROUP: &str = "group";

/// A namespace and a name.
pub(crate) type Key = (String, String);

/// An object, as one write left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The `resourceVersion`.
    pub(crate) revision: u64,
    /// Of this object, as long as it lives.
    pub(crate) uid: String,
    /// No two writes have the same.
    pub(crate) value: String,
    /// The label's value.
    pub(crate) group: String,
}

/// What an event says has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is new, or new to the selection.
    Added,
    /// It changed.
    Modified,
    /// It is gone, or gone from the selection.
    Deleted,
}

/// An event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What happened.
    pub(crate) kind: Kind,
    /// To which object.
    pub(crate) key: Key,
    /// The object; of a deletion the last state, with the deletion's revision.
    pub(crate) version: Version,
}

/// All objects of a selection at one revision, in the order of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The list's `resourceVersion`.
    pub(crate) revision: u64,
    /// The objects.
    pub(crate) items: Vec<(Key, Version)>,
}

/// What a list or a watch is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// One value of the label, by a label selector.
    pub group: Option<String>,
    /// One name, by a field selector.
    pub name: Option<String>,
}

impl Selection {
    /// The path and the beginning of the query.
    pub(crate) fn path(&self) -> String {
        let mut path = "/api/v1/".to_owned();
        if let Some(namespace) = &self.namespace {
            path.push_str(&format!("namespaces/{namespace}/"));
        }
        path.push_str("configmaps?");
        // Not those of other suites and of the server itself.
        path.push_str("labelSelector=");
        path.push_str(
            &self.group.as_ref().map_or_else(|| GROUP.to_owned(), |group| format!("{GROUP}={group}")),
        );
        if let Some(name) = &self.name {
            path.push_str(&format!("&fieldSelector=metadata.name={name}"));
        }
        path
    }

    pub(crate) fn selects(&self, key: &Key, group: &str) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.namespace, &key.0) && is(&self.name, &key.1) && is(&self.group, group)
    }
}

/// The object to send.
pub(crate) fn object(name: &str, value: &str, group: &str, at: Option<u64>) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {GROUP: group}},
        "data": {"value": value},
    });
    if let Some(at) = at {
        object["metadata"]["resourceVersion"] = at.to_string().into();
    }
    object
}

/// Reads an object; `None` when it is not one that [`object`] made.
pub(crate) fn read(object: &Value) -> Option<(Key, Version)> {
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let key = (text(&metadata["namespace"])?, text(&metadata["name"])?);
    let version = Version {
        revision: metadata["resourceVersion"].as_str()?.parse().ok()?,
        uid: text(&metadata["uid"])?,
        value: text(&object["data"]["value"])?,
        group: text(&metadata["labels"][GROUP])?,
    };
    Some((key, version))
}

/// What was true at each revision from the base on.
pub(crate) struct Model<'a> {
    base: u64,
    /// From which revision on each key had which version.
    keys: BTreeMap<&'a Key, Vec<(u64, Option<&'a Version>)>>,
    events: BTreeMap<u64, &'a Event>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(base: &'a State, events: &'a [Event]) -> Self {
        let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, version) in &base.items {
            keys.entry(key).or_default().push((version.revision, Some(version)));
        }
        for event in events {
            let version = (event.kind != Kind::Deleted).then_some(&event.version);
            keys.entry(&event.key).or_default().push((event.version.revision, version));
        }
        let events = events.iter().map(|event| (event.version.revision, event)).collect();
        Self { base: base.revision, keys, events }
    }

    /// The event of a revision.
    pub(crate) fn event(&self, revision: u64) -> Option<&'a Event> {
        self.events.get(&revision).copied()
    }

    /// The events from behind one revision up to another.
    pub(crate) fn events(&self, after: u64, to: u64) -> impl Iterator<Item = &'a Event> {
        self.events
            .range(after + 1..)
            .map(|(_, event)| *event)
            .take_while(move |event| event.version.revision <= to)
    }

    /// What `key` was at a revision, which is not before the base.
    pub(crate) fn at(&self, key: &Key, revision: u64) -> Option<&'a Version> {
        let versions = self.keys.get(key)?;
        let next = versions.partition_point(|(from, _)| *from <= revision);
        versions[..next].last().and_then(|(_, version)| *version)
    }

    /// Whether `key` was at some revision from `low` to `high` as `passes` wants it.
    pub(crate) fn ever(
        &self,
        key: &Key,
        low: u64,
        high: u64,
        passes: impl Fn(Option<&Version>) -> bool,
    ) -> bool {
        let low = low.max(self.base);
        let versions = self.keys.get(key).map(Vec::as_slice).unwrap_or_default();
        let later = versions.iter().filter(|(from, _)| (low + 1..=high).contains(from));
        passes(self.at(key, low)) || later.into_iter().any(|(_, version)| passes(*version))
    }

    /// All that is selected at a revision.
    pub(crate) fn state(&self, selection: &Selection, revision: u64) -> State {
        let at = |key: &Key| self.at(key, revision).map(|version| (key.clone(), version.clone()));
        let all = self.keys.keys().filter_map(|key| at(key));
        State {
            revision,
            items: all.filter(|(key, version)| selection.selects(key, &version.group)).collect(),
        }
    }

    /// What a watch of `selection` has to say of an event.
    pub(crate) fn told(&self, selection: &Selection, event: &Event) -> Option<Event> {
        let revision = event.version.revision;
        let before = self.at(&event.key, revision - 1);
        let before = before.filter(|before| selection.selects(&event.key, &before.group));
        let stays = event.kind != Kind::Deleted && selection.selects(&event.key, &event.version.group);
        let (kind, version) = match (before, stays) {
            (None, false) => return None,
            (None, true) => (Kind::Added, event.version.clone()),
            (Some(_), true) => (Kind::Modified, event.version.clone()),
            (Some(before), false) => (Kind::Deleted, Version { revision, ..before.clone() }),
        };
        Some(Event { kind, key: event.key.clone(), version })
    }
}
