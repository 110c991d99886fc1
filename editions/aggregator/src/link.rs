//! The aggregator's link of the chain: a request whose group-version a remote APIService stands for is proxied,
//! anything else is the next link's.

use arc_swap::ArcSwap;
use detectviz_api::{GroupVersion, RequestInfo, Verb};
use detectviz_core::catalog::Owner;
use detectviz_core::{Catalog, Delegate, Handler};
use std::collections::HashMap;
use std::sync::Arc;

use crate::proxy::Proxy;

/// The proxies by group-version: an immutable snapshot, swapped at each change.
#[derive(Default)]
pub(crate) struct Routes(ArcSwap<HashMap<GroupVersion, Arc<Proxy>>>);

impl Routes {
    /// Requests for `gv` go to `proxy` from now on.
    pub(crate) fn set(&self, gv: &GroupVersion, proxy: &Arc<Proxy>) {
        self.edit(|routes| routes.insert(gv.clone(), Arc::clone(proxy)));
    }

    /// Requests for `gv` are no longer ours.
    pub(crate) fn remove(&self, gv: &GroupVersion) {
        self.edit(|routes| routes.remove(gv));
    }

    fn edit(&self, change: impl Fn(&mut HashMap<GroupVersion, Arc<Proxy>>) -> Option<Arc<Proxy>>) {
        self.0.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            change(&mut routes);
            routes
        });
    }
}

/// Stands in front of `delegate`.
pub(crate) struct Link {
    pub(crate) routes: Arc<Routes>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) delegate: Arc<dyn Delegate>,
}

impl Link {
    fn proxy(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        let gv = info.group_version()?;
        let proxy = self.routes.0.load().get(&gv).cloned()?;
        // What this server serves itself is never given away, whatever an APIService says.
        if self.catalog.snapshot().owner(&gv) == Some(Owner::Local) {
            return None;
        }
        if proxy.backend.is_ok() {
            self.note_write(&gv, info);
        }
        Some(proxy)
    }

    /// Remembers into which namespaces something is written: they wait for the backend when they are to go.
    fn note_write(&self, gv: &GroupVersion, info: &RequestInfo) {
        let writes = matches!(info.verb, Verb::Create | Verb::Update | Verb::Patch);
        let namespace = info.resource.as_ref().map(|resource| resource.namespace.as_str());
        if let Some(namespace) = namespace.filter(|namespace| writes && !namespace.is_empty()) {
            self.catalog.note_write(gv, namespace);
        }
    }
}

impl Delegate for Link {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        self.proxy(info).or_else(|| self.delegate.route(info))
    }
}
