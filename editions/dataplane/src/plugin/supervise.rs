//! One task a plugin: start, watch, start again with growing pauses; at the end, stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use detectviz_core::RunContext;
use tokio::time::{Instant, sleep};

use super::health::{self, Probe};
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
    /// How a running plugin is asked for its health.
    pub(crate) probe: Probe,
}

/// How one run of a plugin ended.
enum End {
    /// The context ended, and the plugin with it.
    Stopped,
    /// The plugin failed.
    Failed(Failure),
}

struct Failure {
    /// Why, for everyone.
    why: String,
    /// Why, with paths and the plugin's own words, for the log.
    detail: String,
    /// How long it had been ready.
    ready: Option<Duration>,
}

/// Keeps `plugin` running until `context` ends; then it is gone, process and socket.
pub(crate) async fn supervise(plugin: Arc<Plugin>, context: RunContext, bounds: Bounds, metrics: Metrics) {
    let id = plugin.manifest.id.as_str();
    let mut pause = BACKOFF.0;
    metrics.set_up(id, false);
    while !context.is_cancelled() {
        let end = run(&plugin, &context, &bounds, &metrics).await;
        metrics.set_up(id, false);
        let End::Failed(failure) = end else { break };
        if failure.ready.is_some_and(|ready| ready >= BACKOFF.1) {
            pause = BACKOFF.0;
        }
        report(id, &failure, pause);
        plugin.enter(State::Failed(failure.why.into()));
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
fn report(id: &str, failure: &Failure, pause: Duration) {
    let (why, again) = (failure.detail.as_str(), pause.as_secs());
    match failure.ready {
        None => tracing::error!(plugin = id, error = why, again_in_seconds = again, "plugin did not start"),
        Some(_) => tracing::warn!(plugin = id, error = why, again_in_seconds = again, "plugin ended"),
    }
}

async fn run(plugin: &Plugin, context: &RunContext, bounds: &Bounds, metrics: &Metrics) -> End {
    let spawned = SocketDir::create(&bounds.data_dir, &plugin.manifest.id)
        .map_err(StartError::SocketDir)
        .and_then(|sockets| Process::spawn(plugin, &sockets).map(|process| (sockets, process)));
    // The folder is dropped after the process, and with it a socket that was left behind.
    let (_sockets, mut process) = match spawned {
        Ok(spawned) => spawned,
        Err(fault) => return failed(fault.kind(), fault.to_string(), None),
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
            watch(plugin, context, &mut process, connection, bounds.probe).await
        }
        Err(fault) => {
            let exit = process.kill().await;
            failed(format!("{} ({})", fault.kind(), exit.status), format!("{fault} ({exit})"), None)
        }
    }
}

fn failed(why: String, detail: String, ready: Option<Duration>) -> End {
    End::Failed(Failure { why, detail, ready })
}

async fn watch(
    plugin: &Plugin,
    context: &RunContext,
    process: &mut Process,
    connection: Connection,
    probe: Probe,
) -> End {
    let since = Instant::now();
    tracing::info!(plugin = plugin.manifest.id, version = plugin.manifest.version, "plugin runs");
    plugin.enter(State::Running(connection.clone()));
    tokio::select! {
        () = context.cancelled() => {
            let exit = process.shutdown(&connection).await;
            tracing::info!(plugin = plugin.manifest.id, %exit, "plugin stopped");
            End::Stopped
        }
        exit = process.ended() => {
            failed(format!("it ended ({})", exit.status), format!("it ended ({exit})"), Some(since.elapsed()))
        }
        () = health::hung(&connection, probe) => {
            let ready = since.elapsed();
            let (why, exit) = (format!("it failed {} health checks in a row", probe.failures), process.kill().await);
            failed(why.clone(), format!("{why} ({exit})"), Some(ready))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use detectviz_pluginv2::health::health_check_response::ServingStatus;
    use detectviz_pluginv2::health::health_server::{Health, HealthServer};
    use detectviz_pluginv2::health::{HealthCheckRequest, HealthCheckResponse};
    use futures_util::stream;
    use tokio::net::UnixListener;
    use tokio::sync::watch;
    use tonic::{Request, Response, Status, async_trait};

    use crate::plugin::Manifest;
    use crate::plugin::discover::Found;

    /// Answers once, and then never.
    #[derive(Default)]
    struct Hangs(AtomicBool);

    #[async_trait]
    impl Health for Hangs {
        async fn check(
            &self,
            _: Request<HealthCheckRequest>,
        ) -> Result<Response<HealthCheckResponse>, Status> {
            if self.0.swap(true, Ordering::Relaxed) {
                return std::future::pending().await;
            }
            Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
        }
    }

    /// A script that points to a plugin in this test.
    fn plugin(folder: &Path) -> (Arc<Plugin>, UnixListener) {
        let (socket, executable) = (folder.join("s"), folder.join("gpx"));
        let listener = UnixListener::bind(&socket).unwrap();
        let script = format!("#!/bin/sh\necho '1|2|unix|{}|grpc|'; exec sleep 1000\n", socket.display());
        fs::write(&executable, script).unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).unwrap();
        let manifest = Manifest {
            id: "p".into(),
            kind: "datasource".into(),
            executable: "gpx".into(),
            version: String::new(),
        };
        let found = Found { manifest, folder: folder.to_owned(), executable };
        (Arc::new(Plugin::new(found, watch::Sender::new(()))), listener)
    }

    #[tokio::test]
    async fn a_plugin_that_hangs_is_ended_and_started_again() {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let (plugin, listener) = plugin(folder.path());
        let incoming = stream::unfold(listener, async |listener| {
            Some((listener.accept().await.map(|(stream, _)| stream), listener))
        });
        let health = HealthServer::new(Hangs::default());
        let server = tokio::spawn(tonic::transport::Server::builder().serve_with_incoming(health, incoming));
        let bounds = Bounds {
            data_dir: folder.path().to_owned(),
            start_timeout: Duration::from_secs(60),
            max_response_bytes: 1024,
            probe: Probe {
                pause: Duration::from_millis(1),
                timeout: Duration::from_millis(5),
                ..Probe::default()
            },
        };
        let (context, mut state) = (RunContext::new(Arc::default()), plugin.state.subscribe());
        let supervisor = supervise(Arc::clone(&plugin), context.clone(), bounds, Metrics::default());
        let supervisor = tokio::spawn(supervisor);
        state.wait_for(|state| matches!(state, State::Running(_))).await.unwrap();
        let failed = state.wait_for(|state| matches!(state, State::Failed(_))).await.unwrap().clone();
        let State::Failed(why) = failed else { unreachable!() };
        assert_eq!(&*why, "it failed 3 health checks in a row");
        state.wait_for(|state| matches!(state, State::Starting)).await.unwrap();
        context.cancel();
        supervisor.await.unwrap();
        server.abort();
    }
}
