use super::*;
use crate::fake::{self, Fake};
use detectviz_api::meta;
use detectviz_core::catalog::{GroupVersionEntry, Owner};
use detectviz_core::health::Checks;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";
const THINGS: &str = "/apis/example.org/v1/namespaces/a/things";

/// The built-in groups, and one that another server serves.
fn catalog() -> Arc<Catalog> {
    let catalog = fake::catalog();
    let resources =
        vec![json!({"resource": "things", "scope": "Namespaced", "responseKind": {"kind": "Thing"},
        "verbs": ["delete", "get", "list", "patch", "watch"]})];
    let entry = GroupVersionEntry {
        group_version: "example.org/v1".parse().unwrap(),
        owner: Owner::Aggregated,
        priority: (1000, 15),
        resources,
        open_api: None,
        stale: false,
    };
    catalog.publish(entry).unwrap();
    catalog
}

struct Cluster {
    fake: Fake,
    context: RunContext,
}

impl Cluster {
    /// A server with the namespaces `a` and `b`, and its collector.
    fn start() -> Self {
        let cluster = Self { fake: Fake::new(), context: RunContext::new(Arc::new(Checks::default())) };
        start(&cluster.context, &cluster.fake.loopback(), &catalog());
        cluster
    }

    async fn create(&self, collection: &str, name: &str, owners: &[Value]) -> Value {
        let object = json!({"metadata": {"name": name, "ownerReferences": owners}});
        self.fake.loopback().create(collection, &object).await.unwrap()
    }

    async fn map(&self, name: &str, owners: &[Value]) -> Value {
        self.create(MAPS, name, owners).await
    }

    async fn delete(&self, path: &str, policy: &str) {
        let options = json!({"propagationPolicy": policy}).to_string();
        let request = http::Request::delete(path).body(detectviz_core::http::Body::full(options)).unwrap();
        assert!(self.fake.loopback().send(request).await.status().is_success(), "{path}");
    }

    fn has(&self, path: &str) -> bool {
        self.fake.object(path).is_some()
    }

    async fn until_gone(&self, path: &str) {
        self.fake.until(|fake| fake.object(path).is_none()).await;
    }

    async fn stop(self) {
        self.context.cancel();
        self.context.drained().await;
    }
}

/// A reference to a config map.
fn to(owner: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": meta::name(owner), "uid": meta::uid(owner)})
}

fn blocking(owner: &Value) -> Value {
    let mut reference = to(owner);
    reference["blockOwnerDeletion"] = true.into();
    reference
}

fn at(name: &str) -> String {
    format!("{MAPS}/{name}")
}

async fn change(cluster: &Cluster, path: &str, change: impl FnOnce(&mut Value)) {
    let mut object = cluster.fake.object(path).unwrap();
    change(&mut object);
    cluster.fake.loopback().update(path, &object).await.unwrap();
}

#[tokio::test]
async fn what_depends_on_nothing_that_is_left_goes_and_all_else_stays() {
    let cluster = Cluster::start();
    let root = cluster.map("root", &[]).await;
    let child = cluster.map("child", &[to(&root)]).await;
    cluster.map("grandchild", &[to(&child)]).await;
    let other = cluster.map("other", &[]).await;
    cluster.map("shared", &[to(&root), to(&other)]).await;
    cluster.map("theirs", &[to(&other)]).await;
    cluster.delete(&at("root"), "Background").await;
    cluster.until_gone(&at("grandchild")).await;
    // Of the shared one only the reference to what is gone goes.
    cluster
        .fake
        .until(|fake| {
            let owners = fake.object(&at("shared")).unwrap()["metadata"]["ownerReferences"].clone();
            owners == json!([to(&other)])
        })
        .await;
    assert!(!cluster.has(&at("child")) && cluster.has(&at("other")) && cluster.has(&at("theirs")));
    cluster.stop().await;
}

#[tokio::test]
async fn an_owner_that_never_was_and_a_name_that_was_given_anew_keep_nothing() {
    let cluster = Cluster::start();
    let new = cluster.map("owner", &[]).await;
    let mut old = to(&new);
    old["uid"] = "of another".into();
    cluster.map("left", &[old]).await;
    let never = json!({"apiVersion": "v1", "kind": "Secret", "name": "never", "uid": "u"});
    cluster.map("lost", &[never]).await;
    cluster.until_gone(&at("left")).await;
    cluster.until_gone(&at("lost")).await;
    assert!(cluster.has(&at("owner")));
    cluster.stop().await;
}

#[tokio::test]
async fn in_the_foreground_an_owner_waits_for_those_that_block_it() {
    let cluster = Cluster::start();
    let root = cluster.map("root", &[]).await;
    let child = cluster.map("child", &[blocking(&root)]).await;
    cluster.map("grandchild", &[blocking(&child)]).await;
    cluster.map("free", &[to(&root)]).await;
    change(&cluster, &at("grandchild"), |object| object["metadata"]["finalizers"] = json!(["mine"])).await;
    cluster.delete(&at("root"), "Foreground").await;
    let is_going =
        |name: &'static str| move |fake: &Fake| fake.object(&at(name)).is_some_and(|o| meta::is_deleting(&o));
    cluster.fake.until(is_going("grandchild")).await;
    cluster.until_gone(&at("free")).await;
    assert!(
        cluster.has(&at("root")) && is_going("child")(&cluster.fake),
        "they wait for the last of the line"
    );
    change(&cluster, &at("grandchild"), |object| object["metadata"]["finalizers"] = json!([])).await;
    cluster.until_gone(&at("root")).await;
    assert!(!cluster.has(&at("child")) && !cluster.has(&at("grandchild")));
    cluster.stop().await;
}

#[tokio::test]
async fn a_circle_goes_as_a_whole_whoever_blocks_whom() {
    for policy in ["Background", "Foreground"] {
        let cluster = Cluster::start();
        let first = cluster.map("c0", &[]).await;
        let mut before = first.clone();
        for number in 1..4 {
            before = cluster.map(&format!("c{number}"), &[blocking(&before)]).await;
        }
        change(&cluster, &at("c0"), |object| {
            object["metadata"]["ownerReferences"] = json!([blocking(&before)])
        })
        .await;
        let own = cluster.map("own", &[]).await;
        change(&cluster, &at("own"), |object| {
            object["metadata"]["ownerReferences"] = json!([blocking(&own)])
        })
        .await;
        cluster.delete(&at("c2"), policy).await;
        cluster.delete(&at("own"), policy).await;
        cluster.fake.until(|fake| fake.paths_in("a").is_empty()).await;
        cluster.stop().await;
    }
}

#[tokio::test]
async fn orphans_live_on_without_their_owner() {
    let cluster = Cluster::start();
    let root = cluster.map("root", &[]).await;
    let other = cluster.map("other", &[]).await;
    cluster.map("child", &[blocking(&root)]).await;
    cluster.map("shared", &[to(&root), blocking(&other)]).await;
    // Two writes of the collector fail, and are made again.
    cluster.delete(&at("root"), "Orphan").await;
    cluster.fake.fail_next(2);
    cluster.until_gone(&at("root")).await;
    let owners = |name: &str| cluster.fake.object(&at(name)).unwrap()["metadata"]["ownerReferences"].clone();
    assert_eq!((owners("child"), owners("shared")), (Value::Null, json!([blocking(&other)])));
    cluster.stop().await;
}

#[tokio::test]
async fn an_owner_in_another_namespace_is_none_and_people_are_told() {
    let cluster = Cluster::start();
    let there = cluster.create("/api/v1/namespaces/b/configmaps", "there", &[]).await;
    cluster.map("here", &[to(&there)]).await;
    cluster.until_gone(&at("here")).await;
    cluster.fake.until(|fake| fake.paths_in("a").iter().any(|path| path.starts_with("events/"))).await;
    let events = cluster.fake.view("/api/v1/namespaces/a/events");
    let (_, event) = events.iter().next().unwrap();
    assert_eq!(event["reason"], "OwnerRefInvalidNamespace");
    assert!(event["message"].as_str().unwrap().ends_with("does not exist in namespace \"a\""));
    // A cluster-scoped object cannot say in which namespace its owner is: nothing is decided about it.
    let cluster_scoped = json!({"metadata": {"name": "c", "ownerReferences": [to(&there)]}, "spec": {}});
    cluster.fake.loopback().create("/api/v1/namespaces", &cluster_scoped).await.unwrap();
    cluster.map("late", &[to(&there)]).await;
    cluster.until_gone(&at("late")).await;
    assert!(cluster.has("/api/v1/namespaces/c") && cluster.has("/api/v1/namespaces/b/configmaps/there"));
    cluster.stop().await;
}

#[tokio::test]
async fn a_cluster_scoped_owner_keeps_what_is_in_namespaces() {
    let cluster = Cluster::start();
    let owner = json!({"metadata": {"name": "o"}, "spec": {}});
    let owner = cluster.fake.loopback().create("/api/v1/namespaces", &owner).await.unwrap();
    let reference = json!({"apiVersion": "v1", "kind": "Namespace", "name": "o", "uid": meta::uid(&owner)});
    let gone = json!({"apiVersion": "v1", "kind": "Namespace", "name": "o", "uid": "gone"});
    cluster.map("kept", std::slice::from_ref(&reference)).await;
    cluster.create("/api/v1/namespaces/b/configmaps", "kept", &[reference]).await;
    cluster.map("lost", &[gone]).await;
    cluster.until_gone(&at("lost")).await;
    assert!(cluster.has(&at("kept")) && cluster.has("/api/v1/namespaces/b/configmaps/kept"));
    cluster.stop().await;
}

#[tokio::test]
async fn while_a_server_is_away_its_objects_wait_and_no_others() {
    let cluster = Cluster::start();
    let root = cluster.map("root", &[]).await;
    let thing = cluster.create(THINGS, "thing", &[to(&root)]).await;
    cluster.map("child", &[to(&root)]).await;
    let reference =
        json!({"apiVersion": "example.org/v1", "kind": "Thing", "name": "thing", "uid": meta::uid(&thing)});
    cluster.map("of thing", &[reference]).await;
    let unserved = json!({"apiVersion": "nobody.org/v1", "kind": "Thing", "name": "x", "uid": "x"});
    cluster.map("of nobody", &[unserved]).await;
    cluster.fake.take_down(Some("example.org"));
    cluster.delete(&at("root"), "Background").await;
    cluster.until_gone(&at("child")).await;
    assert!(cluster.has(&format!("{THINGS}/thing")) && cluster.has(&at("of%20thing")));
    cluster.fake.take_down(None);
    cluster.until_gone(&at("of%20thing")).await;
    assert!(!cluster.has(&format!("{THINGS}/thing")) && cluster.has(&at("of%20nobody")));
    cluster.stop().await;
}

#[tokio::test]
async fn what_happened_while_nobody_looked_is_made_up_for() {
    let cluster = Cluster::start();
    cluster.context.cancel();
    let root = cluster.map("root", &[]).await;
    let waits = cluster.map("waits", &[]).await;
    cluster.map("child", &[to(&root)]).await;
    cluster.map("blocks", &[blocking(&waits)]).await;
    cluster.delete(&at("root"), "Background").await;
    cluster.delete(&at("waits"), "Foreground").await;
    assert!(cluster.has(&at("child")) && cluster.has(&at("waits")));
    let context = RunContext::new(Arc::new(Checks::default()));
    start(&context, &cluster.fake.loopback(), &catalog());
    cluster.fake.until(|fake| fake.paths_in("a").is_empty()).await;
    context.cancel();
    context.drained().await;
}

/// A server of which one request is seen before it is answered.
struct Watched<F>(Fake, F);

#[async_trait::async_trait]
impl<F: Fn(&Fake, &detectviz_core::http::Request) -> Option<Value> + Send + Sync> Loopback for Watched<F> {
    async fn send(&self, request: detectviz_core::http::Request) -> detectviz_core::http::Response {
        match (self.1)(&self.0, &request) {
            Some(answer) => http::Response::new(detectviz_core::http::Body::full(answer.to_string())),
            None => self.0.loopback().send(request).await,
        }
    }
}

fn collector(loopback: Arc<dyn Loopback>) -> Collector {
    let collector = Collector::new(Live::new(loopback));
    collector.live.refresh(&catalog());
    collector
}

/// Has the graph know an object as it is now.
fn know(collector: &Collector, object: &Value) -> object::Uid {
    let (api_version, kind) = ("v1".into(), "ConfigMap".into());
    let source = Source { number: 1, api_version, kind, remote: false };
    let meta: object::Meta = serde_json::from_value(object["metadata"].clone()).unwrap();
    collector.graph().seen(&source, &meta);
    object::Uid::of(meta::uid(object))
}

#[tokio::test]
async fn what_comes_to_depend_on_an_owner_that_lets_go_is_let_go_too() {
    let fake = Fake::new();
    let create = async |name: &str, owners: &[Value]| {
        let object = json!({"metadata": {"name": name, "ownerReferences": owners, "finalizers": ["orphan"]}});
        fake.loopback().create(MAPS, &object).await.unwrap()
    };
    let root = create("root", &[]).await;
    let (child, late) = (create("child", &[to(&root)]).await, create("late", &[to(&root)]).await);
    fake.loopback().delete(&at("root")).await.unwrap();
    let known = Arc::new(std::sync::OnceLock::<Arc<Collector>>::new());
    let seen = Arc::clone(&known);
    let watched = Watched(fake.clone(), move |_: &Fake, request: &detectviz_core::http::Request| {
        if request.method() == http::Method::PATCH {
            know(seen.get().unwrap(), &late);
        }
        None
    });
    let collector = Arc::new(collector(Arc::new(watched)));
    assert!(known.set(Arc::clone(&collector)).is_ok());
    let uid = know(&collector, &fake.object(&at("root")).unwrap());
    know(&collector, &child);
    collector.work(Task::Orphan(uid)).await.unwrap();
    let owners = |name: &str| fake.object(&at(name)).unwrap()["metadata"]["ownerReferences"].clone();
    assert_eq!((owners("child"), owners("late")), (Value::Null, Value::Null));
    assert!(fake.object(&at("root")).is_none());
}

#[tokio::test]
async fn an_answer_that_is_no_object_does_not_say_that_an_owner_is_gone() {
    let fake = Fake::new();
    let loopback = fake.loopback();
    let thing = loopback.create(THINGS, &json!({"metadata": {"name": "t"}})).await.unwrap();
    let reference =
        json!({"apiVersion": "example.org/v1", "kind": "Thing", "name": "t", "uid": meta::uid(&thing)});
    let child = json!({"metadata": {"name": "child", "ownerReferences": [reference]}});
    let child = loopback.create(MAPS, &child).await.unwrap();
    for answer in
        [json!({}), json!({"metadata": {"name": "t"}}), json!({"metadata": {"name": "x", "uid": "u"}})]
    {
        let watched = Watched(fake.clone(), move |_: &Fake, request: &detectviz_core::http::Request| {
            request.uri().path().contains("/things/").then(|| answer.clone())
        });
        let collector = collector(Arc::new(watched));
        let uid = know(&collector, &child);
        assert!(collector.work(Task::Collect(uid)).await.is_err());
        assert!(fake.object(&at("child")).is_some());
    }
}
