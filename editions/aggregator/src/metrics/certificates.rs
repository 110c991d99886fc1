//! When certificates end, which nobody notices before: read from backends when somebody asks.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::told::All;

/// The metrics, in the order of `Backend::expiries`.
const ROWS: [(&str, &str); 2] = [
    (
        "detectviz_aggregator_backend_certificate_expiry_timestamp_seconds",
        "When the first of the certificates expires that the endpoints have shown",
    ),
    (
        "detectviz_aggregator_client_certificate_expiry_timestamp_seconds",
        "When the certificate expires that is shown to the endpoints",
    ),
];

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, all: All<'_>) -> fmt::Result {
    let expiries: Vec<_> = all
        .iter()
        .filter_map(|(name, numbers)| Some((name.as_str(), numbers.backend()?.expiries())))
        .collect();
    for (index, (name, help)) in ROWS.into_iter().enumerate() {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (name, expiries) in &expiries {
            if let Some(seconds) = seconds(expiries[index]) {
                metric.encode_family(&[("name", *name)])?.encode_gauge(&seconds)?;
            }
        }
    }
    Ok(())
}

fn seconds(time: Option<SystemTime>) -> Option<i64> {
    i64::try_from(time?.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}
