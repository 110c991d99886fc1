//! The life of the server's parts: what they are given when they start, and who ends them.

use std::future::Future;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::health::Checks;
use crate::leadership::Leadership;

/// Handed to whatever runs in the background. Tasks spawned here are waited for at shutdown.
#[derive(Clone)]
pub struct RunContext {
    draining: CancellationToken,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    checks: Arc<Checks>,
    leadership: Leadership,
}

impl RunContext {
    /// The context of a whole server that has its store to itself.
    pub fn new(checks: Arc<Checks>) -> Self {
        let (draining, shutdown) = (CancellationToken::new(), CancellationToken::new());
        Self { draining, shutdown, tasks: TaskTracker::new(), checks, leadership: Leadership::alone() }
    }

    /// The same context, of a server whose part among others `leadership` says.
    #[must_use]
    pub fn with_leadership(self, leadership: Leadership) -> Self {
        Self { leadership, ..self }
    }

    /// The same context, whose hooks count for `checks`: a part that begins while the server serves is not what its
    /// readiness depends on.
    #[must_use]
    pub fn with_checks(self, checks: Arc<Checks>) -> Self {
        Self { checks, ..self }
    }

    /// Whether this server is the one that writes what controllers write. What is only served does not depend on it.
    pub fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// A context that ends with this one, or earlier by its own [`Self::cancel`].
    #[must_use]
    pub fn child(&self) -> Self {
        Self { draining: self.draining.child_token(), shutdown: self.shutdown.child_token(), ..self.clone() }
    }

    /// A child whose tasks can be waited for by themselves.
    #[must_use]
    pub fn group(&self) -> Self {
        Self { tasks: TaskTracker::new(), ..self.child() }
    }

    /// Spawns a task that is dropped at its next await once the context ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                // The end comes first, so that a task which is always ready cannot outrun it.
                biased;
                () = shutdown.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Spawns a task that ends by itself when [`Self::cancelled`] says so.
    pub fn spawn_graceful(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Runs `hook` once the server serves; `/readyz` waits for it under `poststarthook/NAME`, until the context ends.
    pub fn post_start_hook(
        &self,
        name: &str,
        hook: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let check = format!("poststarthook/{name}");
        let gate = self.checks.gate(&check);
        let (name, checks, shutdown) = (name.to_owned(), Arc::clone(&self.checks), self.shutdown.clone());
        self.spawn_graceful(async move {
            let outcome = tokio::select! {
                biased;
                () = shutdown.cancelled() => Ok(()),
                outcome = hook => outcome.inspect(|()| gate.open()),
            };
            if let Err(fault) = outcome {
                tracing::error!(hook = name, error = format!("{fault:#}"), "post-start hook failed");
                gate.fail(format!("{fault:#}"));
            }
            // A part that was switched off is nothing to wait for.
            shutdown.cancelled().await;
            checks.remove(&check);
        });
    }

    /// Waits until the context ends.
    pub async fn cancelled(&self) {
        self.shutdown.cancelled().await;
    }

    /// Whether the context has ended.
    pub fn is_cancelled(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Waits until the server begins to stop: long answers end now, so that others can be finished.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Whether the server begins to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Begins to stop: what goes on for as long as a client listens ends, background work goes on.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Ends the context.
    pub fn cancel(&self) {
        self.draining.cancel();
        self.shutdown.cancel();
    }

    /// Waits until all tasks have ended; call [`Self::cancel`] first.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Kind;
    use std::future::pending;

    #[tokio::test]
    async fn readiness_waits_for_no_hook_of_a_part_that_has_ended() {
        let checks = Arc::new(Checks::default());
        let context = RunContext::new(Arc::clone(&checks)).group();
        context.post_start_hook("slow", pending());
        context.post_start_hook("bad", async { anyhow::bail!("no") });
        assert_eq!(checks.run(Kind::Ready).len(), 2);
        context.cancel();
        context.drained().await;
        assert!(checks.run(Kind::Ready).is_empty());
    }
}
