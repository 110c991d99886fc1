//! What is read again while the server runs: the configuration file and the files of keys and certificates. All are looked
//! at by their content and not by an event, which holds for any way to replace a file, and at once at SIGHUP.

pub(super) mod configuration;
pub(super) mod watched;

use anyhow::Context;
use detectviz_core::RunContext;
use detectviz_core::health::Remarks;
use detectviz_core::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Counts SIGHUPs from now on, until `context` ends.
pub(super) fn hangups(context: &RunContext) -> anyhow::Result<watch::Receiver<u64>> {
    let mut signal = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let (sender, receiver) = watch::channel(0);
    context.spawn(async move {
        while signal.recv().await.is_some() {
            tracing::info!("SIGHUP: reading configuration and certificates again");
            sender.send_modify(|count| *count += 1);
        }
    });
    Ok(receiver)
}

/// Where the outcome of reading something again is told: in the log once, on `/statusz` and in the metrics for as long as
/// it lasts.
#[derive(Clone)]
pub(super) struct Outcomes {
    remarks: Arc<Remarks>,
    successful: Family<Subject, Gauge>,
    reloads: Family<Reload, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Subject {
    subject: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reload {
    subject: &'static str,
    outcome: &'static str,
}

impl Outcomes {
    pub(super) fn new(remarks: &Arc<Remarks>, metrics: &Metrics) -> Self {
        let outcomes =
            Self { remarks: Arc::clone(remarks), successful: Family::default(), reloads: Family::default() };
        metrics.register(|registry| {
            registry.register(
                "apiserver_last_reload_successful",
                "Whether the files as they are now are what is in use",
                outcomes.successful.clone(),
            );
            registry.register("apiserver_reloads", "Files read again", outcomes.reloads.clone());
        });
        outcomes
    }

    /// `subject` is as its files say.
    pub(super) fn good(&self, subject: &'static str) {
        self.successful.get_or_create(&Subject { subject }).set(1);
        self.reloads.get_or_create(&Reload { subject, outcome: "success" }).inc();
        self.remarks.set(subject, None);
    }

    /// The files of `subject` cannot be used: it stays as it is.
    pub(super) fn bad(&self, subject: &'static str, why: &str) {
        self.successful.get_or_create(&Subject { subject }).set(0);
        self.reloads.get_or_create(&Reload { subject, outcome: "failure" }).inc();
        let remark = format!("what was read before stays in use, since the files cannot be used: {why}");
        if self.remarks.set(subject, Some(remark)) {
            tracing::error!(subject, error = why, "not read again: what was read before stays in use");
        }
    }
}
