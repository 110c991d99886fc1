//! What the endpoints of remote APIServices are like: read from their clusters when somebody asks.

use detectviz_client::cluster::{BreakerState, ClusterState, Standing};
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::told::All;
use crate::backend::Backend;

/// What an endpoint may be, as a label.
const STANDINGS: [&str; 4] = ["healthy", "trial", "ejected", "unreachable"];

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, all: All<'_>) -> fmt::Result {
    let states: Vec<(&str, Arc<Backend>, ClusterState)> = all
        .iter()
        .filter_map(|(name, numbers)| {
            let backend = numbers.backend()?;
            let state = backend.state();
            Some((name.as_str(), backend, state))
        })
        .collect();
    counters(encoder, &states)?;
    gauges(encoder, &states)?;
    standings(encoder, &states)
}

type States<'a> = &'a [(&'a str, Arc<Backend>, ClusterState)];

fn counters(encoder: &mut DescriptorEncoder<'_>, states: States<'_>) -> fmt::Result {
    type Value = fn(&ClusterState) -> u64;
    let rows: [(&str, &str, Value); 2] = [
        ("detectviz_aggregator_retries", "Requests that were tried again at another endpoint", |state| {
            state.retried
        }),
        ("detectviz_aggregator_ejections", "Endpoints that were taken out after bad answers", |state| {
            state.ejected
        }),
    ];
    for (name, help, value) in rows {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (name, _, state) in states {
            let labels = [("name", *name)];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value(state), None)?;
        }
    }
    Ok(())
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, states: States<'_>) -> fmt::Result {
    type Value = fn(&Backend, &ClusterState) -> Option<i64>;
    let rows: [(&str, &str, Value); 3] = [
        (
            "detectviz_aggregator_breaker_state",
            "Whether requests are sent (0), a connection is tried first (1), or none can be made (2)",
            |_, state| Some(breaker(state.breaker)),
        ),
        (
            "detectviz_aggregator_backend_certificate_expiry_timestamp_seconds",
            "When the first of the certificates expires that the endpoints have shown",
            |_, state| {
                seconds(state.endpoints.iter().filter_map(|endpoint| endpoint.certificate_expiry).min())
            },
        ),
        (
            "detectviz_aggregator_client_certificate_expiry_timestamp_seconds",
            "When the certificate expires that is shown to the endpoints",
            |backend, _| seconds(backend.own_expiry()),
        ),
    ];
    for (name, help, value) in rows {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (name, backend, state) in states {
            if let Some(value) = value(backend, state) {
                metric.encode_family(&[("name", *name)])?.encode_gauge(&value)?;
            }
        }
    }
    Ok(())
}

fn standings(encoder: &mut DescriptorEncoder<'_>, states: States<'_>) -> fmt::Result {
    let (name, help) =
        ("detectviz_aggregator_endpoints", "Endpoints of remote APIServices, by what they are given");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (name, _, state) in states {
        for standing in STANDINGS {
            let of = state.endpoints.iter().filter(|endpoint| label(endpoint.standing) == standing);
            let count = i64::try_from(of.count()).unwrap_or(i64::MAX);
            metric.encode_family(&[("name", *name), ("standing", standing)])?.encode_gauge(&count)?;
        }
    }
    Ok(())
}

fn breaker(state: BreakerState) -> i64 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}

fn label(standing: Standing) -> &'static str {
    match standing {
        Standing::Healthy => "healthy",
        Standing::Trial => "trial",
        Standing::Ejected(_) => "ejected",
        Standing::Unreachable => "unreachable",
    }
}

fn seconds(time: Option<SystemTime>) -> Option<i64> {
    i64::try_from(time?.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}
