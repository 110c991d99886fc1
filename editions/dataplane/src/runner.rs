//! The two-step life: `configure` puts the link into the chain, `run` fills its routes and starts the plugins.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use detectviz_api::GroupVersion;
use detectviz_core::informer::Informer;
use detectviz_core::{DataplaneRunner, Delegate, Loopback, Options, RunContext, Setup, Stopped};
use tokio::sync::watch;

use crate::controller::Controller;
use crate::handler::Shared;
use crate::link::{Link, Routes};
use crate::metrics::Metrics;
use crate::plugin::Host;
use crate::service::COLLECTION;

/// The post-start hook that ends when every DataPlaneService that existed was handled once.
const HOOK: &str = "dataplane-service-registration";

/// The real [`DataplaneRunner`]. It may be configured and run again after its context ended.
#[derive(Default)]
pub struct Runner {
    /// What `configure` leaves for `run`.
    configured: Mutex<Option<Configured>>,
    /// Registered once, however often the runner is configured.
    metrics: OnceLock<Metrics>,
}

#[derive(Clone)]
struct Configured {
    options: Arc<Options>,
    local: BTreeSet<GroupVersion>,
    routes: Arc<ArcSwap<Routes>>,
}

impl Runner {
    fn metrics(&self, setup: &Setup) {
        self.metrics.get_or_init(|| {
            let metrics = Metrics::default();
            metrics.register(&setup.metrics);
            metrics
        });
    }

    fn configured(&self) -> anyhow::Result<Configured> {
        let configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner).clone();
        configured.context("run the dataplane runner: it must be configured first")
    }
}

#[async_trait]
impl detectviz_core::Runner for Runner {
    async fn configure(
        &self,
        setup: Setup,
        delegate: Arc<dyn Delegate>,
    ) -> anyhow::Result<Arc<dyn Delegate>> {
        self.metrics(&setup);
        let routes = Arc::new(ArcSwap::from_pointee(Routes::new()));
        let configured = Configured {
            local: setup.local_group_versions().into_iter().collect(),
            options: setup.options,
            routes: Arc::clone(&routes),
        };
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = Some(configured);
        Ok(Arc::new(Link::new(delegate, routes)))
    }

    async fn run(
        &self,
        context: RunContext,
        loopback: Arc<dyn Loopback>,
        stopped: Stopped,
    ) -> anyhow::Result<()> {
        let Configured { options, local, routes } = self.configured()?;
        let metrics = self.metrics.get().cloned().unwrap_or_default();
        let host = Arc::new(Host::start(&context, &options, &metrics).await);
        let services = Informer::start(&context, Arc::clone(&loopback), COLLECTION);
        let shared = Shared { loopback, options, metrics };
        let leadership = context.leadership().clone();
        let controller = Controller { local, routes, host: Arc::clone(&host), shared, leadership };
        let (handled, all_handled) = watch::channel(false);
        context.spawn(controller.run(services, handled));
        context.post_start_hook(HOOK, registered(all_handled));
        let end = context.clone();
        context.spawn_graceful(async move {
            end.cancelled().await;
            host.stopped().await;
            stopped.report(Ok(()));
        });
        Ok(())
    }
}

impl DataplaneRunner for Runner {}

async fn registered(mut handled: watch::Receiver<bool>) -> anyhow::Result<()> {
    handled.wait_for(|handled| *handled).await.context("wait for the DataPlaneServices")?;
    Ok(())
}
