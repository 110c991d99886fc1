//! The composition: what is built in which order, and taken down in the opposite one.

use detectviz_core::delegate::Slot;
use detectviz_core::edition::{AGGREGATOR, DATAPLANE};
use detectviz_core::health::{Checks, Kind};
use detectviz_core::metrics::Metrics;
use detectviz_core::options::StorageKind;
use detectviz_core::{Catalog, EditionTable, Leadership, Loopback, Module, Options, RunContext, Setup};
use detectviz_server::Backend;
use detectviz_server::InProcess;
use detectviz_server::listener::Listener;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::shutdown::Stop;
use super::{phases, shutdown, store};
use crate::data_dir::DataDir;
use crate::print;

/// What every phase may use.
pub(super) struct Parts {
    pub(super) table: EditionTable,
    pub(super) options: Arc<Options>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) checks: Arc<Checks>,
    pub(super) context: RunContext,
    pub(super) loopback: Arc<InProcess>,
    pub(super) started: Instant,
    /// The runners that have ended, and why.
    pub(super) ended: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Parts {
    fn new(table: EditionTable, options: Options, started: Instant) -> Self {
        let checks = Arc::new(Checks::default());
        let leadership = match options.storage {
            // One process at a time has the store: by the lock on its folder, or because nobody else can see it.
            StorageKind::Embedded | StorageKind::Memory => Leadership::alone(),
            StorageKind::Etcd => Leadership::elected(),
        };
        Self {
            table,
            options: Arc::new(options),
            catalog: Arc::default(),
            metrics: Arc::default(),
            context: RunContext::new(Arc::clone(&checks)).with_leadership(leadership),
            checks,
            loopback: Arc::default(),
            started,
            ended: Arc::default(),
        }
    }

    /// Notes that the runner `name` has ended: in the log, on `/statusz` and in readiness.
    pub(super) fn ended(&self, name: &'static str, result: Result<(), String>) {
        let why = match result {
            Ok(()) => "it ended by itself".to_owned(),
            Err(fault) => fault,
        };
        tracing::error!(name, reason = why, "runner ended");
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(name, why.clone());
        self.checks.add(Kind::Ready, &format!("runner/{name}"), Arc::new(move || Err(why.clone())));
    }

    pub(super) fn loopback(&self) -> Arc<dyn Loopback> {
        Arc::clone(&self.loopback) as Arc<dyn Loopback>
    }
}

/// What was started and has to be ended.
pub(super) struct Running {
    pub(super) serving: RunContext,
    pub(super) modules: Vec<(&'static str, Arc<dyn Module>)>,
    pub(super) store: Backend,
    address: SocketAddr,
    ends: phases::Ends,
    _data: DataDir,
}

pub(super) async fn serve(table: EditionTable, options: Options, started: Instant) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let parts = Parts::new(table, options, started);
    let mut running = tokio::select! {
        running = start(&parts) => running?,
        signal = stop.signal() => {
            tracing::info!(signal, "stopped before the server was started");
            return Ok(());
        }
    };
    let address = running.address;
    shutdown::until(&parts, &mut stop, &mut running.ends, || print::ready(&format!("https://{address}")))
        .await;
    shutdown::run(&parts, running, &mut stop).await;
    Ok(())
}

async fn start(parts: &Parts) -> anyhow::Result<Running> {
    let data = DataDir::open(&parts.options.data_dir)?;
    // Bound first, so that a port in use is told before anything is started; accepted from last.
    let listener =
        Listener::bind(SocketAddr::new(parts.options.bind_address, parts.options.secure_port)).await?;
    let auth = phases::auth(parts, &data, listener.address())?;
    let store = store::open(parts, &data, listener.address(), &auth.client_ca).await?;
    let groups = phases::groups(parts)?;
    let resources = phases::core_server(parts, &store, &auth, &groups)?;
    let core = Slot::new(phases::core_link(resources, phases::extensions()));
    let setup = Setup::new(
        Arc::clone(&parts.options),
        groups.into(),
        Arc::clone(&parts.catalog),
        Arc::clone(&parts.metrics),
        listener.address(),
    );
    let aggregator = phases::runner(parts, AGGREGATOR, &setup, core).await?;
    let dataplane = phases::runner(parts, DATAPLANE, &setup, aggregator.link.clone()).await?;
    let link = dataplane.link.clone();
    let chain = phases::chain(parts, &auth, link, setup.groups.len(), listener.address());
    parts.loopback.connect(Arc::clone(&chain));
    phases::controllers(parts, &aggregator, &dataplane, &auth);
    let ends = phases::run_runners(parts, [aggregator, dataplane]).await?;
    let modules = phases::modules(parts, setup.groups.len()).await?;
    let (address, serving) = (listener.address(), parts.context.group());
    let max_connections = parts.options.limits.max_connections;
    serving.spawn_graceful(listener.serve(chain, auth.tls, max_connections, serving.clone()));
    tracing::info!(address = %address, kubeconfig = %data.admin_kubeconfig().display(), "serving");
    Ok(Running { serving, modules, store, address, ends, _data: data })
}
