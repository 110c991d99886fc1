//! A configured and running runner, and what a test does with it: declare objects, wait, send requests.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use detectviz_aggregator::Runner;
use detectviz_api::{Identity, RequestInfo, Status, condition};
use detectviz_core::catalog::DiscoveryVersion;
use detectviz_core::health::{Checks, Kind};
use detectviz_core::http::{Body, Request, Response};
use detectviz_core::metrics::Metrics;
use detectviz_core::options::{AggregatorOptions, Options, StorageKind};
use detectviz_core::toggles::Toggles;
use detectviz_core::{
    Catalog, Context, Delegate, Handler, Leadership, RunContext, Runner as _, Setup, Stopped,
};
use http::{Method, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::memory::{API_SERVICES, EXTERNAL_NAMES, Memory};

/// Long enough that only a hang reaches it.
pub(crate) const HANG: Duration = Duration::from_secs(60);
pub(crate) const NAME: &str = "v1.example.detectviz.io";
pub(crate) const ROOT: &str = "/apis/example.detectviz.io/v1";
pub(crate) const FLIGHTS: &str = "/apis/example.detectviz.io/v1/namespaces/default/flights";

/// A CA.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes `NAME.crt` and `NAME.key`, for the common name and the DNS names.
    pub(crate) fn issue(&self, folder: &Path, name: &str, dns: &[&str]) -> (PathBuf, PathBuf) {
        let names = dns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let files = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        std::fs::write(&files.0, params.signed_by(&key, &self.0).unwrap().pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

pub(crate) struct World {
    pub(crate) memory: Arc<Memory>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) context: RunContext,
    pub(crate) stopped: mpsc::Receiver<(&'static str, Result<(), String>)>,
    checks: Arc<Checks>,
    link: Arc<dyn Delegate>,
}

impl World {
    /// Runs the aggregator over what `memory` holds, with this client certificate; `listener` is "our own" address.
    pub(crate) async fn start(
        memory: Memory,
        client: (PathBuf, PathBuf),
        listener: SocketAddr,
        catalog: Catalog,
    ) -> Self {
        Self::led(memory, client, listener, catalog, Leadership::alone()).await
    }

    /// The same on a server whose part among others `leadership` says.
    pub(crate) async fn led(
        memory: Memory,
        client: (PathBuf, PathBuf),
        listener: SocketAddr,
        catalog: Catalog,
        leadership: Leadership,
    ) -> Self {
        let (memory, catalog, metrics) = (Arc::new(memory), Arc::new(catalog), Arc::new(Metrics::default()));
        let options = Arc::new(options(client));
        let setup = Setup::new(options, Arc::default(), Arc::clone(&catalog), Arc::clone(&metrics), listener);
        let runner = Runner::default();
        let link = runner.configure(setup, Arc::new(Next)).await.unwrap();
        let checks = Arc::new(Checks::default());
        let context = RunContext::new(Arc::clone(&checks)).with_leadership(leadership).child();
        let (report, stopped) = mpsc::channel(1);
        let stops = Stopped::new("aggregator", report);
        runner.run(context.clone(), Arc::clone(&memory) as _, stops).await.unwrap();
        Self { memory, catalog, metrics, context, stopped, checks, link }
    }

    /// Waits for the condition of the APIService of flights to be `status` for `reason`, and returns its message.
    pub(crate) async fn until(&self, status: &str, reason: &str) -> String {
        let mut last = None;
        let wait = async {
            loop {
                let object = self.memory.get(API_SERVICES, NAME).unwrap();
                last = condition::find(&object, "Available")
                    .map(|(status, reason, message)| [status, reason, message].map(str::to_owned));
                match &last {
                    Some([is, why, message]) if is == status && why == reason => break message.clone(),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let found = tokio::time::timeout(HANG, wait).await;
        found.unwrap_or_else(|_| panic!("the condition should become {status} {reason}, but is {last:?}"))
    }

    pub(crate) async fn eventually(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(HANG, wait).await.unwrap_or_else(|_| panic!("{what}"));
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.checks.run(Kind::Ready).iter().all(|outcome| outcome.result.is_ok())
    }

    /// The version's entry in aggregated discovery.
    pub(crate) fn discovery(&self) -> Value {
        let document = self.catalog.snapshot().aggregated_groups(DiscoveryVersion::V2).bytes.clone();
        let document: Value = serde_json::from_slice(&document).unwrap();
        document["items"][0]["versions"][0].clone()
    }

    /// Sends a request as `jane` of `groups` and returns the answer's head with an open body.
    pub(crate) async fn open(&self, request: Request, groups: &[&str]) -> Result<Response, Status> {
        let (path, query) = (request.uri().path().to_owned(), request.uri().query().map(str::to_owned));
        let info = RequestInfo::parse(request.method(), &path, query.as_deref()).unwrap();
        let handler = self.link.route(&info).unwrap();
        let identity = Identity::authenticated("jane", groups.iter().map(|group| (*group).to_owned()));
        let answer = handler.handle(Arc::new(Context { info, identity: identity.into() }), request);
        tokio::time::timeout(HANG, answer).await.expect("an answer")
    }

    /// The JSON answer to a request as a master.
    pub(crate) async fn send(&self, request: Request) -> Result<(StatusCode, Value), Status> {
        let answer = self.open(request, &["system:masters"]).await?;
        let code = answer.status();
        let body = answer.into_body().collect(1 << 20).await.unwrap();
        Ok((code, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// The next link of the chain: answers everything with 418.
struct Next;

struct Teapot;

impl Delegate for Next {
    fn route(&self, _: &RequestInfo) -> Option<Arc<dyn Handler>> {
        Some(Arc::new(Teapot))
    }
}

#[async_trait]
impl Handler for Teapot {
    async fn handle(&self, _: Arc<Context>, _: Request) -> Result<Response, Status> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        Ok(response)
    }
}

fn options((proxy_client_cert_file, proxy_client_key_file): (PathBuf, PathBuf)) -> Options {
    let availability_interval = Duration::from_millis(50);
    Options {
        data_dir: PathBuf::new(),
        bind_address: [127, 0, 0, 1].into(),
        secure_port: 0,
        storage: StorageKind::Memory,
        etcd: Default::default(),
        plugin_dir: PathBuf::new(),
        events: Default::default(),
        controllers: Default::default(),
        batteries: Default::default(),
        log: Default::default(),
        auth: Default::default(),
        tls: Default::default(),
        limits: Default::default(),
        egress: Default::default(),
        aggregator: AggregatorOptions {
            proxy_client_cert_file,
            proxy_client_key_file,
            availability_interval,
            ..AggregatorOptions::default()
        },
        dataplane: Default::default(),
        toggles: Toggles::default(),
    }
}

pub(crate) fn get(path: &str) -> Request {
    request(Method::GET, path, "")
}

pub(crate) fn request(method: Method, path: &str, body: &str) -> Request {
    let builder = http::Request::builder().method(method).uri(path);
    builder.header("content-type", "application/json").body(Body::full(body.to_owned())).unwrap()
}

pub(crate) fn external_name(host: &str) -> Value {
    json!({"metadata": {"name": "flights", "namespace": "default"}, "spec": {"host": host}})
}

pub(crate) fn api_service(port: u16, ca_pem: &str) -> Value {
    json!({
        "metadata": {"name": NAME},
        "spec": {
            "group": "example.detectviz.io", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
            "service": {"namespace": "default", "name": "flights", "port": port}, "caBundle": STANDARD.encode(ca_pem),
        },
    })
}

/// Both objects that register a backend on this machine.
pub(crate) fn registered(port: u16, ca_pem: &str) -> Memory {
    let memory = Memory::default();
    memory.put(EXTERNAL_NAMES, external_name("127.0.0.1"));
    memory.put(API_SERVICES, api_service(port, ca_pem));
    memory
}

/// An address that is nobody's, for tests in which "our own listener" does not matter.
pub(crate) fn elsewhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}
