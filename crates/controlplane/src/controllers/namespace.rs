//! Empties a namespace that is to go: deletes all objects in it, and once there are none lets go of the namespace.
//!
//! An object that its own finalizers hold is remembered, and until it is gone it alone is asked for: a namespace that
//! is stuck for days costs one read at a time, however many kinds there are.

use detectviz_api::{GroupVersion, Status, meta};
use detectviz_core::catalog::Owner;
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Catalog, Loopback, RunContext};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::retry::Pace;
use super::write::{delete, edit, segment};
use crate::strategies::namespaces::FINALIZER;

/// Objects a page of a list.
const PAGE: usize = 500;
/// Deletes under way at once: enough to share the store's syncs.
const CONCURRENT_DELETES: usize = 32;
/// How often a namespace is swept before others have their turn.
const SWEEPS: usize = 3;

/// Follows the namespaces and empties those that are to go.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>, catalog: &Arc<Catalog>) {
    let mut namespaces = Informer::start(context, Arc::clone(loopback), "/api/v1/namespaces");
    let (loopback, catalog) = (Arc::clone(loopback), Arc::clone(catalog));
    let mut controller = Controller { loopback, catalog, held: BTreeMap::new() };
    context.spawn(async move {
        namespaces.synced().await;
        let mut pace = Pace::new();
        loop {
            let settled = controller.pass(&namespaces.objects()).await;
            pace.next(settled, namespaces.changed()).await;
        }
    });
}

struct Controller {
    loopback: Arc<dyn Loopback>,
    catalog: Arc<Catalog>,
    /// What keeps each terminating namespace, by the namespace's name.
    held: BTreeMap<String, Obstruction>,
}

/// Why a namespace could not be let go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstruction {
    /// The object at this path waits for its finalizers.
    Object(String),
    /// The server refused.
    Refusal(String),
}

/// What a sweep through a namespace came across.
#[derive(Default)]
struct Found {
    /// The paths of objects that nothing was done about yet.
    undeleted: Vec<String>,
    /// The path of an object that waits for its finalizers.
    held: Option<String>,
}

impl Controller {
    /// Works on each terminating namespace; returns whether none is left waiting.
    async fn pass(&mut self, namespaces: &Objects) -> bool {
        let terminating: Vec<&Arc<Value>> =
            namespaces.values().filter(|namespace| is_ours(namespace)).collect();
        let names: BTreeSet<&str> = terminating.iter().map(|namespace| meta::name(namespace)).collect();
        self.held.retain(|name, _| names.contains(name.as_str()));
        for namespace in &terminating {
            let outcome = self.release(namespace).await;
            self.remember(meta::name(namespace), outcome);
        }
        self.held.is_empty()
    }

    /// Lets go of `namespace` if it is empty, else tells what is in the way.
    async fn release(&self, namespace: &Value) -> Result<Option<String>, Status> {
        let name = meta::name(namespace);
        if let Some(Obstruction::Object(path)) = self.held.get(name)
            && self.loopback.get(path).await.is_ok()
        {
            return Ok(Some(path.clone()));
        }
        match self.empty(name).await? {
            Some(path) => Ok(Some(path)),
            None => finalize(&*self.loopback, namespace).await.map(|()| None),
        }
    }

    /// Logs each obstruction once, when it comes up.
    fn remember(&mut self, name: &str, outcome: Result<Option<String>, Status>) {
        let obstruction = match outcome {
            Ok(None) => {
                self.held.remove(name);
                return;
            }
            Ok(Some(path)) => Obstruction::Object(path),
            Err(refusal) => Obstruction::Refusal(refusal.message),
        };
        if self.held.get(name) == Some(&obstruction) {
            return;
        }
        match &obstruction {
            Obstruction::Object(path) => {
                tracing::info!(
                    namespace = name,
                    object = path,
                    "namespace waits for the finalizers of an object"
                );
            }
            Obstruction::Refusal(why) => {
                tracing::warn!(namespace = name, error = why, "empty namespace again")
            }
        }
        self.held.insert(name.to_owned(), obstruction);
    }

    /// Deletes what is in the namespace; the path of what stays, if anything does.
    async fn empty(&self, namespace: &str) -> Result<Option<String>, Status> {
        let mut last = None;
        for _ in 0..SWEEPS {
            let found = self.find(namespace).await?;
            if found.undeleted.is_empty() {
                return Ok(found.held);
            }
            last = found.undeleted.first().cloned();
            self.delete_all(found.undeleted).await?;
        }
        Ok(last)
    }

    async fn delete_all(&self, paths: Vec<String>) -> Result<(), Status> {
        let delete = |path: String| {
            let loopback = Arc::clone(&self.loopback);
            async move { delete(&*loopback, &path).await }
        };
        stream::iter(paths).map(delete).buffer_unordered(CONCURRENT_DELETES).try_collect().await
    }

    async fn find(&self, namespace: &str) -> Result<Found, Status> {
        let mut found = Found::default();
        for (gv, resource) in collections(&self.catalog) {
            let collection = format!("{}/namespaces/{namespace}/{resource}", gv.path());
            self.find_in(&collection, &mut found).await?;
        }
        Ok(found)
    }

    async fn find_in(&self, collection: &str, found: &mut Found) -> Result<(), Status> {
        let mut from = String::new();
        loop {
            let page = self.loopback.get(&format!("{collection}?limit={PAGE}{from}")).await?;
            for item in page["items"].as_array().into_iter().flatten() {
                let path = format!("{collection}/{}", segment(meta::name(item)));
                if meta::is_deleting(item) {
                    found.held = Some(path);
                } else {
                    found.undeleted.push(path);
                }
            }
            match meta::field(&page, "continue") {
                "" => return Ok(()),
                next => from = format!("&continue={}", segment(next)),
            }
        }
    }
}

/// Whether the namespace is to go and waits for this controller.
fn is_ours(namespace: &Value) -> bool {
    let finalizers = namespace.pointer("/spec/finalizers").and_then(Value::as_array);
    meta::is_deleting(namespace) && finalizers.is_some_and(|list| list.iter().any(|have| have == FINALIZER))
}

async fn finalize(loopback: &dyn Loopback, namespace: &Value) -> Result<(), Status> {
    let path = format!("/api/v1/namespaces/{}", meta::name(namespace));
    edit(loopback, &path, "/finalize", namespace, |now| {
        // A namespace that was made anew in between has not been emptied.
        let is_same = meta::uid(now) == meta::uid(namespace) && is_ours(now);
        if is_same && let Some(list) = now.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
            list.retain(|have| have != FINALIZER);
        }
        is_same
    })
    .await
}

/// Every local resource that has objects in namespaces to delete, in one of its versions.
fn collections(catalog: &Catalog) -> Vec<(GroupVersion, String)> {
    let snapshot = catalog.snapshot();
    let mut seen = BTreeSet::new();
    let mut collections = Vec::new();
    for (gv, _) in snapshot.group_versions().filter(|(_, owner)| *owner == Owner::Local) {
        let document = snapshot.resource_list(gv);
        let list: Value =
            document.and_then(|document| serde_json::from_slice(&document.bytes).ok()).unwrap_or_default();
        let resources = list["resources"].as_array().into_iter().flatten();
        for name in resources
            .filter(|resource| has_objects(resource))
            .filter_map(|resource| resource["name"].as_str())
        {
            if seen.insert((Arc::clone(&gv.group), name.to_owned())) {
                collections.push((gv.clone(), name.to_owned()));
            }
        }
    }
    collections
}

/// Whether `resource`, of an `APIResourceList`, has objects in namespaces that can be listed and deleted.
fn has_objects(resource: &Value) -> bool {
    let verbs = resource["verbs"].as_array();
    let can = |verb: &str| verbs.is_some_and(|verbs| verbs.iter().any(|have| have == verb));
    let is_object = resource["name"].as_str().is_some_and(|name| !name.contains('/'));
    resource["namespaced"] == true && is_object && can("list") && can("delete")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{self, Fake};
    use detectviz_core::health::Checks;
    use serde_json::json;

    const MAPS: &str = "/api/v1/namespaces/a/configmaps";

    async fn started(fake: &Fake) -> RunContext {
        let loopback = fake.loopback();
        loopback.create("/api/v1/namespaces", &json!({"metadata": {"name": "a"}})).await.unwrap();
        let context = RunContext::new(Arc::new(Checks::default()));
        start(&context, &loopback, &fake::catalog());
        context
    }

    async fn stop(context: RunContext) {
        context.cancel();
        context.drained().await;
    }

    #[tokio::test]
    async fn a_namespace_goes_with_all_that_is_in_it() {
        let fake = Fake::new();
        let loopback = fake.loopback();
        let context = started(&fake).await;
        for number in 0..100 {
            loopback.create(MAPS, &json!({"metadata": {"name": format!("c{number}")}})).await.unwrap();
        }
        let sources = "/apis/datasource.detectviz.io/v0alpha1/namespaces/a/datasources";
        loopback
            .create(sources, &json!({"metadata": {"name": "a b?"}, "spec": {"type": "t"}}))
            .await
            .unwrap();
        let other = "/api/v1/namespaces/b/configmaps";
        loopback.create(other, &json!({"metadata": {"name": "stays"}})).await.unwrap();
        loopback.delete("/api/v1/namespaces/a").await.unwrap();
        fake.until(|fake| fake.object("/api/v1/namespaces/a").is_none()).await;
        assert_eq!(fake.paths_in("a"), Vec::<String>::new());
        assert_eq!(fake.paths_in("b").len(), 1);
        stop(context).await;
    }

    #[tokio::test]
    async fn a_namespace_waits_for_the_finalizers_of_its_objects() {
        let fake = Fake::new();
        let loopback = fake.loopback();
        let context = started(&fake).await;
        let path = format!("{MAPS}/held");
        let held = json!({"metadata": {"name": "held", "finalizers": ["mine"]}});
        loopback.create(MAPS, &held).await.unwrap();
        loopback.create(MAPS, &json!({"metadata": {"name": "free"}})).await.unwrap();
        loopback.delete("/api/v1/namespaces/a").await.unwrap();
        // The controller's first write fails, and is made again.
        fake.fail_next(1);
        fake.until(|fake| fake.object(&path).is_some_and(|object| meta::is_deleting(&object))).await;
        fake.until(|fake| fake.object(&format!("{MAPS}/free")).is_none()).await;
        assert!(fake.object("/api/v1/namespaces/a").is_some());
        let mut object = fake.object(&path).unwrap();
        object["metadata"]["finalizers"] = json!([]);
        loopback.update(&path, &object).await.unwrap();
        fake.until(|fake| fake.object("/api/v1/namespaces/a").is_none()).await;
        stop(context).await;
    }

    #[test]
    fn only_namespaced_stored_local_resources_are_emptied() {
        let names: Vec<_> = collections(&fake::catalog()).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["configmaps", "secrets", "events", "datasources", "externalnames"]);
    }
}
