//! The composition: what is built in which order, and taken down in the opposite one.

use detectviz_controlplane::Reviewers;
use detectviz_core::delegate::Slot;
use detectviz_core::health::{Checks, Remarks};
use detectviz_core::metrics::Metrics;
use detectviz_core::options::{Loaded, Sources, StorageKind};
use detectviz_core::{Catalog, EditionTable, Leadership, Loopback, Options, RunContext, Setup};
use detectviz_server::Backend;
use detectviz_server::InProcess;
use detectviz_server::listener::Listener;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

use super::credentials::Credentials;
use super::reload::configuration::Configuration;
use super::reload::{self, Outcomes};
use super::shutdown::Stop;
use super::switchboard::{Lives, Switchboard};
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
    /// What a person should look at.
    pub(super) remarks: Arc<Remarks>,
    /// What became of files that were read again.
    pub(super) outcomes: Outcomes,
}

impl Parts {
    pub(super) fn new(table: EditionTable, options: Options, started: Instant) -> Self {
        let checks = Arc::new(Checks::default());
        let (remarks, metrics) = (Arc::<Remarks>::default(), Arc::<Metrics>::default());
        let leadership = match options.storage {
            // One process at a time has the store: by the lock on its folder, or because nobody else can see it.
            StorageKind::Embedded | StorageKind::Memory => Leadership::alone(),
            StorageKind::Etcd => Leadership::elected(),
        };
        Self {
            table,
            options: Arc::new(options),
            catalog: Arc::default(),
            outcomes: Outcomes::new(&remarks, &metrics),
            remarks,
            metrics,
            context: RunContext::new(Arc::clone(&checks)).with_leadership(leadership),
            checks,
            loopback: Arc::default(),
            started,
        }
    }

    pub(super) fn loopback(&self) -> Arc<dyn Loopback> {
        Arc::clone(&self.loopback) as Arc<dyn Loopback>
    }
}

/// What was started and has to be ended.
pub(super) struct Running {
    pub(super) serving: RunContext,
    pub(super) lives: Lives,
    pub(super) store: Backend,
    address: SocketAddr,
    _data: DataDir,
}

/// Serves with what was `loaded` from `sources` until told to stop.
pub(super) async fn serve(
    table: EditionTable,
    loaded: Loaded,
    sources: Sources,
    started: Instant,
) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let parts = Parts::new(table, loaded.options.clone(), started);
    let hangups = reload::hangups(&parts.context)?;
    let names = parts.table.toggles();
    let configuration = Configuration::new(sources, names, loaded, &parts.outcomes, &parts.remarks)?;
    let running = tokio::select! {
        running = start(&parts, configuration, hangups) => running?,
        signal = stop.signal() => {
            tracing::info!(signal, "stopped before the server was started");
            return Ok(());
        }
    };
    let address = running.address;
    shutdown::until(&parts, &mut stop, || print::ready(&format!("https://{address}"))).await;
    shutdown::run(&parts, running, &mut stop).await;
    Ok(())
}

async fn start(
    parts: &Parts,
    configuration: Configuration,
    hangups: watch::Receiver<u64>,
) -> anyhow::Result<Running> {
    let data = DataDir::open(&parts.options.data_dir)?;
    // Bound first, so that a port in use is told before anything is started; accepted from last.
    let listener =
        Listener::bind(SocketAddr::new(parts.options.bind_address, parts.options.secure_port)).await?;
    let credentials = Credentials::load(parts, &data, listener.address())?;
    let store = store::open(parts, &data, listener.address(), &credentials.client_ca()).await?;
    let groups = phases::groups(parts)?;
    let reviewers =
        Reviewers { authenticator: Arc::clone(&credentials.engine), authorizer: phases::authorizer() };
    let resources = phases::core_server(parts, &store, reviewers.clone(), &groups)?;
    let core = Slot::new(phases::core_link(resources, phases::extensions()));
    let setup = Setup::new(
        Arc::clone(&parts.options),
        groups.into(),
        Arc::clone(&parts.catalog),
        Arc::clone(&parts.metrics),
        listener.address(),
    );
    let board = Switchboard::new(parts, setup, core);
    let chain = phases::chain(parts, &reviewers, &board, listener.address());
    parts.loopback.connect(Arc::clone(&chain));
    phases::controllers(parts, &board, &credentials);
    let (panel, lives) = (board.panel(), board.start().await?);
    let (address, serving) = (listener.address(), parts.context.group());
    let (tls, max_connections) = (Arc::clone(&credentials.tls), parts.options.limits.max_connections);
    serving.spawn_graceful(listener.serve(chain, tls, max_connections, serving.clone()));
    parts.context.spawn(configuration.follow(parts.context.clone(), panel, hangups.clone()));
    parts.context.spawn(credentials.follow(parts.context.clone(), hangups));
    tracing::info!(address = %address, kubeconfig = %data.admin_kubeconfig().display(), "serving");
    Ok(Running { serving, lives, store, address, _data: data })
}
