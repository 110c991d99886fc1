//! A plugin is a folder with a `plugin.json` and a process that is kept running; callers see its state and a connection.

mod connection;
mod discover;
mod health;
mod host;
mod manifest;
mod output;
mod process;
mod socket_dir;
mod supervise;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub(crate) use connection::Connection;
pub(crate) use discover::{go_arch, go_os};
pub(crate) use host::{Host, Missing};
pub(crate) use manifest::Manifest;

/// The Grafana whose plugin protocol is spoken; plugins read it as a semantic version.
pub(crate) const GRAFANA_VERSION: &str = "11.0.0";

/// What a plugin does at the moment.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Its process is being started.
    Starting,
    /// It takes calls.
    Running(Connection),
    /// It could not start, or it ended; it is started again after a while. The text is for everyone: nothing that the
    /// plugin wrote is in it.
    Failed(Arc<str>),
    /// The server is going down, or the runner was switched off.
    Stopped,
}

/// An installed plugin.
pub(crate) struct Plugin {
    /// What its `plugin.json` says.
    pub(crate) manifest: Manifest,
    folder: PathBuf,
    executable: PathBuf,
    state: watch::Sender<State>,
    changes: watch::Sender<()>,
}

impl Plugin {
    fn new(found: discover::Found, changes: watch::Sender<()>) -> Self {
        let discover::Found { manifest, folder, executable } = found;
        Self { manifest, folder, executable, state: watch::Sender::new(State::Starting), changes }
    }

    /// What it does now.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Returns once it was stopped for good.
    pub(crate) async fn stopped(&self) {
        let mut state = self.state.subscribe();
        // An error would mean that the sender is gone, and it is borrowed here.
        let _ = state.wait_for(|state| matches!(state, State::Stopped)).await;
    }

    /// Tells callers first, and then whoever follows all plugins.
    fn enter(&self, state: State) {
        self.state.send_replace(state);
        self.changes.send_replace(());
    }
}
