//! The controllers of the built-in groups. Each follows collections through the loopback, compares what is with what
//! should be, and writes the difference; a pass that failed is tried again.

mod apiservices;
mod extension_authentication;
mod garbage;
mod leader;
mod metadata;
mod namespace;
mod namespaced;
mod remote_conditions;
mod retry;
mod served;
mod system_namespaces;
mod write;

use detectviz_core::edition::Obstacle;
use detectviz_core::informer::Informer;
use detectviz_core::metrics::Metrics;
use detectviz_core::{Catalog, Loopback, RunContext};
use std::sync::Arc;
use tokio::sync::watch;

pub use self::extension_authentication::ExtensionTrust;
use self::leader::{Elector, Timing};
pub use self::namespaced::Upkeep;

/// What keeps each runner from running. Where there is an obstacle, the objects meant for that runner say so;
/// where there is none, the runner owns their condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Obstacles {
    /// Why remote APIServices are not served.
    pub aggregator: Option<Obstacle>,
    /// Why DataPlaneServices are not served.
    pub dataplane: Option<Obstacle>,
}

/// Starts all controllers; they end with `context`. Call it once the local group-versions are in `catalog`: a local
/// APIService whose group-version is not there is removed.
///
/// Where several servers may share the store, as `context` says, those that write run on the one that holds the Lease
/// `detectviz-controllers` in `kube-system`. `obstacles` may change at any time.
pub fn start_controllers(
    context: &RunContext,
    loopback: &Arc<dyn Loopback>,
    catalog: &Arc<Catalog>,
    obstacles: watch::Receiver<Obstacles>,
    upkeep: &Upkeep,
    metrics: &Metrics,
) {
    let kept = upkeep.kept();
    // On every server: each is ready only when they are there, and making them twice does no harm.
    system_namespaces::start(context, loopback, &kept);
    apiservices::follow_priorities(context, loopback, catalog);
    let (catalog, trust) = (Arc::clone(catalog), upkeep.trust.clone());
    let start = move |context: &RunContext, loopback: &Arc<dyn Loopback>| {
        let namespaces = Informer::start(context, Arc::clone(loopback), "/api/v1/namespaces");
        let ledger = garbage::start(context, loopback, &catalog);
        namespace::start(context, loopback, &catalog, &namespaces, ledger);
        apiservices::start(context, loopback, &catalog);
        if let Some(trust) = &trust {
            extension_authentication::start(context, loopback, trust);
        }
        remote_conditions::start(context, loopback, &obstacles);
        kept.iter().for_each(|kept| namespaced::start(context, loopback, kept, &namespaces));
    };
    let leadership = context.leadership();
    if leadership.is_contested() {
        Elector::new(loopback, leadership, metrics, Timing::DEFAULT).start(context, start);
    } else {
        start(context, loopback);
    }
}
