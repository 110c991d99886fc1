//! The phases, each a function. None asks which edition it is in: that is the table's to say.

use anyhow::{Context, bail};
use detectviz_api::timestamp;
use detectviz_auth::authenticate::{Authenticator, TokenTable};
use detectviz_auth::authorize::{Authorizer, OwnReviews, PublicPaths, SystemMasters, Union};
use detectviz_controlplane::definitions::{self, Extent};
use detectviz_controlplane::{ExtensionTrust, NamespaceLifecycle, Obstacles, Reviewers, Strategies, Upkeep};
use detectviz_core::delegate::{Delegate, Slot};
use detectviz_core::edition::{Obstacle, Row};
use detectviz_core::options::LimitOptions;
use detectviz_core::options::controllers::{ROOT_CA, SERVICE_ACCOUNT};
use detectviz_core::{ApiGroupBuilder, Module, Runner, Setup, Stopped};
use detectviz_extensions::Extensions;
use detectviz_server::admission::AdmissionChain;
use detectviz_server::chain::{FlowControl, FlowLimits, RequestMetrics};
use detectviz_server::endpoints::{Endpoints, MergedOpenApi, StatusPage, Version};
use detectviz_server::listener::server_config;
use detectviz_server::pki::{FRONT_PROXY_CLIENT, Pki, PkiRequest, ensure_admin_kubeconfig};
use detectviz_server::{Backend, Chain, Installer, Link, Resources};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use tokio::sync::{mpsc, watch};

use super::compose::Parts;
use crate::data_dir::DataDir;
use crate::print;

/// Who may come in, and how the server proves who it is.
pub(super) struct Auth {
    pub(super) engine: Arc<Authenticator>,
    pub(super) authorizer: Arc<dyn Authorizer>,
    pub(super) tls: Arc<rustls::ServerConfig>,
    /// The fingerprint of the CA that signs users' certificates.
    pub(super) client_ca: String,
    /// The CA that signs the serving certificate, in PEM.
    pub(super) serving_ca: String,
    /// What extension API servers must know to believe this one.
    pub(super) trust: watch::Sender<ExtensionTrust>,
}

/// Makes or loads keys and certificates, writes the administrator's kubeconfig, and reads the tokens.
pub(super) fn auth(parts: &Parts, data: &DataDir, listener: SocketAddr) -> anyhow::Result<Auth> {
    let request = serving(&parts.options.tls.serving_names, listener);
    let pki =
        Pki::load_or_create(&parts.options.pki_dir(), &request).context("make or load the certificates")?;
    let url = format!("https://{}", reachable(listener));
    ensure_admin_kubeconfig(&data.admin_kubeconfig(), &pki, &url)
        .context("write the administrator's kubeconfig")?;
    let leaf = pki.serving();
    let tls = server_config(leaf.chain().to_vec(), leaf.key(), pki.client_ca().certificate().clone())?;
    let engine = Arc::new(Authenticator::new(tokens(&parts.options.auth.token_file)?));
    let authorizers: Vec<Box<dyn Authorizer>> =
        vec![Box::new(SystemMasters), Box::new(PublicPaths), Box::new(OwnReviews)];
    let authorizer = Arc::new(Union::new(authorizers));
    let serving_ca = pki.serving_ca().certificate_pem().to_owned();
    let trust = watch::Sender::new(extension_trust(&pki));
    Ok(Auth { engine, authorizer, tls, client_ca: pki.client_ca_fingerprint(), serving_ca, trust })
}

fn extension_trust(pki: &Pki) -> ExtensionTrust {
    ExtensionTrust {
        client_ca: pki.client_ca().certificate_pem().to_owned(),
        front_proxy_ca: pki.front_proxy_ca().certificate_pem().to_owned(),
        front_proxy_names: vec![FRONT_PROXY_CLIENT.to_owned()],
    }
}

/// What the serving certificate must carry: what clients call the server, and where it listens.
fn serving(names: &[String], listener: SocketAddr) -> PkiRequest {
    let ips = names.iter().filter_map(|name| name.parse().ok()).chain([listener.ip()]);
    let serving_ips = ips.filter(|ip: &IpAddr| !ip.is_unspecified()).collect();
    let serving_names = names.iter().filter(|name| name.parse::<IpAddr>().is_err()).cloned().collect();
    PkiRequest { serving_names, serving_ips }
}

/// Where a client on this machine reaches the listener: a wildcard address is no destination.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let mut address = listener;
    match listener {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv6Addr::LOCALHOST.into())
        }
        _ => {}
    }
    address
}

fn tokens(file: &Path) -> anyhow::Result<TokenTable> {
    if file.as_os_str().is_empty() {
        return Ok(TokenTable::default());
    }
    let text =
        std::fs::read_to_string(file).with_context(|| format!("read the token file {}", file.display()))?;
    TokenTable::parse(&text).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("read the token file {}: {}", file.display(), faults.join("; "))
    })
}

/// The API groups that are installed locally.
pub(super) fn groups(parts: &Parts) -> anyhow::Result<Vec<ApiGroupBuilder>> {
    definitions::groups_of(Extent::of(parts.options.batteries)).context("read the built-in definitions")
}

/// Installs the built-in groups, and publishes them.
pub(super) fn core_server(
    parts: &Parts,
    backend: &Backend,
    auth: &Auth,
    groups: &[ApiGroupBuilder],
) -> anyhow::Result<Arc<Resources>> {
    let installer = Installer {
        backend: backend.clone(),
        admission: AdmissionChain::new(vec![Arc::new(NamespaceLifecycle::over(Arc::clone(&backend.cache)))]),
        fragments: Arc::new(definitions::fragments_of(Extent::of(parts.options.batteries))?),
        max_body_bytes: parts.options.limits.max_body_bytes,
    };
    tracing::info!(
        edition = parts.table.edition.name,
        version = print::VERSION,
        "starting generic API server"
    );
    let (authenticator, authorizer) = (Arc::clone(&auth.engine), Arc::clone(&auth.authorizer));
    let reviewers = Reviewers { authenticator, authorizer };
    let strategies = Strategies { event_lifetime: parts.options.events.ttl, reviewers };
    let resources =
        installer.install(groups, &|group, resource| strategies.of(group, resource), &parts.catalog)?;
    let names: Vec<String> =
        parts.catalog.snapshot().group_versions().map(|(gv, _)| gv.to_string()).collect();
    tracing::info!(groups = names.join(","), "registered API groups");
    let resources = Arc::new(resources);
    detectviz_server::metrics::register(&parts.metrics, Arc::clone(&backend.cache), Arc::clone(&resources));
    Ok(resources)
}

/// The last link of the chain.
pub(super) fn extensions() -> Arc<dyn Delegate> {
    Arc::new(Extensions::default())
}

/// The local resources in front of `next`.
pub(super) fn core_link(resources: Arc<Resources>, next: Arc<dyn Delegate>) -> Arc<dyn Delegate> {
    Link::new(resources, next)
}

/// A runner in its slot of the chain, configured if it starts.
pub(super) struct Configured {
    row: Row,
    pub(super) link: Arc<Slot>,
    runner: Result<Arc<dyn Runner>, Obstacle>,
}

/// Configures the runner called `name` in front of `delegate`, if all its conditions hold.
pub(super) async fn runner(
    parts: &Parts,
    name: &'static str,
    setup: &Setup,
    delegate: Arc<dyn Delegate>,
) -> anyhow::Result<Configured> {
    let row = parts.table.row(name).with_context(|| format!("find the {name} runner"))?.clone();
    let link = Slot::new(Arc::clone(&delegate));
    let decision = parts.table.decide(&row, &parts.options.toggles, setup.groups.len());
    let runner = match (decision, row.runner()) {
        (Ok(()), Some(runner)) => {
            let configured = runner.configure(setup.clone(), delegate).await;
            link.point_to(configured.with_context(|| format!("configure the {name} runner"))?);
            Ok(runner)
        }
        (Ok(()), None) => bail!("{name} is no runner"),
        (Err(obstacle), _) => Err(obstacle),
    };
    Ok(Configured { row, link, runner })
}

/// Puts the chain together.
pub(super) fn chain(
    parts: &Parts,
    auth: &Auth,
    link: Arc<Slot>,
    groups: usize,
    address: SocketAddr,
) -> Arc<Chain> {
    let edition = parts.table.edition.name;
    let version = Version { version: print::VERSION, commit: print::COMMIT, rustc: print::RUSTC, edition };
    let (table, toggles, ended) =
        (parts.table.clone(), parts.options.toggles.clone(), Arc::clone(&parts.ended));
    let status = StatusPage {
        version: version.clone(),
        started: parts.started,
        started_at: timestamp::now(),
        report: Arc::new(move || {
            let mut report = table.report(&toggles, groups);
            report.note_ends(&ended.lock().unwrap_or_else(PoisonError::into_inner));
            report
        }),
    };
    Arc::new(Chain {
        authenticator: Arc::clone(&auth.engine),
        authorizer: Arc::clone(&auth.authorizer),
        endpoints: Endpoints {
            checks: Arc::clone(&parts.checks),
            metrics: Arc::clone(&parts.metrics),
            catalog: Arc::clone(&parts.catalog),
            version,
            status,
            address,
            merged_open_api: MergedOpenApi::default(),
        },
        delegates: link,
        metrics: RequestMetrics::new(&parts.metrics),
        flow: FlowControl::new(flow_limits(&parts.options.limits)),
        request_timeout: parts.options.limits.request_timeout,
    })
}

fn flow_limits(limits: &LimitOptions) -> FlowLimits {
    FlowLimits {
        reads: limits.max_reads_in_flight,
        writes: limits.max_writes_in_flight,
        watches_per_user: limits.max_watches_per_user,
    }
}

/// Starts the controllers of the built-in groups. Of several servers on one etcd each runs them all: they only repeat what
/// another one did. What holds a Lease for them belongs here.
pub(super) fn controllers(parts: &Parts, aggregator: &Configured, dataplane: &Configured, auth: &Auth) {
    let obstacle = |runner: &Configured| runner.runner.as_ref().err().copied();
    let obstacles = Obstacles { aggregator: obstacle(aggregator), dataplane: obstacle(dataplane) };
    let (context, loopback, wanted) = (&parts.context, parts.loopback(), &parts.options.controllers);
    let upkeep = Upkeep {
        service_account: wanted.is_on(SERVICE_ACCOUNT),
        root_ca: wanted.is_on(ROOT_CA).then(|| auth.serving_ca.clone()),
        trust: Some(auth.trust.subscribe()),
    };
    let (catalog, metrics) = (&parts.catalog, &parts.metrics);
    detectviz_controlplane::start_controllers(context, &loopback, catalog, obstacles, &upkeep, metrics);
}

/// How runners tell that they ended.
pub(super) type Ends = mpsc::Receiver<(&'static str, Result<(), String>)>;

/// Runs every configured runner, and says of each whether it started.
pub(super) async fn run_runners(parts: &Parts, runners: [Configured; 2]) -> anyhow::Result<Ends> {
    let (reports, ends) = mpsc::channel(16);
    for Configured { row, runner, .. } in runners {
        match runner {
            Ok(runner) => {
                let stopped = Stopped::new(row.name, reports.clone());
                let running = runner.run(parts.context.child(), parts.loopback(), stopped).await;
                running.with_context(|| format!("run the {} runner", row.name))?;
                tracing::info!(name = row.name, implementation = row.implementation, "started");
            }
            Err(obstacle) => tracing::info!(name = row.name, reason = %obstacle, "not started"),
        }
    }
    Ok(ends)
}

/// Starts every module whose conditions hold.
pub(super) async fn modules(
    parts: &Parts,
    groups: usize,
) -> anyhow::Result<Vec<(&'static str, Arc<dyn Module>)>> {
    let mut running = Vec::new();
    for row in parts.table.rows() {
        let Some(make) = row.module() else { continue };
        if let Err(obstacle) = parts.table.decide(row, &parts.options.toggles, groups) {
            tracing::info!(name = row.name, reason = %obstacle, "not started");
            continue;
        }
        make.start(parts.context.child(), parts.loopback())
            .await
            .with_context(|| format!("start module {}", row.name))?;
        tracing::info!(name = row.name, implementation = row.implementation, "started");
        running.push((row.name, make));
    }
    Ok(running)
}
