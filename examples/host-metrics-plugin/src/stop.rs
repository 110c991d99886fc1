//! Besides the host's call, two things end the plugin: SIGTERM, and a host that is gone.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, getppid};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::log;

/// How often the parent is looked at. A host that was killed leaves no other sign.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// What may end the plugin from outside. Made before the host hears of us, so that nothing is missed.
#[derive(Debug)]
pub(crate) struct Watch {
    host: Option<Pid>,
    terminate: Signal,
    /// Ignored, as all plugins do: Ctrl-C at a terminal reaches the whole process group, and it is the host's
    /// decision when its plugins end.
    _interrupt: Signal,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            host: getppid(),
            terminate: signal(SignalKind::terminate()).context("handle SIGTERM")?,
            _interrupt: signal(SignalKind::interrupt()).context("ignore SIGINT")?,
        })
    }

    /// Cancels `stop` when it is time, and then waits to be dropped.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let reason = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            () = parent_is_no_longer(self.host) => "the host is gone",
        };
        log::info("plugin stops", &json!({"reason": reason}));
        stop.cancel();
        std::future::pending().await
    }
}

/// Returns once this process has another parent, as it has when the first one ended.
async fn parent_is_no_longer(host: Option<Pid>) {
    let mut ticks = interval(PARENT_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while getppid() == host {
        ticks.tick().await;
    }
}
