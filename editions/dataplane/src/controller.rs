//! Keeps routes and conditions true to the DataPlaneServices and to the state of their plugins.
//!
//! Every pass looks at everything and writes only what differs, so a missed or doubled event does no harm, and a changed
//! group or version is re-registered by the next snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use detectviz_api::condition::Condition;
use detectviz_api::{GroupVersion, Reason, Status};
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Handler, Leadership, Loopback};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::condition::{self, Claims};
use crate::handler::{QueryHandler, Shared};
use crate::link::Routes;
use crate::plugin::Host;
use crate::service::{COLLECTION, Service};

/// How long to wait before a condition that could not be written is written again.
const RETRY: Duration = Duration::from_secs(1);
/// How often a write that met another one is tried at once.
const ATTEMPTS: usize = 5;

/// What the controller works with.
pub(crate) struct Controller {
    pub(crate) local: BTreeSet<GroupVersion>,
    pub(crate) routes: Arc<ArcSwap<Routes>>,
    pub(crate) host: Arc<Host>,
    pub(crate) shared: Shared,
    pub(crate) leadership: Leadership,
}

impl Controller {
    /// Runs until it is dropped; `handled` becomes true once all services that existed were handled.
    pub(crate) async fn run(self, mut services: Informer, handled: watch::Sender<bool>) {
        let mut plugins = self.host.changes();
        services.synced().await;
        loop {
            let led = self.leadership.is_leading();
            let settled = self.reconcile(&services.objects(), led).await;
            handled.send_replace(true);
            tokio::select! {
                () = services.changed() => {}
                // The sender lives in the host, which lives in self.
                _ = plugins.changed() => {}
                () = self.leadership.gained(), if !led => {}
                () = sleep(RETRY), if !settled => {}
            }
        }
    }

    /// Brings routes up to date, and the conditions if this server `leads`; false when one could not be written.
    async fn reconcile(&self, objects: &Objects, leads: bool) -> bool {
        let services: Vec<Service> = objects.values().map(|object| Service::read(object)).collect();
        let claims = Claims::settle(&services, &self.local);
        self.routes.store(Arc::new(self.routes(&services, &claims)));
        let mut settled = true;
        for (object, service) in objects.values().zip(&services).filter(|_| leads) {
            let condition = self.condition(service, &claims);
            if let Err(fault) = write(&*self.shared.loopback, object, &condition).await {
                let name = &service.name;
                tracing::warn!(name, error = %fault, "write the condition of a DataPlaneService");
                settled = false;
            }
        }
        settled
    }

    fn routes(&self, services: &[Service], claims: &Claims) -> Routes {
        let queried = services.iter().filter(|service| service.has_query());
        let owners = queried.filter(|service| claims.taken_by(service).is_none());
        owners.map(|service| (service.group_version.clone(), self.handler(service))).collect()
    }

    fn handler(&self, service: &Service) -> Arc<dyn Handler> {
        let plugin = self.host.get(&service.plugin_id).map_err(condition::missing);
        let plugin = plugin.and_then(|plugin| {
            condition::fits(service, &plugin.manifest)?;
            Ok(Arc::clone(plugin))
        });
        Arc::new(QueryHandler::new(service.plugin_id.clone(), plugin, self.shared.clone()))
    }

    fn condition(&self, service: &Service, claims: &Claims) -> Condition {
        match (claims.taken_by(service), self.host.get(&service.plugin_id)) {
            (Some(owner), _) => condition::taken(service, owner),
            (None, Ok(plugin)) => condition::with_plugin(service, &plugin.manifest, &plugin.state()),
            (None, Err(missing)) => condition::missing(missing),
        }
    }
}

/// Writes `condition` if it says something new. Who met another write reads again and looks whether it still does.
async fn write(loopback: &dyn Loopback, object: &Arc<Value>, condition: &Condition) -> Result<(), Status> {
    let mut object = Value::clone(object);
    let path = format!("{COLLECTION}/{}", detectviz_api::meta::name(&object));
    for _ in 0..ATTEMPTS {
        if !condition.apply(&mut object) {
            return Ok(());
        }
        match loopback.update(&format!("{path}/status"), &object).await {
            Err(status) if status.is(Reason::Conflict) => {}
            result => return unless_gone(result).map(drop),
        }
        match unless_gone(loopback.get(&path).await)? {
            Some(current) => object = current,
            None => return Ok(()),
        }
    }
    Err(Status::internal("the object changes all the time"))
}

/// A deleted object needs no condition.
fn unless_gone(result: Result<Value, Status>) -> Result<Option<Value>, Status> {
    match result {
        Err(status) if status.is(Reason::NotFound) => Ok(None),
        result => result.map(Some),
    }
}
