use super::*;
use crate::controllers::apiservices;
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
    let namespaces = Informer::start(&context, Arc::clone(&loopback), "/api/v1/namespaces");
    start(&context, &loopback, &catalog(), &namespaces, Ledger::default());
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
    loopback.create(sources, &json!({"metadata": {"name": "a b?"}, "spec": {"type": "t"}})).await.unwrap();
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
    let entry = GroupVersionEntry { group_version, owner, priority, resources, open_api: None, stale: true };
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

#[tokio::test]
async fn a_backend_that_does_not_answer_holds_up_no_other_namespace() {
    let fake = Fake::new();
    let loopback = fake.loopback();
    let context = started(&fake).await;
    let other = "/api/v1/namespaces/b/configmaps";
    loopback.create("/api/v1/namespaces", &json!({"metadata": {"name": "b"}})).await.unwrap();
    for maps in [MAPS, other] {
        loopback.create(maps, &json!({"metadata": {"name": "c"}})).await.unwrap();
    }
    fake.silence("example.org");
    loopback.delete("/api/v1/namespaces/a").await.unwrap();
    fake.until(|fake| fake.paths_in("a").is_empty()).await;
    loopback.delete("/api/v1/namespaces/b").await.unwrap();
    fake.until(|fake| fake.paths_in("b").is_empty()).await;
    assert_eq!(fake.given_up(), 0, "nobody waited for the backend's time to be over");
    stop(context).await;
}

#[tokio::test]
async fn what_is_made_while_the_rest_is_deleted_goes_too() {
    let fake = Fake::new();
    let context = started(&fake).await;
    fake.make_late(MAPS, json!({"metadata": {"name": "late"}}));
    fake.loopback().delete("/api/v1/namespaces/a").await.unwrap();
    fake.until(|fake| fake.object("/api/v1/namespaces/a").is_none()).await;
    assert_eq!(fake.paths_in("a"), Vec::<String>::new());
    stop(context).await;
}

#[test]
fn only_namespaced_stored_resources_are_emptied() {
    let mut resources = Resources::default();
    resources.refresh(&catalog());
    let names: Vec<_> = empty::collections(&resources).into_iter().map(|served| served.resource).collect();
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

mod away;
