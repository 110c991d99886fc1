//! What `/metrics` shows of backends: asked for when somebody reads it, so that a request pays nothing for it.

use detectviz_client::cluster::{BreakerState, ClusterState, Standing};
use detectviz_core::metrics::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::backends::InUse;

/// Shows the backends of whichever run of the aggregator is the last. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackendMetrics(Arc<Mutex<Weak<Mutex<InUse>>>>);

type States = [(String, ClusterState)];

impl BackendMetrics {
    /// Registers the metrics.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| registry.register_collector(Box::new(own.clone())));
        own
    }

    /// Shows these from now on.
    pub(super) fn show(&self, in_use: &Arc<Mutex<InUse>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(in_use);
    }

    fn states(&self) -> Vec<(String, ClusterState)> {
        let in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        in_use.map_or_else(Vec::new, |in_use| in_use.lock().unwrap_or_else(PoisonError::into_inner).states())
    }
}

impl Collector for BackendMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let states = self.states();
        let breaker = |state: &ClusterState| match state.breaker {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        let help = "Whether requests are sent (0), or none because no address can be reached (2; 1 while one is tried)";
        gauge(&mut encoder, ("detectviz_aggregator_breaker_state", help), &states, breaker)?;
        let under_way =
            |state: &ClusterState| (state.requests + state.streams).try_into().unwrap_or(i64::MAX);
        let help = "Requests and streams under way at the backend, which APIServices may share";
        gauge(&mut encoder, ("detectviz_aggregator_backend_under_way", help), &states, under_way)?;
        let help = "Attempts that were another try of a request";
        counter(&mut encoder, ("detectviz_aggregator_retries", help), &states, |state| state.retried)?;
        let help = "How often an address was ejected";
        counter(&mut encoder, ("detectviz_aggregator_ejections", help), &states, |state| state.ejected)?;
        addresses(&mut encoder, &states)
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    states: &States,
    value: impl Fn(&ClusterState) -> i64,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (name, state) in states {
        metric.encode_family(&[("name", name.as_str())])?.encode_gauge(&value(state))?;
    }
    Ok(())
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    states: &States,
    value: impl Fn(&ClusterState) -> u64,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (name, state) in states {
        let labels = [("name", name.as_str())];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value(state), None)?;
    }
    Ok(())
}

/// How many addresses are of use, and how many not.
fn addresses(encoder: &mut DescriptorEncoder<'_>, states: &States) -> fmt::Result {
    let (name, help) = ("detectviz_aggregator_addresses", "Addresses of a backend, by what they are given");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (name, state) in states {
        for standing in ["healthy", "trial", "ejected", "unreachable"] {
            let is = |endpoint: &&_| label(endpoint) == standing;
            let count = i64::try_from(state.endpoints.iter().filter(is).count()).unwrap_or(i64::MAX);
            metric.encode_family(&[("name", name.as_str()), ("standing", standing)])?.encode_gauge(&count)?;
        }
    }
    Ok(())
}

fn label(endpoint: &detectviz_client::cluster::EndpointState) -> &'static str {
    match endpoint.standing {
        Standing::Healthy => "healthy",
        Standing::Trial => "trial",
        Standing::Ejected(_) => "ejected",
        Standing::Unreachable => "unreachable",
    }
}
