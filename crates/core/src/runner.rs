//! The contract between the server and what an edition adds to it. Every default is a noop, so no call site asks
//! which edition it is in.

use async_trait::async_trait;
use detectviz_api::GroupVersion;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::catalog::Catalog;
use crate::delegate::Delegate;
use crate::group::ApiGroupBuilder;
use crate::lifecycle::RunContext;
use crate::loopback::Loopback;
use crate::metrics::Metrics;
use crate::options::Options;

/// What a runner is configured from.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The options, those of both runners included.
    pub options: Arc<Options>,
    /// The API groups that are installed locally.
    pub groups: Arc<[ApiGroupBuilder]>,
    /// Where group-versions are published for discovery and OpenAPI.
    pub catalog: Arc<Catalog>,
    /// Where metrics are registered.
    pub metrics: Arc<Metrics>,
    /// The server's own listener: bound already, and never to be dialled.
    pub listener: SocketAddr,
}

impl Setup {
    /// Bundles what runners are configured from.
    pub fn new(
        options: Arc<Options>,
        groups: Arc<[ApiGroupBuilder]>,
        catalog: Arc<Catalog>,
        metrics: Arc<Metrics>,
        listener: SocketAddr,
    ) -> Self {
        Self { options, groups, catalog, metrics, listener }
    }

    /// The group-versions that are served locally.
    pub fn local_group_versions(&self) -> Vec<GroupVersion> {
        self.groups.iter().flat_map(ApiGroupBuilder::group_versions).collect()
    }
}

/// A part that stands in the chain: configured, then run. When it is switched off and on again, it is configured and run
/// again, after everything in the context of its run has ended.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Returns the link of the chain that stands in front of `delegate`. The noop returns `delegate` itself.
    async fn configure(&self, setup: Setup, delegate: Arc<dyn Delegate>)
    -> anyhow::Result<Arc<dyn Delegate>>;

    /// Starts controllers and post-start hooks; returns once they run; reports their end through `stopped`.
    async fn run(
        &self,
        context: RunContext,
        loopback: Arc<dyn Loopback>,
        stopped: Stopped,
    ) -> anyhow::Result<()>;
}

/// Puts other API servers behind this one's address. Grafana's `aggregatorrunner.AggregatorRunner`.
pub trait AggregatorRunner: Runner {}

/// Puts backend plugins behind this server's address.
pub trait DataplaneRunner: Runner {}

/// A part beside the chain that a toggle starts and stops.
#[async_trait]
pub trait Module: Send + Sync {
    /// Starts the module; returns once it runs.
    async fn start(&self, context: RunContext, loopback: Arc<dyn Loopback>) -> anyhow::Result<()>;

    /// Stops the module; returns once it has stopped. Its context ends after this. It may be started again.
    async fn stop(&self) -> anyhow::Result<()>;
}

/// Does nothing, silently: the default of every runner and module.
#[derive(Debug, Default)]
pub struct Noop;

#[async_trait]
impl Runner for Noop {
    async fn configure(&self, _: Setup, delegate: Arc<dyn Delegate>) -> anyhow::Result<Arc<dyn Delegate>> {
        Ok(delegate)
    }

    async fn run(&self, _: RunContext, _: Arc<dyn Loopback>, _: Stopped) -> anyhow::Result<()> {
        Ok(())
    }
}

impl AggregatorRunner for Noop {}
impl DataplaneRunner for Noop {}

#[async_trait]
impl Module for Noop {
    async fn start(&self, _: RunContext, _: Arc<dyn Loopback>) -> anyhow::Result<()> {
        Ok(())
    }

    async fn stop(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// How a runner says that what it started has ended, and why.
#[derive(Clone, Debug)]
pub struct Stopped {
    name: &'static str,
    reports: mpsc::Sender<(&'static str, Result<(), String>)>,
}

impl Stopped {
    /// Reports for the runner `name` into `reports`.
    pub fn new(name: &'static str, reports: mpsc::Sender<(&'static str, Result<(), String>)>) -> Self {
        Self { name, reports }
    }

    /// Reports the end. A report that nobody reads any more is dropped: the server is going down.
    pub fn report(&self, result: Result<(), String>) {
        let _ = self.reports.try_send((self.name, result));
    }
}
