//! The numbers as `/metrics` shows them. Names without `detectviz_` are kube-aggregator's.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;

use super::ProxyMetrics;
use super::certificates;
use super::numbers::{Numbers, Open, Sum};

pub(super) struct Told(pub(super) ProxyMetrics);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

pub(super) type All<'a> = &'a [(String, Arc<Numbers>)];

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.0.all();
        availability(&mut encoder, &all)?;
        answers(&mut encoder, &all)?;
        latency(&mut encoder, &all)?;
        bytes(&mut encoder, &all)?;
        opened(&mut encoder, &all)?;
        certificates::encode(&mut encoder, &all)
    }
}

fn availability(encoder: &mut DescriptorEncoder<'_>, all: All<'_>) -> fmt::Result {
    let (name, help) = (
        "aggregator_unavailable_apiservice",
        "Whether a remote APIService is unavailable (1) or available (0)",
    );
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (name, numbers) in all {
        if let Some(unavailable) = numbers.unavailable().0 {
            metric.encode_family(&[("name", name.as_str())])?.encode_gauge(&i64::from(unavailable))?;
        }
    }
    // A counter's ending is no part of its name, and then the two had one name: so this one's type is left open.
    let (name, help) = (
        "aggregator_unavailable_apiservice_total",
        "How often a remote APIService became unavailable, by reason",
    );
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Unknown)?;
    for (name, numbers) in all {
        for (reason, count) in numbers.unavailable().1 {
            let labels = [("name", name.as_str()), ("reason", reason)];
            metric.encode_family(&labels)?.encode_gauge(&count)?;
        }
    }
    Ok(())
}

fn answers(encoder: &mut DescriptorEncoder<'_>, all: All<'_>) -> fmt::Result {
    let (name, help) =
        ("detectviz_aggregator_requests", "Requests to remote APIServices, by code of the answer");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (name, numbers) in all {
        for (code, count) in numbers.codes() {
            let labels = [("name", name.clone()), ("code", code.to_string())];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    let (name, help) =
        ("detectviz_aggregator_errors", "Requests that got no answer of their backend, by kind");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (name, numbers) in all {
        for (kind, count) in numbers.faults() {
            let labels = [("name", name.as_str()), ("kind", kind)];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    Ok(())
}

fn latency(encoder: &mut DescriptorEncoder<'_>, all: All<'_>) -> fmt::Result {
    let (name, help) =
        ("detectviz_aggregator_request_duration_seconds", "Time until a remote APIService's answer began");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (name, numbers) in all {
        let (sum, buckets) = numbers.latency();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let labels = [("name", name.as_str())];
        metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
    }
    Ok(())
}

fn bytes(encoder: &mut DescriptorEncoder<'_>, all: All<'_>) -> fmt::Result {
    type Value = fn(&Numbers) -> &Sum;
    let rows: [(&str, &str, Value); 2] = [
        (
            "detectviz_aggregator_received_bytes",
            "Bytes of bodies and tunnels from remote APIServices",
            |numbers| &numbers.received,
        ),
        ("detectviz_aggregator_sent_bytes", "Bytes of bodies and tunnels to remote APIServices", |numbers| {
            &numbers.sent
        }),
    ];
    for (name, help, value) in rows {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (name, numbers) in all {
            let labels = [("name", name.as_str())];
            metric
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value(numbers).get(), None)?;
        }
    }
    Ok(())
}

fn opened(encoder: &mut DescriptorEncoder<'_>, all: All<'_>) -> fmt::Result {
    for (name, help, kind) in [
        ("detectviz_aggregator_open_streams", "Answers without an end that are under way", Open::Stream),
        ("detectviz_aggregator_open_tunnels", "Connections that became something else", Open::Tunnel),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (name, numbers) in all {
            metric.encode_family(&[("name", name.as_str())])?.encode_gauge(&numbers.opened(kind))?;
        }
    }
    Ok(())
}
