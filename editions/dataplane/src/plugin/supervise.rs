//! One task a plugin: start, watch, start again with growing pauses; at the end, stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use detectviz_core::RunContext;
use tokio::time::{Instant, sleep};

use super::process::{Process, StartError};
use super::socket_dir::SocketDir;
use super::{Connection, Plugin, State};
use crate::metrics::Metrics;

/// The pause before a plugin is started again, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What every supervisor needs.
#[derive(Clone)]
pub(crate) struct Bounds {
    /// The server's data folder, in which sockets are made.
    pub(crate) data_dir: PathBuf,
    /// How long a start may take.
    pub(crate) start_timeout: Duration,
    /// The most bytes of an answer.
    pub(crate) max_response_bytes: usize,
}

/// How one run of a plugin ended.
enum End {
    /// The context ended, and the plugin with it.
    Stopped,
    /// The plugin failed, and when it had been ready for this long.
    Failed(String, Option<Duration>),
}

/// Keeps `plugin` running until `context` ends; then it is gone, process and socket.
pub(crate) async fn supervise(plugin: Arc<Plugin>, context: RunContext, bounds: Bounds, metrics: Metrics) {
    let id = plugin.manifest.id.as_str();
    let mut pause = BACKOFF.0;
    metrics.set_up(id, false);
    while !context.is_cancelled() {
        let end = run(&plugin, &context, &bounds, &metrics).await;
        metrics.set_up(id, false);
        let End::Failed(why, ready) = end else { break };
        if ready.is_some_and(|ready| ready >= BACKOFF.1) {
            pause = BACKOFF.0;
        }
        report(id, &why, ready, pause);
        plugin.enter(State::Failed(why.into()));
        tokio::select! {
            () = context.cancelled() => break,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(BACKOFF.1);
        metrics.count_restart(id);
        plugin.enter(State::Starting);
    }
    plugin.enter(State::Stopped);
}

/// A plugin that never came up needs a person; one that went away is on its way back.
fn report(id: &str, why: &str, ready: Option<Duration>, pause: Duration) {
    let again = pause.as_secs();
    match ready {
        None => tracing::error!(plugin = id, error = why, again_in_seconds = again, "plugin did not start"),
        Some(_) => tracing::warn!(plugin = id, error = why, again_in_seconds = again, "plugin ended"),
    }
}

async fn run(plugin: &Plugin, context: &RunContext, bounds: &Bounds, metrics: &Metrics) -> End {
    let spawned = SocketDir::create(&bounds.data_dir, &plugin.manifest.id)
        .map_err(StartError::SocketDir)
        .and_then(|sockets| Ok((Process::spawn(plugin, &sockets)?, sockets)));
    // The folder is dropped after the process, and with it a socket that was left behind.
    let (mut process, _sockets) = match spawned {
        Ok(spawned) => spawned,
        Err(fault) => return End::Failed(fault.to_string(), None),
    };
    let connected = tokio::select! {
        () = context.cancelled() => {
            process.kill().await;
            return End::Stopped;
        }
        connected = process.connect(bounds.start_timeout, bounds.max_response_bytes) => connected,
    };
    match connected {
        Ok(connection) => {
            metrics.set_up(&plugin.manifest.id, true);
            watch(plugin, context, &mut process, connection).await
        }
        Err(fault) => {
            let exit = process.kill().await;
            End::Failed(format!("{fault} ({exit})"), None)
        }
    }
}

async fn watch(plugin: &Plugin, context: &RunContext, process: &mut Process, connection: Connection) -> End {
    let since = Instant::now();
    tracing::info!(plugin = plugin.manifest.id, version = plugin.manifest.version, "plugin runs");
    plugin.enter(State::Running(connection.clone()));
    tokio::select! {
        () = context.cancelled() => {
            let exit = process.shutdown(&connection).await;
            tracing::info!(plugin = plugin.manifest.id, exit, "plugin stopped");
            End::Stopped
        }
        exit = process.ended() => End::Failed(format!("it ended ({exit})"), Some(since.elapsed())),
    }
}
