//! The runner in its place: a link in front of nothing, a context, and the fake API behind the loopback.

use std::sync::Arc;
use std::time::Duration;

use detectviz_api::condition;
use detectviz_api::definition::Definition;
use detectviz_api::{Identity, RequestInfo, Status};
use detectviz_core::delegate::End;
use detectviz_core::health::{Checks, Kind};
use detectviz_core::http::Body;
use detectviz_core::metrics::Metrics;
use detectviz_core::{
    ApiGroupBuilder, Catalog, Context, Delegate, Leadership, Options, RunContext, Runner as _, Setup, Stopped,
};
use detectviz_dataplane::Runner;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::api::{Api, service_path};
use crate::patiently;

/// No condition here takes longer, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Platform {
    pub(crate) api: Arc<Api>,
    link: Arc<dyn Delegate>,
    context: RunContext,
    metrics: Arc<Metrics>,
    reports: mpsc::Receiver<(&'static str, Result<(), String>)>,
}

impl Platform {
    /// Configures and runs a runner, and waits until it is ready.
    pub(crate) async fn start(api: Api, options: Options) -> Self {
        Self::led(api, options, Leadership::alone()).await
    }

    /// The same on a server whose part among others `leadership` says.
    pub(crate) async fn led(api: Api, options: Options, leadership: Leadership) -> Self {
        let (api, metrics, checks) =
            (Arc::new(api), Arc::new(Metrics::default()), Arc::new(Checks::default()));
        let context = RunContext::new(Arc::clone(&checks)).with_leadership(leadership);
        let groups = Arc::new([local_group()]);
        let listener = ([127, 0, 0, 1], 1).into();
        let setup = Setup::new(
            Arc::new(options),
            groups,
            Arc::new(Catalog::default()),
            Arc::clone(&metrics),
            listener,
        );
        let runner = Runner::default();
        let link = runner.configure(setup, Arc::new(End)).await.unwrap();
        let (report, reports) = mpsc::channel(1);
        let stopped = Stopped::new("dataplane", report);
        runner.run(context.clone(), Arc::clone(&api) as _, stopped).await.unwrap();
        let platform = Self { api, link, context, metrics, reports };
        let is_ready = || checks.run(Kind::Ready).iter().all(|outcome| outcome.result.is_ok());
        assert!(
            checks
                .run(Kind::Ready)
                .iter()
                .any(|check| check.name == "poststarthook/dataplane-service-registration")
        );
        platform.until(is_ready).await;
        platform
    }

    /// Posts a request, with headers that no plugin may ever see.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Result<Value, Status> {
        let info = RequestInfo::parse(&Method::POST, path, None).unwrap();
        let handler = self.link.route(&info).ok_or_else(crate::no_route)?;
        let request = http::Request::post(path)
            .header("authorization", "Bearer client-secret")
            .header("cookie", "grafana_session=client-secret")
            .header("x-grafana-id", "client-secret")
            .header("x-custom", "client-secret")
            .body(Body::full(body.to_string()))
            .unwrap();
        let context = Arc::new(Context { info, identity: Identity::authenticated("jo", []).into() });
        let response = patiently("an answer", handler.handle(context, request)).await?;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        Ok(serde_json::from_slice(&response.into_body().collect(usize::MAX).await.unwrap()).unwrap())
    }

    /// Whether the runner takes the path.
    pub(crate) fn routes(&self, path: &str) -> bool {
        self.link.route(&RequestInfo::parse(&Method::POST, path, None).unwrap()).is_some()
    }

    pub(crate) async fn available(&self, service: &str) {
        self.condition(service, "True", "Passed", "").await;
    }

    /// Waits until a service's condition reads like this.
    pub(crate) async fn condition(&self, service: &str, status: &str, reason: &str, words: &str) {
        let is_so = || {
            let object = self.api.get(&service_path(service)).unwrap_or(json!({}));
            let found = condition::find(&object, "Available");
            found.is_some_and(|found| found.0 == status && found.1 == reason && found.2.contains(words))
        };
        let seen = async {
            while !is_so() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            panic!(
                "{service} is not {status} {reason} {words:?}: {:?}",
                self.api.get(&service_path(service))
            );
        }
    }

    pub(crate) async fn until(&self, holds: impl Fn() -> bool) {
        patiently("a condition", async {
            while !holds() {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(crate) fn metrics(&self) -> String {
        self.metrics.render()
    }

    /// Ends everything as the server does, and waits for the runner's own word.
    pub(crate) async fn stop(mut self) {
        self.context.cancel();
        patiently("the tasks", self.context.drained()).await;
        assert_eq!(self.reports.recv().await, Some(("dataplane", Ok(()))));
    }
}

/// A group-version that this server serves itself.
fn local_group() -> ApiGroupBuilder {
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let definition = json!({
        "group": "local.test",
        "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
        "scope": "Namespaced",
        "versions": [{"name": "v0alpha1", "served": true, "storage": true, "schema": schema}],
    });
    let definition: Definition = serde_json::from_value(definition).unwrap();
    ApiGroupBuilder { group: "local.test".to_owned(), priority: 1, definitions: vec![Arc::new(definition)] }
}
