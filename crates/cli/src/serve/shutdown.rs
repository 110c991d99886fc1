//! The end: stop accepting, finish what is under way within a bound, end watches cleanly, close the store.

use anyhow::Context;
use detectviz_core::Module;
use detectviz_core::health::Kind;
use detectviz_server::resource::Backend;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::compose::Parts;
use super::phases::Ends;

/// The signals that stop the server.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

/// Listens for SIGTERM and SIGINT from now on.
pub(super) fn signals() -> anyhow::Result<Stop> {
    let terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(Stop { terminate, interrupt })
}

/// Waits for a signal; calls `ready` once every readiness check passed, and logs runners that end early.
pub(super) async fn until(parts: &Parts, mut stop: Stop, ends: &mut Ends, ready: impl FnOnce()) {
    let mut ready = Some(ready);
    loop {
        tokio::select! {
            () = becomes_ready(parts), if ready.is_some() => {
                let elapsed = parts.started.elapsed();
                tracing::info!(after_ms = elapsed.as_secs_f64() * 1000.0, "ready");
                ready.take().expect("guarded by the branch's condition")();
            }
            Some((name, result)) = ends.recv() => match result {
                Ok(()) => tracing::warn!(name, "runner ended"),
                Err(fault) => tracing::error!(name, error = fault, "runner failed"),
            },
            _ = stop.terminate.recv() => return tracing::info!(signal = "SIGTERM", "shutting down"),
            _ = stop.interrupt.recv() => return tracing::info!(signal = "SIGINT", "shutting down"),
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

/// Takes the server down.
pub(super) async fn run(parts: &Parts, modules: Vec<(&'static str, Arc<dyn Module>)>, backend: Backend) {
    parts.checks.add(Kind::Ready, "shutdown", Arc::new(|| Err("shutting down".to_owned())));
    for (name, module) in modules.into_iter().rev() {
        if let Err(fault) = module.stop().await {
            tracing::error!(name, error = format!("{fault:#}"), "stop module");
        }
    }
    parts.context.cancel();
    let grace = parts.options.limits.shutdown_grace;
    if tokio::time::timeout(grace, parts.context.drained()).await.is_err() {
        tracing::warn!(
            grace_seconds = grace.as_secs(),
            "requests were still under way when the grace period ended"
        );
    }
    backend.cache.stop().await;
    if let Err(fault) = backend.store.close().await {
        tracing::error!(error = %fault, "close the store");
    }
    tracing::info!("stopped");
}
