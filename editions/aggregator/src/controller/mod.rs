//! Keeps one worker a remote APIService: compares what is wanted with who works, and changes only what differs.

mod availability;
mod conditions;
mod discovered;
mod discovery;
pub(crate) mod pace;
mod published;
mod schema;
mod sources;
mod worker;

use detectviz_core::catalog::Owner;
use detectviz_core::informer::Informer;
use detectviz_core::{Loopback, RunContext, Stopped};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::runner::Shared;
use crate::spec::Wanted;
use conditions::Conditions;
use sources::Sources;
use worker::Worker;

/// Where APIServices are.
pub(crate) const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";

/// The post-start hook that is done once every existing remote APIService has its worker and its route: from then on
/// a request for it is answered, be it with 503. It does not wait for checks, which a silent backend makes last.
const HOOK: &str = "apiservice-availability";

/// Owns the workers.
pub(crate) struct Controller {
    shared: Arc<Shared>,
    context: RunContext,
    conditions: Conditions,
    sources: Sources,
    employed: HashMap<String, Employed>,
}

/// A worker and how to talk to it.
struct Employed {
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
}

impl Drop for Employed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Controller {
    /// Starts to follow APIServices, and what they are resolved by, until `context` ends; then what was published is withdrawn.
    pub(crate) fn start(
        shared: Arc<Shared>,
        context: &RunContext,
        loopback: Arc<dyn Loopback>,
        stopped: Stopped,
    ) {
        let api_services = Informer::start(context, Arc::clone(&loopback), API_SERVICES);
        let sources = Sources::start(context, Arc::clone(&loopback), Arc::clone(&shared.socket_dirs));
        let conditions = Conditions { loopback, api_services, leadership: context.leadership().clone() };
        let (employing, employed) = oneshot::channel();
        context.post_start_hook(HOOK, async move {
            // Nothing is ever sent: the end of the sender is the message.
            let _ = employed.await;
            Ok(())
        });
        let employed = HashMap::new();
        let mut controller = Self { shared, context: context.clone(), conditions, sources, employed };
        context.spawn_graceful(async move {
            controller.follow(employing).await;
            controller.dismiss(|_| true).await;
            stopped.report(Ok(()));
        });
    }

    /// Returns when the context has ended; a change under way is finished first. Lets go of `employing` once all that
    /// exists at the start is employed.
    async fn follow(&mut self, employing: oneshot::Sender<Infallible>) {
        let mut api_services = self.conditions.api_services.clone();
        // The informers end with the context, and say that they are synced when they end.
        api_services.synced().await;
        self.sources.synced().await;
        let mut employing = Some(employing);
        while !self.context.is_cancelled() {
            self.reconcile().await;
            drop(employing.take());
            tokio::select! {
                () = api_services.changed() => {}
                () = self.sources.changed() => {}
                () = self.context.cancelled() => {}
            }
        }
    }

    async fn reconcile(&mut self) {
        let mut wanted = self.wanted().await;
        self.dismiss(|name| !wanted.contains_key(name)).await;
        for (name, employed) in &self.employed {
            let Some(wanted) = wanted.remove(name) else { continue };
            employed.wanted.send_if_modified(|have| {
                let changed = *have != wanted;
                *have = wanted;
                changed
            });
        }
        for (name, wanted) in wanted {
            let employed = self.employ(wanted);
            self.employed.insert(name, employed);
        }
    }

    async fn wanted(&mut self) -> HashMap<String, Wanted> {
        let objects = self.conditions.api_services.objects();
        let around = self.sources.around(&objects).await;
        let read = objects.values().filter_map(|object| Wanted::read(object, &around));
        read.map(|wanted| (wanted.name.clone(), wanted)).collect()
    }

    fn employ(&self, wanted: Wanted) -> Employed {
        let mut worker = Worker::new(Arc::clone(&self.shared), self.context.clone(), self.conditions.clone());
        worker.announce(&wanted);
        let (sender, receiver) = watch::channel(wanted);
        Employed { wanted: sender, task: tokio::spawn(worker.run(receiver)) }
    }

    /// Ends the workers whose names `gone` picks, and only then takes back what they published.
    async fn dismiss(&mut self, gone: impl Fn(&str) -> bool) {
        let ended = |name: &String, employed: &mut Employed| gone(name) || employed.task.is_finished();
        for (name, mut employed) in self.employed.extract_if(ended) {
            employed.task.abort();
            if let Err(fault) = (&mut employed.task).await
                && fault.is_panic()
            {
                tracing::error!(apiservice = name, error = %fault, "worker of an APIService failed");
            }
            let gv = employed.wanted.borrow().group_version.clone();
            self.shared.routes.remove(&gv);
            self.shared.catalog.withdraw(&gv, Owner::Aggregated);
            self.shared.metrics.remove(&name);
        }
    }
}
