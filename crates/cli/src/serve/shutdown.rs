//! The end, in two steps: what clients wait for is finished within a bound, then what runs in the background ends.

use anyhow::Context;
use detectviz_core::health::Kind;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::compose::{Parts, Running};

/// How long background work may take to end once nobody is served any more.
const BACKGROUND_GRACE: Duration = Duration::from_secs(5);

/// The signals that stop the server.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens for SIGTERM and SIGINT from now on.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// The next signal's name.
    pub(super) async fn signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Waits for a signal; calls `ready` once every readiness check passed.
pub(super) async fn until(parts: &Parts, stop: &mut Stop, ready: impl FnOnce()) {
    let mut ready = Some(ready);
    loop {
        tokio::select! {
            () = becomes_ready(parts), if ready.is_some() => {
                let tenths = (parts.started.elapsed().as_secs_f64() * 10_000.0).round();
                tracing::info!(after_ms = tenths / 10.0, "ready");
                ready.take().expect("guarded by the branch's condition")();
            }
            signal = stop.signal() => return tracing::info!(signal, "shutting down"),
        }
    }
}

async fn becomes_ready(parts: &Parts) {
    loop {
        let changed = parts.checks.changed();
        if parts.checks.run(Kind::Ready).iter().all(|outcome| outcome.result.is_ok()) {
            return;
        }
        changed.await;
    }
}

/// Takes the server down; another signal cuts the waiting short.
pub(super) async fn run(parts: &Parts, running: Running, stop: &mut Stop) {
    let refuse = || Err("shutting down".to_owned());
    parts.checks.add(Kind::Ready, "shutdown", std::sync::Arc::new(refuse));
    parts.context.drain();
    running.store.cache.drain();
    let grace = parts.options.limits.shutdown_grace;
    tokio::select! {
        done = tokio::time::timeout(grace, running.serving.drained()) => if done.is_err() {
            tracing::warn!(grace_seconds = grace.as_secs(), "requests were still under way when the grace period ended");
        },
        signal = stop.signal() => tracing::info!(signal, "requests under way are cut off"),
    }
    running.lives.stop_modules(BACKGROUND_GRACE).await;
    parts.context.cancel();
    let ended = async { tokio::join!(parts.context.drained(), running.lives.ended()) };
    if tokio::time::timeout(BACKGROUND_GRACE, ended).await.is_err() {
        tracing::warn!("background work did not end in time");
    }
    running.store.cache.stop().await;
    if let Err(fault) = running.store.store.close().await {
        tracing::error!(error = %fault, "close the store");
    }
    tracing::info!("stopped");
}
