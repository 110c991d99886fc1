//! Health answers for one data source's settings; metrics are about the plugin's own process.

use std::sync::atomic::Ordering;

use detectviz_pluginv2::proto::check_health_response::HealthStatus;
use detectviz_pluginv2::proto::collect_metrics_response::Payload;
use detectviz_pluginv2::proto::diagnostics_server::Diagnostics;
use detectviz_pluginv2::proto::{
    CheckHealthRequest, CheckHealthResponse, CollectMetricsRequest, CollectMetricsResponse, PluginContext,
};
use serde_json::json;
use tonic::{Request, Response, Status, async_trait};

use super::Plugin;
use crate::query::Settings;
use crate::sample::{self, disk};

/// A last sample older than this many intervals means that sampling is stuck.
const STALE_INTERVALS: u32 = 10;

#[async_trait]
impl Diagnostics for Plugin {
    async fn check_health(
        &self,
        request: Request<CheckHealthRequest>,
    ) -> Result<Response<CheckHealthResponse>, Status> {
        let (status, message) = match self.check(request.get_ref().plugin_context.as_ref()).await {
            Ok(message) => (HealthStatus::Ok, message),
            Err(message) => (HealthStatus::Error, message),
        };
        let (samples, last_sample_ms) = self.sampler.series.extent();
        let details = json!({
            "samples": samples,
            "lastSampleMS": last_sample_ms,
            "intervalMS": self.sampler.interval.as_millis(),
            "unreadable": self.sampler.faults(),
        });
        let json_details = details.to_string().into();
        Ok(Response::new(CheckHealthResponse { status: status.into(), message, json_details }))
    }

    async fn collect_metrics(
        &self,
        _: Request<CollectMetricsRequest>,
    ) -> Result<Response<CollectMetricsResponse>, Status> {
        let metrics = Some(Payload { prometheus: self.exposition().into() });
        Ok(Response::new(CollectMetricsResponse { metrics }))
    }
}

impl Plugin {
    /// Says what is well, or what is not.
    async fn check(&self, context: Option<&PluginContext>) -> Result<String, String> {
        let settings = Settings::of(context).map_err(|error| error.to_string())?;
        check_disks(settings.disks).await?;
        let (samples, last_ms) = self.sampler.series.extent();
        let age_ms = sample::epoch_ms().saturating_sub(last_ms.ok_or("no sample was taken yet")?);
        if i128::from(age_ms) > (self.sampler.interval * STALE_INTERVALS).as_millis().cast_signed() {
            return Err(format!("the last sample is {age_ms} ms old: sampling is stuck"));
        }
        Ok(format!("{samples} samples of this machine, the last one {age_ms} ms old"))
    }

    /// The plugin's own metrics in Prometheus' text form.
    fn exposition(&self) -> String {
        let answered = self.counts.answered.load(Ordering::Relaxed);
        let refused = self.counts.refused.load(Ordering::Relaxed);
        let (kept, _) = self.sampler.series.extent();
        let taken = self.sampler.taken();
        format!(
            "# HELP host_metrics_queries_total Queries, by whether they had an answer.\n\
             # TYPE host_metrics_queries_total counter\n\
             host_metrics_queries_total{{outcome=\"answered\"}} {answered}\n\
             host_metrics_queries_total{{outcome=\"refused\"}} {refused}\n\
             # HELP host_metrics_samples_taken_total Samples taken since the start.\n\
             # TYPE host_metrics_samples_taken_total counter\n\
             host_metrics_samples_taken_total {taken}\n\
             # HELP host_metrics_samples_kept Samples that queries can reach.\n\
             # TYPE host_metrics_samples_kept gauge\n\
             host_metrics_samples_kept {kept}\n"
        )
    }
}

/// Measures each path once, on a thread that may block.
async fn check_disks(disks: Vec<String>) -> Result<(), String> {
    let check = move || {
        let failed =
            |disk: &String| disk::usage(disk).err().map(|error| format!("measure disk {disk}: {error}"));
        disks.iter().find_map(failed)
    };
    match tokio::task::spawn_blocking(check).await {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err(failure),
        Err(error) => Err(format!("measure disks: {error}")),
    }
}
