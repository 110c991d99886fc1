//! What APIServices are resolved by, followed as far as anybody needs it: Services, and what is behind them, only once
//! an APIService has nothing else that says where its backend is.

use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Loopback, RunContext};
use std::path::PathBuf;
use std::sync::Arc;

use crate::spec::{Slices, Surroundings, needs_a_service};

/// Where the hosts behind service names are.
const EXTERNAL_NAMES: &str = "/apis/service.grafana.app/v0alpha1/externalnames";
const SERVICES: &str = "/api/v1/services";
const ENDPOINTS: &str = "/api/v1/endpoints";
/// Slices that name no Service are nobody's.
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices?labelSelector=kubernetes.io%2Fservice-name";

/// The views of what is resolved by.
pub(super) struct Sources {
    context: RunContext,
    loopback: Arc<dyn Loopback>,
    socket_dirs: Arc<[PathBuf]>,
    external_names: Informer,
    services: Option<Services>,
}

/// Services and what is behind them.
struct Services {
    services: Informer,
    endpoints: Informer,
    slices: Informer,
}

impl Sources {
    pub(super) fn start(
        context: &RunContext,
        loopback: Arc<dyn Loopback>,
        socket_dirs: Arc<[PathBuf]>,
    ) -> Self {
        let external_names = Informer::start(context, Arc::clone(&loopback), EXTERNAL_NAMES);
        Self { context: context.clone(), loopback, socket_dirs, external_names, services: None }
    }

    /// Waits for the first view of everything that is followed.
    pub(super) async fn synced(&mut self) {
        self.external_names.synced().await;
        if let Some(Services { services, endpoints, slices }) = &mut self.services {
            tokio::join!(services.synced(), endpoints.synced(), slices.synced());
        }
    }

    /// Waits until any of it changes.
    pub(super) async fn changed(&mut self) {
        let Some(Services { services, endpoints, slices }) = &mut self.services else {
            return self.external_names.changed().await;
        };
        tokio::select! {
            () = self.external_names.changed() => {}
            () = services.changed() => {}
            () = endpoints.changed() => {}
            () = slices.changed() => {}
        }
    }

    /// What is there to resolve `api_services` by. Begins to follow Services when one of them needs one.
    pub(super) async fn around(&mut self, api_services: &Objects) -> Surroundings {
        let external_names = self.external_names.objects();
        if self.services.is_none() && api_services.values().any(|one| needs_a_service(one, &external_names)) {
            self.services = Some(Services::start(&self.context, &self.loopback));
            self.synced().await;
        }
        let socket_dirs = Arc::clone(&self.socket_dirs);
        match &self.services {
            None => Surroundings { external_names, socket_dirs, ..Surroundings::default() },
            Some(Services { services, endpoints, slices }) => Surroundings {
                external_names,
                services: services.objects(),
                endpoints: endpoints.objects(),
                slices: Slices::of(&slices.objects()),
                socket_dirs,
            },
        }
    }
}

impl Services {
    fn start(context: &RunContext, loopback: &Arc<dyn Loopback>) -> Self {
        let follow = |path| Informer::start(context, Arc::clone(loopback), path);
        Self { services: follow(SERVICES), endpoints: follow(ENDPOINTS), slices: follow(SLICES) }
    }
}
