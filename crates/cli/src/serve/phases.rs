//! The phases, each a function. None asks which edition it is in: that is the table's to say.

use anyhow::Context;
use detectviz_api::timestamp;
use detectviz_auth::authorize::{Authorizer, OwnReviews, PublicPaths, SystemMasters, Union};
use detectviz_controlplane::definitions::{self, Extent};
use detectviz_controlplane::{NamespaceLifecycle, Reviewers, Strategies, Upkeep};
use detectviz_core::options::LimitOptions;
use detectviz_core::options::controllers::{ROOT_CA, SERVICE_ACCOUNT, TRUST};
use detectviz_core::{ApiGroupBuilder, Delegate};
use detectviz_extensions::Extensions;
use detectviz_server::admission::AdmissionChain;
use detectviz_server::chain::{FlowControl, FlowLimits, RequestMetrics};
use detectviz_server::endpoints::{Endpoints, MergedOpenApi, StatusPage, Version};
use detectviz_server::{Backend, Chain, Installer, Link, Resources};
use std::net::SocketAddr;
use std::sync::Arc;

use super::compose::Parts;
use super::credentials::Credentials;
use super::switchboard::Switchboard;
use crate::print;

/// Who may do what.
pub(super) fn authorizer() -> Arc<dyn Authorizer> {
    let authorizers: Vec<Box<dyn Authorizer>> =
        vec![Box::new(SystemMasters), Box::new(PublicPaths), Box::new(OwnReviews)];
    Arc::new(Union::new(authorizers))
}

/// The API groups that are installed locally.
pub(super) fn groups(parts: &Parts) -> anyhow::Result<Vec<ApiGroupBuilder>> {
    definitions::groups_of(Extent::of(parts.options.batteries)).context("read the built-in definitions")
}

/// Installs the built-in groups, and publishes them.
pub(super) fn core_server(
    parts: &Parts,
    backend: &Backend,
    reviewers: Reviewers,
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
    let strategies = Strategies {
        event_lifetime: parts.options.events.ttl,
        reviewers,
        catalog: Arc::clone(&parts.catalog),
    };
    let resources =
        installer.install(groups, &|group, resource| strategies.of(group, resource), &parts.catalog)?;
    for (gv, owner) in parts.catalog.snapshot().group_versions() {
        parts.catalog.prioritize(gv, owner, definitions::priority(gv));
    }
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

/// Puts the chain together, which begins with what `board` has in front.
pub(super) fn chain(
    parts: &Parts,
    reviewers: &Reviewers,
    board: &Switchboard,
    address: SocketAddr,
) -> Arc<Chain> {
    let edition = parts.table.edition.name;
    let version = Version { version: print::VERSION, commit: print::COMMIT, rustc: print::RUSTC, edition };
    let panel = board.panel();
    let status = StatusPage {
        version: version.clone(),
        started: parts.started,
        started_at: timestamp::now(),
        report: Arc::new(move || panel.report()),
        remarks: Arc::clone(&parts.remarks),
    };
    Arc::new(Chain {
        authenticator: Arc::clone(&reviewers.authenticator),
        authorizer: Arc::clone(&reviewers.authorizer),
        endpoints: Endpoints {
            checks: Arc::clone(&parts.checks),
            metrics: Arc::clone(&parts.metrics),
            catalog: Arc::clone(&parts.catalog),
            version,
            status,
            address,
            merged_open_api: MergedOpenApi::default(),
        },
        delegates: board.front(),
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
pub(super) fn controllers(parts: &Parts, board: &Switchboard, credentials: &Credentials) {
    let (context, loopback, wanted) = (&parts.context, parts.loopback(), &parts.options.controllers);
    let upkeep = Upkeep {
        service_account: wanted.is_on(SERVICE_ACCOUNT),
        root_ca: wanted.is_on(ROOT_CA).then(|| credentials.serving_ca()),
        trust: wanted.is_on(TRUST).then(|| credentials.trust.subscribe()),
    };
    let (catalog, metrics, obstacles) = (&parts.catalog, &parts.metrics, board.panel().obstacles());
    detectviz_controlplane::start_controllers(context, &loopback, catalog, obstacles, &upkeep, metrics);
}
