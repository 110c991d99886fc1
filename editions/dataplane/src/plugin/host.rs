//! All plugins of the plugin folder, found once at the start, each with its supervisor.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use detectviz_core::{Options, RunContext};
use tokio::sync::watch;

use super::Plugin;
use super::discover::{Discovery, discover};
use super::health::Probe;
use super::socket_dir;
use super::supervise::{Bounds, supervise};
use crate::metrics::Metrics;

/// The plugins of one run.
pub(crate) struct Host {
    plugins: BTreeMap<String, Arc<Plugin>>,
    folder: Folder,
    changes: watch::Sender<()>,
}

/// Where plugins were looked for.
enum Folder {
    None,
    Unreadable(PathBuf, String),
    Read(PathBuf),
}

/// Why there is no such plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no plugin folder to look in; the text says why and what to do.
    Folder(String),
    /// The folder has no such plugin; the text says what to do.
    Plugin(String),
}

impl Host {
    /// Finds the plugins and starts a supervisor for each; all of them end with `context`.
    pub(crate) async fn start(context: &RunContext, options: &Options, metrics: &Metrics) -> Self {
        let (folder, discovery) = look(options).await;
        for fault in &discovery.faults {
            tracing::error!(error = %fault, "plugin left out");
        }
        let changes = watch::Sender::new(());
        let plugins = discovery.found.into_iter();
        let plugins: BTreeMap<_, _> =
            plugins.map(|(id, found)| (id, Arc::new(Plugin::new(found, changes.clone())))).collect();
        tracing::info!(plugins = plugins.len(), "plugins found");
        for plugin in plugins.values() {
            start(context, options, plugin, metrics);
        }
        Self { plugins, folder, changes }
    }

    /// The plugin `id`.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(crate) fn get(&self, id: &str) -> Result<&Arc<Plugin>, Missing> {
        self.plugins.get(id).ok_or_else(|| match &self.folder {
            Folder::None => Missing::Folder("there is no plugin folder: set plugin_dir to one".to_owned()),
            Folder::Unreadable(path, why) => Missing::Folder(format!(
                "the plugin folder {} cannot be read ({why}): make it readable, or set plugin_dir to another one",
                path.display()
            )),
            Folder::Read(path) => Missing::Plugin(format!(
                "the plugin folder {} has no backend plugin {id:?} for this platform: put its folder there and start \
                 the server again; the log of the start says which plugins were left out",
                path.display()
            )),
        })
    }

    /// Tells of every change of a plugin's state.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Returns once all plugins were stopped.
    pub(crate) async fn stopped(&self) {
        for plugin in self.plugins.values() {
            plugin.stopped().await;
        }
    }
}

/// Reads the plugin folder, and tidies up after servers that were killed. A folder that cannot be read is an error in the log, and no plugins.
async fn look(options: &Options) -> (Folder, Discovery) {
    if !options.has_plugin_dir() {
        return (Folder::None, Discovery::default());
    }
    let dir = std::path::absolute(&options.plugin_dir).unwrap_or_else(|_| options.plugin_dir.clone());
    match read(dir.clone()).await {
        Ok(discovery) => (Folder::Read(dir), discovery),
        Err(fault) => {
            tracing::error!(plugin_dir = %dir.display(), error = %fault, "read the plugin folder");
            (Folder::Unreadable(dir, fault.to_string()), Discovery::default())
        }
    }
}

async fn read(dir: PathBuf) -> io::Result<Discovery> {
    let look = move || {
        socket_dir::sweep(&std::env::temp_dir());
        discover(&dir)
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|fault| Err(io::Error::other(fault)))
}

fn start(context: &RunContext, options: &Options, plugin: &Arc<Plugin>, metrics: &Metrics) {
    let bounds = Bounds {
        data_dir: options.data_dir.clone(),
        start_timeout: options.dataplane.start_timeout,
        max_response_bytes: options.dataplane.max_response_bytes,
        probe: Probe::default(),
    };
    context.spawn_graceful(supervise(Arc::clone(plugin), context.clone(), bounds, metrics.clone()));
}
