//! The built-in groups on the real REST engine, over a store in memory: definitions, strategies, admission and
//! controllers together, as a client meets them.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use async_trait::async_trait;
use detectviz_api::{Identity, Reason, RequestInfo, Status, condition};
use detectviz_auth::authorize::SystemMasters;
use detectviz_controlplane::{
    NamespaceLifecycle, Obstacles, Reviewers, Strategies, Upkeep, definitions, start_controllers,
};
use detectviz_core::delegate::End;
use detectviz_core::edition::Obstacle;
use detectviz_core::health::Checks;
use detectviz_core::http::{Body, Request, Response};
use detectviz_core::metrics::Metrics;
use detectviz_core::{Catalog, Context, Delegate, Leadership, Loopback, RunContext};
use detectviz_server::Installer;
use detectviz_server::admission::AdmissionChain;
use detectviz_server::{Backend, Link};
use detectviz_storage::cache::{Cache, CacheOptions};
use detectviz_storage::memory::Memory;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A server without its listener and its chain.
struct Server {
    link: Arc<dyn Delegate>,
    cache: Arc<Cache>,
    context: RunContext,
}

#[async_trait]
impl Loopback for Server {
    async fn send(&self, request: Request) -> Response {
        let outcome = async {
            let info = RequestInfo::parse(request.method(), request.uri().path(), request.uri().query())?;
            let handler = self.link.route(&info).ok_or_else(Status::no_such_path)?;
            handler.handle(Arc::new(Context { info, identity: Identity::loopback().into() }), request).await
        };
        outcome.await.unwrap_or_else(|status: Status| {
            http::Response::builder().status(status.code).body(Body::full(status.to_json())).unwrap()
        })
    }
}

impl Server {
    async fn start(obstacles: Obstacles) -> Arc<Self> {
        Self::led(obstacles, Leadership::alone()).await
    }

    async fn led(obstacles: Obstacles, leadership: Leadership) -> Arc<Self> {
        let store = Memory::new();
        let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
        let context = RunContext::new(Arc::new(Checks::default())).with_leadership(leadership);
        let installer = Installer {
            backend: Backend { store, cache: Arc::clone(&cache) },
            admission: AdmissionChain::new(vec![Arc::new(NamespaceLifecycle::over(Arc::clone(&cache)))]),
            fragments: Arc::new(definitions::fragments().unwrap()),
            max_body_bytes: 3 << 20,
        };
        let catalog = Arc::new(Catalog::default());
        let reviewers = Reviewers { authenticator: Arc::default(), authorizer: Arc::new(SystemMasters) };
        let event_lifetime = Duration::from_secs(3600);
        let rules = Strategies { event_lifetime, reviewers, catalog: Arc::clone(&catalog) };
        let strategy = |group: &str, resource: &str| rules.of(group, resource);
        let resources = installer.install(&definitions::groups().unwrap(), &strategy, &catalog).unwrap();
        let link = Link::new(Arc::new(resources), Arc::new(End));
        let server = Arc::new(Self { link, cache, context });
        let metrics = Metrics::default();
        let upkeep = Upkeep { service_account: true, root_ca: Some("PEM".to_owned()), trust: None };
        let obstacles = tokio::sync::watch::Sender::new(obstacles).subscribe();
        start_controllers(&server.context, &server.client(), &catalog, obstacles, &upkeep, &metrics);
        server
    }

    fn client(self: &Arc<Self>) -> Arc<dyn Loopback> {
        Arc::clone(self) as Arc<dyn Loopback>
    }

    /// Waits until what is at `path` (`None` when it is not found) is as `condition` says.
    async fn until(self: &Arc<Self>, path: &str, condition: impl Fn(Option<&Value>) -> bool) {
        loop {
            let seen = self.cache.applied_revision();
            match self.client().get(path).await {
                Err(refusal) if !refusal.is(Reason::NotFound) => panic!("get {path}: {refusal}"),
                answer if condition(answer.as_ref().ok()) => return,
                _ => self.cache.applied(seen + 1).await.unwrap(),
            }
        }
    }

    async fn stop(&self) {
        self.context.cancel();
        self.context.drained().await;
        self.cache.stop().await;
    }
}

/// `object` with its `apiVersion` and `kind`.
fn typed(api_version: &str, kind: &str, mut object: Value) -> Value {
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object
}

#[tokio::test]
async fn a_namespace_lives_and_goes_with_what_is_in_it() {
    let server = Server::start(Obstacles::default()).await;
    let client = server.client();
    for name in ["default", "kube-system", "kube-public"] {
        let path = format!("/api/v1/namespaces/{name}");
        server.until(&path, |namespace| namespace.is_some_and(|ns| ns["status"]["phase"] == "Active")).await;
        assert_eq!(client.delete(&path).await.unwrap_err().code, 403);
    }
    let maps = "/api/v1/namespaces/a/configmaps";
    let map = |name: &str, finalizers: Value| {
        typed("v1", "ConfigMap", json!({"metadata": {"name": name, "finalizers": finalizers}}))
    };
    assert_eq!(
        client.create(maps, &map("m", json!([]))).await.unwrap_err().message,
        "namespaces \"a\" not found"
    );

    client
        .create("/api/v1/namespaces", &typed("v1", "Namespace", json!({"metadata": {"name": "a"}})))
        .await
        .unwrap();
    client.create(maps, &map("free", json!([]))).await.unwrap();
    let mut held = client.create(maps, &map("held", json!(["example.org/hold"]))).await.unwrap();
    let mut namespace = client.get("/api/v1/namespaces/a").await.unwrap();
    namespace["spec"] = json!({});
    let namespace = client.update("/api/v1/namespaces/a", &namespace).await.unwrap();
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));

    client.delete("/api/v1/namespaces/a").await.unwrap();
    server.until(&format!("{maps}/free"), |object| object.is_none()).await;
    let refusal = client.create(maps, &map("late", json!([]))).await.unwrap_err();
    assert_eq!(refusal.details.unwrap().causes[0].reason, "NamespaceTerminating");
    server
        .until(&format!("{maps}/held"), |object| {
            object.is_some_and(|object| object["metadata"]["deletionTimestamp"].is_string())
        })
        .await;
    server
        .until("/api/v1/namespaces/a", |namespace| {
            let found = namespace.and_then(|ns| condition::find(ns, "NamespaceFinalizersRemaining"));
            found.is_some_and(|(status, reason, message)| {
                (status, reason) == ("True", "SomeFinalizersRemain")
                    && message.contains("example.org/hold in 1 resource instances")
            })
        })
        .await;
    let waiting = client.get("/api/v1/namespaces/a").await.unwrap();
    assert_eq!(waiting["status"]["phase"], "Terminating");
    let remaining = condition::find(&waiting, "NamespaceContentRemaining").unwrap();
    assert_eq!(
        remaining,
        ("True", "SomeResourcesRemain", "Some resources are remaining: configmaps. has 1 resource instances")
    );
    held["metadata"]["finalizers"] = json!([]);
    held["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    client.update(&format!("{maps}/held"), &held).await.unwrap();
    server.until("/api/v1/namespaces/a", |namespace| namespace.is_none()).await;
    server.stop().await;
}

#[tokio::test]
async fn apiservices_say_who_serves_what() {
    let toggle = "kubernetesAggregator";
    let aggregator = Some(Obstacle::ToggleOff { toggle });
    let dataplane = Some(Obstacle::NotInEdition { edition: "oss", name: "dataplane" });
    let server = Server::start(Obstacles { aggregator, dataplane }).await;
    let client = server.client();
    let services = "/apis/apiregistration.k8s.io/v1/apiservices";
    for name in ["v1.", "v1.apiregistration.k8s.io", "v0alpha1.service.grafana.app"] {
        let local = |object: Option<&Value>| {
            object
                .and_then(|object| condition::find(object, "Available"))
                .map(|(status, reason, _)| (status, reason))
                == Some(("True", "Local"))
        };
        server.until(&format!("{services}/{name}"), local).await;
    }
    let remote = json!({"metadata": {"name": "v1.example.org"}, "spec": {"group": "example.org", "version": "v1",
        "groupPriorityMinimum": 1000, "versionPriority": 15, "service": {"namespace": "default", "name": "x"}}});
    let created =
        client.create(services, &typed("apiregistration.k8s.io/v1", "APIService", remote)).await.unwrap();
    assert_eq!(created["spec"]["service"]["port"], 443);
    let says = |wanted: &'static str| {
        move |object: Option<&Value>| {
            object
                .and_then(|object| condition::find(object, "Available"))
                .is_some_and(|(status, reason, _)| (status, reason) == ("False", wanted))
        }
    };
    server.until(&format!("{services}/v1.example.org"), says("AggregatorDisabled")).await;
    let plugin = json!({"metadata": {"name": "v1.p"}, "spec": {"pluginID": "p", "pluginType": "datasource",
        "group": "p", "version": "v1"}});
    let plugins = "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices";
    client
        .create(plugins, &typed("aggregation.grafana.app/v0alpha1", "DataPlaneService", plugin))
        .await
        .unwrap();
    server.until(&format!("{plugins}/v1.p"), says("DataplaneNotInEdition")).await;
    server.stop().await;
}

#[tokio::test]
async fn on_a_shared_store_controllers_write_under_the_lease_and_give_it_up() {
    let server = Server::led(Obstacles::default(), Leadership::elected()).await;
    let client = server.client();
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/detectviz-controllers";
    let core = "/apis/apiregistration.k8s.io/v1/apiservices/v1.";
    server.until(core, |service| service.is_some_and(|it| condition::find(it, "Available").is_some())).await;
    let held = client.get(lease).await.unwrap();
    let spec = &held["spec"];
    assert!(spec["holderIdentity"].as_str().is_some_and(|holder| holder.contains('_')), "{spec}");
    assert_eq!((&spec["leaseDurationSeconds"], &spec["leaseTransitions"]), (&json!(15), &json!(0)));
    server.context.cancel();
    server.context.drained().await;
    assert_eq!(client.get(lease).await.unwrap()["spec"]["holderIdentity"], "");
    server.cache.stop().await;
}

#[tokio::test]
async fn the_rules_of_each_kind_hold() {
    let server = Server::start(Obstacles::default()).await;
    let client = server.client();
    server.until("/api/v1/namespaces/default", |namespace| namespace.is_some()).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let plain = json!({"metadata": {"name": "s"}, "stringData": {"a": "x"}});
    let secret = client.create(secrets, &typed("v1", "Secret", plain)).await.unwrap();
    assert_eq!((&secret["data"], &secret["type"]), (&json!({"a": "eA=="}), &json!("Opaque")));
    assert!(secret.get("stringData").is_none());

    let check = async |path: &str, api_version: &str, kind: &str, object: Value, field: &str| {
        let object = typed(api_version, kind, object);
        let refusal = client.create(path, &object).await.unwrap_err();
        assert_eq!((refusal.code, &*refusal.details.unwrap().causes[0].field), (422, field), "{object}");
    };
    check(
        secrets,
        "v1",
        "Secret",
        json!({"metadata": {"name": "t"}, "type": "kubernetes.io/tls"}),
        "data[tls.crt]",
    )
    .await;
    // What Go would not decode is no object of the kind at all.
    let unreadable = async |path: &str, api_version: &str, kind: &str, object: Value, why: &str| {
        let refusal = client.create(path, &typed(api_version, kind, object)).await.unwrap_err();
        assert!(refusal.code == 400 && refusal.message.contains(why), "{refusal}");
    };
    let junk = json!({"metadata": {"name": "t"}, "data": {"a": "?"}});
    unreadable(secrets, "v1", "Secret", junk, "a Secret: illegal base64 data at input byte 0").await;
    let maps = "/api/v1/namespaces/default/configmaps";
    check(maps, "v1", "ConfigMap", json!({"metadata": {"name": "m"}, "data": {"a b": ""}}), "data[a b]")
        .await;
    let names = "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames";
    check(
        names,
        "service.grafana.app/v0alpha1",
        "ExternalName",
        json!({"metadata": {"name": "n"}, "spec": {"host": "http://x"}}),
        "spec.host",
    )
    .await;
    let sources = "/apis/datasource.detectviz.io/v0alpha1/namespaces/default/datasources";
    check(
        sources,
        "datasource.detectviz.io/v0alpha1",
        "DataSource",
        json!({"metadata": {"name": "d"}, "spec": {"type": "t", "url": "x:1"}}),
        "spec.url",
    )
    .await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0}});
    check(leases, "coordination.k8s.io/v1", "Lease", lease, "spec.leaseDurationSeconds").await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"renewTime": "yesterday"}});
    unreadable(leases, "coordination.k8s.io/v1", "Lease", lease, "a Lease: parsing time \"yesterday\" as")
        .await;
    let events = "/api/v1/namespaces/default/events";
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "other"}});
    check(events, "v1", "Event", event, "involvedObject.namespace").await;
    check("/api/v1/namespaces", "v1", "Namespace", json!({"metadata": {"name": "a.b"}}), "metadata.name")
        .await;
    server.stop().await;
}
