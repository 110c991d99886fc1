//! The runner's two steps: `configure` makes the link with no routes yet, `run` starts what fills them.

use anyhow::Context as _;
use async_trait::async_trait;
use detectviz_client::{DialPolicy, Dialer, TransportOptions};
use detectviz_core::{AggregatorRunner, Catalog, Delegate, Loopback, RunContext, Setup, Stopped};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::backend::{BackendMetrics, Backends};
use crate::controller::Controller;
use crate::controller::pace::Lanes;
use crate::link::{Link, Routes};
use crate::metrics::ProxyMetrics;
use crate::remote::RemoteServices;

/// The most time that tunnels have once the server begins to stop; at most half of what everybody has.
const TUNNEL_GRACE: Duration = Duration::from_secs(5);

/// What link and controller share.
pub(crate) struct Shared {
    pub(crate) routes: Arc<Routes>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) backends: Backends,
    pub(crate) metrics: ProxyMetrics,
    pub(crate) interval: Duration,
    /// Where unix sockets of backends may be.
    pub(crate) socket_dirs: Arc<[PathBuf]>,
    pub(crate) remote_services: RemoteServices,
    pub(crate) lanes: Lanes,
    /// How long tunnels go on once the server begins to stop.
    pub(crate) grace: Duration,
}

/// The aggregator of API servers. May be configured and run again after its run has ended.
#[derive(Default)]
pub struct Runner {
    configured: Mutex<Option<Arc<Shared>>>,
    metrics: OnceLock<ProxyMetrics>,
    backend_metrics: OnceLock<BackendMetrics>,
}

impl Runner {
    fn shared(&self, setup: Setup, remote_services: RemoteServices) -> Shared {
        let policy = DialPolicy::new();
        policy.deny_listener(setup.listener);
        policy.deny_networks(setup.options.egress.deny.clone());
        policy.confine_sockets(setup.options.aggregator.socket_dirs.clone());
        let dialer = Dialer::new(Arc::new(policy), TransportOptions::default().connect_timeout);
        let told = self.backend_metrics.get_or_init(|| BackendMetrics::register(&setup.metrics));
        Shared {
            routes: Arc::default(),
            backends: Backends::new(dialer, setup.options.proxy_client_files()).told_by(told),
            metrics: self.metrics.get_or_init(|| ProxyMetrics::register(&setup.metrics)).clone(),
            interval: setup.options.aggregator.availability_interval,
            socket_dirs: setup.options.aggregator.socket_dirs.clone().into(),
            remote_services,
            grace: TUNNEL_GRACE.min(setup.options.limits.shutdown_grace / 2),
            catalog: setup.catalog,
            lanes: Lanes::default(),
        }
    }
}

#[async_trait]
impl detectviz_core::Runner for Runner {
    async fn configure(
        &self,
        setup: Setup,
        delegate: Arc<dyn Delegate>,
    ) -> anyhow::Result<Arc<dyn Delegate>> {
        let remote_services = RemoteServices::load(setup.options.aggregator.clone()).await?;
        let shared = Arc::new(self.shared(setup, remote_services));
        let (routes, catalog) = (Arc::clone(&shared.routes), Arc::clone(&shared.catalog));
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
        Ok(Arc::new(Link { routes, catalog, delegate }))
    }

    async fn run(
        &self,
        context: RunContext,
        loopback: Arc<dyn Loopback>,
        stopped: Stopped,
    ) -> anyhow::Result<()> {
        let shared = self.configured.lock().unwrap_or_else(PoisonError::into_inner).take();
        let shared = shared.context("run the aggregator: it must be configured first")?;
        shared.remote_services.clone().start(&context, Arc::clone(&loopback));
        let identity = Arc::clone(&shared);
        context.spawn(async move { identity.backends.watch_identity().await });
        Controller::start(shared, &context, loopback, stopped);
        Ok(())
    }
}

impl AggregatorRunner for Runner {}
