//! Servers that are away: a namespace waits for those alone that may have objects in it.

use super::*;
use crate::controllers::garbage;
use detectviz_api::timestamp;

const THINGS: &str = "/apis/example.org/v1/namespaces/a/things";
const FAILURE: &str = "NamespaceDeletionDiscoveryFailure";
const SERVICE: &str = "v1.example.org";

fn watched() -> Arc<Catalog> {
    let catalog = catalog();
    let resources =
        vec![json!({"resource": "things", "scope": "Namespaced", "responseKind": {"kind": "Thing"},
        "verbs": ["delete", "list", "watch"]})];
    publish(&catalog, resources);
    catalog
}

fn publish(catalog: &Catalog, resources: Vec<Value>) {
    let (owner, group_version) = (Owner::Aggregated, "example.org/v1".parse().unwrap());
    let priority = (1000, 15);
    let entry = GroupVersionEntry { group_version, owner, priority, resources, open_api: None, stale: true };
    catalog.publish(entry).unwrap();
}

struct World {
    fake: Fake,
    context: RunContext,
    ledger: Ledger,
}

impl World {
    async fn start(catalog: &Arc<Catalog>) -> Self {
        let fake = Fake::new();
        let loopback = fake.loopback();
        for name in ["a", "b"] {
            loopback.create("/api/v1/namespaces", &namespace(name)).await.unwrap();
        }
        let context = RunContext::new(Arc::new(Checks::default()));
        let namespaces = Informer::start(&context, Arc::clone(&loopback), "/api/v1/namespaces");
        let ledger = garbage::start(&context, &loopback, catalog);
        start(&context, &loopback, catalog, &namespaces, ledger.clone());
        Self { fake, context, ledger }
    }

    /// Waits until it is known whether `namespace` has things.
    async fn knows(&self, namespace: &str, holds: garbage::Holds) {
        let mut resources = Resources::default();
        resources.refresh(&watched());
        let mut collections = empty::collections(&resources).into_iter();
        let things = collections.find(|served| served.resource == "things").unwrap();
        while self.ledger.holds(&things, namespace) != holds {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    async fn delete(&self, namespace: &str) {
        self.fake.loopback().delete(&format!("/api/v1/namespaces/{namespace}")).await.unwrap();
    }

    async fn goes(&self, namespace: &str) {
        let path = format!("/api/v1/namespaces/{namespace}");
        self.fake.until(|fake| fake.object(&path).is_none()).await;
    }

    async fn waits_for_the_server(&self) {
        self.fake.until(|fake| says(fake, FAILURE, "True", &format!("(APIService {SERVICE})"))).await;
    }

    async fn stop(self) {
        stop(self.context).await;
    }
}

fn namespace(name: &str) -> Value {
    json!({"metadata": {"name": name, "creationTimestamp": timestamp::now()}})
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_where_it_had_objects_and_nowhere_else() {
    let world = World::start(&watched()).await;
    world.fake.loopback().create(THINGS, &json!({"metadata": {"name": "t"}})).await.unwrap();
    world.knows("a", garbage::Holds::Some).await;
    world.knows("b", garbage::Holds::None).await;
    world.fake.take_down(Some("example.org"));
    world.delete("a").await;
    world.delete("b").await;
    world.goes("b").await;
    world.waits_for_the_server().await;
    world.fake.take_down(None);
    world.goes("a").await;
    world.stop().await;
}

#[tokio::test]
async fn what_was_sent_there_counts_even_if_it_was_not_seen() {
    let catalog = watched();
    let world = World::start(&catalog).await;
    world.knows("a", garbage::Holds::None).await;
    catalog.note_write(&"example.org/v1".parse().unwrap(), "a");
    world.fake.take_down(Some("example.org"));
    world.delete("a").await;
    world.waits_for_the_server().await;
    world.fake.take_down(None);
    world.goes("a").await;
    assert!(!catalog.was_written(&"example.org/v1".parse().unwrap(), "a"), "the namespace is gone");
    world.stop().await;
}

async fn away_since(fake: &Fake, time: &str) {
    let service = json!({
        "metadata": {"name": SERVICE},
        "spec": {"group": "example.org", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
            "service": {"namespace": "x", "name": "y"}},
    });
    let loopback = fake.loopback();
    let mut made = loopback.create(apiservices::COLLECTION, &service).await.unwrap();
    made["status"] =
        json!({"conditions": [{"type": "Available", "status": "False", "lastTransitionTime": time}]});
    loopback.update(&format!("{}/{SERVICE}/status", apiservices::COLLECTION), &made).await.unwrap();
}

#[tokio::test]
async fn a_server_that_was_never_seen_is_waited_for_unless_it_was_away_all_the_time() {
    for (since, waits) in [("2000-01-01T00:00:00Z", false), ("2999-01-01T00:00:00Z", true)] {
        let catalog = catalog();
        publish(&catalog, Vec::new());
        let world = World::start(&catalog).await;
        away_since(&world.fake, since).await;
        world.fake.take_down(Some("example.org"));
        world.delete("a").await;
        if waits {
            world.waits_for_the_server().await;
        } else {
            world.goes("a").await;
        }
        world.stop().await;
    }
}
