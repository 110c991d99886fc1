//! What a reflector saw, judged as it comes in: the library keeps the last state only, and would hide what came twice.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Objects by namespace and name.
pub(crate) type State = BTreeMap<String, Value>;

/// A reflector that runs until the runtime ends.
pub(crate) struct Follower {
    pub(crate) name: String,
    pub(crate) selector: String,
    journal: Arc<Mutex<Journal>>,
    state: Box<dyn Fn() -> State>,
}

/// What came, in numbers.
#[derive(Default)]
pub(crate) struct Journal {
    /// Initial states that were begun, and that were complete.
    pub(crate) begun: usize,
    pub(crate) complete: usize,
    /// Events behind an initial state.
    pub(crate) changes: usize,
    /// What the library reported and recovered from.
    pub(crate) faults: Vec<String>,
    /// Events that were not newer than what came before.
    pub(crate) disorder: Vec<String>,
    newest: u64,
}

impl Journal {
    fn note<K: Resource>(&mut self, event: &watcher::Result<watcher::Event<K>>) {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        match event {
            Ok(Init) => (self.begun, self.newest) = (self.begun + 1, 0),
            Ok(InitApply(object)) => self.newest = self.newest.max(version(object)),
            Ok(InitDone) => self.complete += 1,
            Ok(Apply(object) | Delete(object)) => {
                if version(object) <= self.newest {
                    let found =
                        format!("{} at {} behind {}", object.name_any(), version(object), self.newest);
                    self.disorder.push(found);
                }
                (self.newest, self.changes) = (version(object), self.changes + 1);
            }
            Err(fault) => self.faults.push(fault.to_string()),
        }
    }
}

fn version<K: Resource>(object: &K) -> u64 {
    let text = object.resource_version().expect("an object has a version");
    text.parse().expect("a version is a number")
}

/// What an object of a reflector can be.
pub(crate) trait Kind:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static
{
}

impl Follower {
    /// Reflects all objects of a kind, in all namespaces, that `config` selects.
    pub(crate) fn start<K: Kind>(
        runtime: &Runtime,
        client: &Client,
        name: impl Into<String>,
        config: watcher::Config,
    ) -> Self {
        let (reader, writer) = reflector::store::<K>();
        let journal = Arc::new(Mutex::new(Journal::default()));
        let selector = config.label_selector.clone().unwrap_or_default();
        let events = watcher::watcher(Api::<K>::all(client.clone()), config).default_backoff();
        let (notes, mut events) = (Arc::clone(&journal), Box::pin(events.reflect(writer)));
        runtime.spawn(async move {
            while let Some(event) = events.next().await {
                notes.lock().unwrap_or_else(PoisonError::into_inner).note(&event);
            }
        });
        Self { name: name.into(), selector, journal, state: Box::new(move || held(&reader)) }
    }

    /// The journal so far.
    pub(crate) fn journal<T>(&self, read: impl FnOnce(&Journal) -> T) -> T {
        read(&self.journal.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first difference between what the reflector holds and what `list` says; metadata alone where it holds no more.
    ///
    /// # Errors
    /// The difference.
    pub(crate) fn compare(&self, list: impl Fn(&str) -> State) -> Result<(), String> {
        let (held, stored) = ((self.state)(), list(&self.selector));
        let keys = held.keys().chain(stored.keys());
        let differs = |key: &&String| match (held.get(*key), stored.get(*key)) {
            (Some(held), Some(stored)) => {
                held["metadata"] != stored["metadata"] || (!held["data"].is_null() && held != stored)
            }
            _ => true,
        };
        keys.into_iter().find(differs).map_or(Ok(()), |key| {
            let shown = |state: &State| state.get(key).map_or("nothing".to_owned(), Value::to_string);
            Err(format!("{key}: {} instead of {}", shown(&held), shown(&stored)))
        })
    }
}

fn held<K: Kind>(reader: &Store<K>) -> State {
    let objects = reader.state().into_iter();
    objects.map(|object| keyed(&serde_json::to_value(&*object).expect("an object is a document"))).collect()
}

/// An object's place, and what is compared of it.
pub(crate) fn keyed(object: &Value) -> (String, Value) {
    let meta = &object["metadata"];
    let text = |key: &str| meta[key].as_str().unwrap_or_default();
    let key = format!("{}/{}", text("namespace"), text("name"));
    (key, json!({"metadata": meta, "data": object["data"]}))
}
