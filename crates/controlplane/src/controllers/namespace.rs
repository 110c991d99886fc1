//! Empties a namespace that is to go: deletes all objects in it, whoever serves them, and once there are none lets go
//! of the namespace. What is in the way is said in the namespace's conditions.
//!
//! What is in the way is also remembered, and until it is gone it alone is asked for: a namespace that is stuck for days
//! costs one read at a time, however many kinds there are.

mod empty;
mod found;

use detectviz_api::{Status, meta};
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Catalog, Loopback, RunContext};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::empty::is_absent;
use self::found::Found;
use super::metadata::in_time;
use super::retry::Pace;
use super::served::Resources;
use super::write::edit;
use crate::strategies::namespaces::FINALIZER;

/// Namespaces that are worked on at once, so that one does not wait for the slow backend of another.
const CONCURRENT_NAMESPACES: usize = 8;
/// Follows the namespaces and empties those that are to go.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>, catalog: &Arc<Catalog>) {
    let mut namespaces = Informer::start(context, Arc::clone(loopback), "/api/v1/namespaces");
    let (loopback, catalog) = (Arc::clone(loopback), Arc::clone(catalog));
    let (resources, held) = Default::default();
    let mut controller = Controller { loopback, catalog, resources, held };
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
    /// What is served, as it was when the pass began.
    resources: Resources,
    /// What keeps each terminating namespace, by the namespace's name.
    held: BTreeMap<String, Obstruction>,
}

/// Why a namespace could not be let go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstruction {
    /// The object at this path waits for its finalizers.
    Object(String),
    /// A request for this path was refused.
    Refusal { path: String, why: String },
}

impl Controller {
    /// Works on each terminating namespace; returns whether none is left waiting.
    async fn pass(&mut self, namespaces: &Objects) -> bool {
        let terminating: Vec<&Arc<Value>> =
            namespaces.values().filter(|namespace| is_ours(namespace)).collect();
        let names: BTreeSet<&str> = terminating.iter().map(|namespace| meta::name(namespace)).collect();
        self.resources.refresh(&self.catalog);
        self.held.retain(|name, _| names.contains(name.as_str()));
        let this = &*self;
        let release = |namespace: &Arc<Value>| {
            let namespace = Arc::clone(namespace);
            async move { (meta::name(&namespace).to_owned(), this.release(&namespace).await) }
        };
        let outcomes = stream::iter(terminating).map(release).buffer_unordered(CONCURRENT_NAMESPACES);
        for (name, obstruction) in outcomes.collect::<Vec<_>>().await {
            self.remember(name, obstruction);
        }
        self.held.is_empty()
    }

    /// Lets go of `namespace` if it is empty, else tells what is in the way.
    async fn release(&self, namespace: &Value) -> Option<Obstruction> {
        let name = meta::name(namespace);
        if let Some(known) = self.held.get(name)
            && self.persists(known).await
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
        obstruction.or_else(|| Some(Obstruction::Refusal { path, why: written.err()?.message }))
    }

    async fn persists(&self, known: &Obstruction) -> bool {
        match known {
            Obstruction::Object(path) => self.get(path).await.is_ok(),
            Obstruction::Refusal { path, .. } => {
                self.get(&format!("{path}?limit=1")).await.is_err_and(|refusal| !is_absent(&refusal))
            }
        }
    }

    /// Writes what was found into the namespace's conditions. What was refused is told again when it changes.
    async fn tell(&self, namespace: &Value, name: &str, found: &Found) -> Result<(), Status> {
        let change = |now: &mut Value| meta::uid(now) == meta::uid(namespace) && found.tell(now);
        edit(&*self.loopback, &path_of(name), "/status", namespace, change).await
    }

    /// Logs each obstruction once, when it comes up.
    fn remember(&mut self, namespace: String, obstruction: Option<Obstruction>) {
        let Some(obstruction) = obstruction else {
            self.held.remove(&namespace);
            return;
        };
        if self.held.get(&namespace) == Some(&obstruction) {
            return;
        }
        match &obstruction {
            Obstruction::Object(object) => {
                tracing::info!(namespace, object, "namespace waits for the finalizers of an object");
            }
            Obstruction::Refusal { path, why } => {
                tracing::warn!(namespace, path, error = why, "empty namespace again");
            }
        }
        self.held.insert(namespace, obstruction);
    }

    async fn get(&self, path: &str) -> Result<Value, Status> {
        in_time(self.loopback.get(path)).await
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
mod tests {
    use super::*;
    use crate::fake::{self, Fake};
    use detectviz_api::condition::find;
    use detectviz_core::catalog::{GroupVersionEntry, Owner};
    use detectviz_core::health::Checks;
    use serde_json::json;

    const MAPS: &str = "/api/v1/namespaces/a/configmaps";

    async fn started(fake: &Fake) -> RunContext {
        let loopback = fake.loopback();
        loopback.create("/api/v1/namespaces", &json!({"metadata": {"name": "a"}})).await.unwrap();
        let context = RunContext::new(Arc::new(Checks::default()));
        start(&context, &loopback, &catalog());
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

    /// The built-in groups, and one that another server serves.
    fn catalog() -> Arc<Catalog> {
        let catalog = fake::catalog();
        let resources = vec![
            json!({"resource": "things", "scope": "Namespaced", "responseKind": {"kind": "Thing"}, "verbs": ["delete", "list"]}),
        ];
        let (owner, priority) = (Owner::Aggregated, (1000, 15));
        let group_version = "example.org/v1".parse().unwrap();
        let entry =
            GroupVersionEntry { group_version, owner, priority, resources, open_api: None, stale: true };
        catalog.publish(entry).unwrap();
        catalog
    }

    fn says(fake: &Fake, kind: &str, status: &str, part: &str) -> bool {
        let namespace = fake.object("/api/v1/namespaces/a").unwrap_or_default();
        find(&namespace, kind).is_some_and(|(have, _, message)| have == status && message.contains(part))
    }

    #[tokio::test]
    async fn a_namespace_waits_for_a_backend_that_is_down_and_says_so() {
        const FAILURE: &str = "NamespaceDeletionDiscoveryFailure";
        let fake = Fake::new();
        let loopback = fake.loopback();
        let context = started(&fake).await;
        let things = "/apis/example.org/v1/namespaces/a/things";
        let held = json!({"metadata": {"name": "t", "finalizers": ["mine"]}});
        loopback.create(things, &held).await.unwrap();
        loopback.create(MAPS, &json!({"metadata": {"name": "c"}})).await.unwrap();
        fake.take_down(Some("example.org"));
        loopback.delete("/api/v1/namespaces/a").await.unwrap();
        let down = "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: \
            example.org/v1: backend is down";
        fake.until(|fake| says(fake, FAILURE, "True", down)).await;
        assert!(fake.object(&format!("{MAPS}/c")).is_none(), "what can be deleted is");

        fake.take_down(None);
        fake.until(|fake| {
            says(
                fake,
                "NamespaceContentRemaining",
                "True",
                "Some resources are remaining: things.example.org has 1 resource instances",
            )
        })
        .await;
        let waits = "Some content in the namespace has finalizers remaining: mine in 1 resource instances";
        assert!(says(&fake, "NamespaceFinalizersRemaining", "True", waits));
        assert!(says(&fake, "NamespaceDeletionGroupVersionParsingFailure", "False", "All legacy kube types"));
        assert!(says(&fake, FAILURE, "False", ""));
        let mut object = fake.object(&format!("{things}/t")).unwrap();
        object["metadata"]["finalizers"] = json!([]);
        loopback.update(&format!("{things}/t"), &object).await.unwrap();
        fake.until(|fake| fake.object("/api/v1/namespaces/a").is_none()).await;
        stop(context).await;
    }

    #[test]
    fn only_namespaced_stored_resources_are_emptied() {
        let mut resources = Resources::default();
        resources.refresh(&catalog());
        let (loopback, held) = (Fake::new().loopback(), BTreeMap::new());
        let controller = Controller { loopback, catalog: catalog(), resources, held };
        let names: Vec<_> = controller.collections().into_iter().map(|served| served.resource).collect();
        assert_eq!(
            names,
            [
                "pods",
                "configmaps",
                "secrets",
                "serviceaccounts",
                "services",
                "endpoints",
                "resourcequotas",
                "limitranges",
                "events",
                "podtemplates",
                "leases",
                "datasources",
                "endpointslices",
                "things",
                "externalnames"
            ]
        );
    }
}
