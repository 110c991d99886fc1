//! What the cache and the watches tell at each scrape, under Kubernetes' names where it has them. Labels name served
//! resources alone: no request can make a series.

use detectviz_api::request_info::ResourceInfo;
use detectviz_core::metrics::Metrics;
use detectviz_storage::cache::{Cache, ResourceStats, WAIT_BOUNDS};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::install::Resources;
use crate::resource::Resource;

/// How much a request is about; upstream's words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    /// All namespaces, or a cluster-scoped collection.
    Cluster,
    /// One namespace.
    Namespace,
    /// One object.
    Resource,
}

impl Scope {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Cluster, "cluster"), (Self::Namespace, "namespace"), (Self::Resource, "resource")];

    /// The scope of a request.
    pub(crate) fn of(info: &ResourceInfo) -> Self {
        match (info.name.is_empty(), info.namespace.is_empty()) {
            (false, _) => Self::Resource,
            (true, false) => Self::Namespace,
            (true, true) => Self::Cluster,
        }
    }
}

/// The watches of one served resource.
pub(crate) struct WatchCounts {
    running: [AtomicU64; 3],
    sent: AtomicU64,
    sizes: Histogram,
}

impl Default for WatchCounts {
    fn default() -> Self {
        let sizes = Histogram::new(exponential_buckets(1024.0, 2.0, 8));
        Self { running: Default::default(), sent: AtomicU64::new(0), sizes }
    }
}

/// A watch that is counted until it is dropped.
pub(crate) struct RunningWatch {
    resource: Arc<Resource>,
    scope: Scope,
}

impl RunningWatch {
    pub(crate) fn new(resource: &Arc<Resource>, scope: Scope) -> Self {
        resource.watches.running[scope as usize].fetch_add(1, Ordering::Relaxed);
        Self { resource: Arc::clone(resource), scope }
    }

    /// An event of so many bytes was sent.
    pub(crate) fn sent(&self, bytes: usize) {
        self.resource.watches.sent.fetch_add(1, Ordering::Relaxed);
        self.resource.watches.sizes.observe(bytes as f64);
    }
}

impl Drop for RunningWatch {
    fn drop(&mut self) {
        self.resource.watches.running[self.scope as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

/// Publishes what `cache` and the watches of `resources` tell.
pub fn register(metrics: &Metrics, cache: Arc<Cache>, resources: Arc<Resources>) {
    metrics.register(|registry| registry.register_collector(Box::new(Told { cache, resources })));
}

struct Told {
    cache: Arc<Cache>,
    resources: Arc<Resources>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

/// One number of a resource of the cache.
struct Row {
    name: &'static str,
    help: &'static str,
    counter: bool,
    value: fn(&ResourceStats) -> u64,
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&ResourceStats) -> u64) -> Row {
    Row { name, help, counter: false, value }
}

const fn counter(name: &'static str, help: &'static str, value: fn(&ResourceStats) -> u64) -> Row {
    Row { name, help, counter: true, value }
}

/// The `detectviz_` ones are what upstream does not have.
const ROWS: &[Row] = &[
    gauge("apiserver_resource_objects", "Objects", |stats| stats.objects as u64),
    counter("apiserver_cache_list", "Lists served from the cache", |stats| stats.lists),
    counter("apiserver_watch_cache_events_received", "Events from the store", |stats| stats.received),
    counter("apiserver_watch_cache_events_dispatched", "Events handed to watchers", |stats| stats.dispatched),
    counter("apiserver_watch_cache_initializations", "Reads of all objects from the store", |stats| {
        stats.initializations
    }),
    counter("apiserver_terminated_watchers", "Watchers ended for being too slow", |stats| stats.terminated),
    gauge("watch_cache_capacity", "Events kept for resuming watches", |stats| stats.window_events as u64),
    gauge("detectviz_watch_cache_watchers", "Live watchers", |stats| stats.watchers as u64),
    gauge("detectviz_watch_cache_object_bytes", "Bytes of all objects", |stats| stats.bytes as u64),
    gauge("detectviz_watch_cache_window_bytes", "Bytes of objects in the events kept", |stats| {
        stats.window_bytes as u64
    }),
    gauge(
        "detectviz_watch_cache_oldest_revision",
        "The oldest version that a watch resumes behind",
        |stats| stats.oldest_revision,
    ),
];

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.cache.resources();
        for row in ROWS {
            self.row(&mut encoder, row, &stats)?;
        }
        self.revisions(&mut encoder, &stats)?;
        self.reads(&mut encoder)?;
        self.encodings(&mut encoder)?;
        self.watches(&mut encoder)
    }
}

impl Told {
    fn row(&self, encoder: &mut DescriptorEncoder<'_>, row: &Row, stats: &[ResourceStats]) -> fmt::Result {
        let kind = if row.counter { MetricType::Counter } else { MetricType::Gauge };
        let mut metric = encoder.encode_descriptor(row.name, row.help, None, kind)?;
        for resource in stats {
            let labels = [("group", &*resource.group), ("resource", &*resource.resource)];
            let mut family = metric.encode_family(&labels)?;
            match row.counter {
                true => family.encode_counter::<NoLabelSet, _, u64>(&(row.value)(resource), None)?,
                false => family.encode_gauge(&(row.value)(resource))?,
            }
        }
        Ok(())
    }

    /// One stream feeds all resources, so that all are equally new.
    fn revisions(&self, encoder: &mut DescriptorEncoder<'_>, stats: &[ResourceStats]) -> fmt::Result {
        let revision = self.cache.applied_revision();
        let help = "The version up to which the cache has seen everything";
        let name = "apiserver_watch_cache_resource_version";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for resource in stats {
            let labels = [("group", &*resource.group), ("resource", &*resource.resource)];
            metric.encode_family(&labels)?.encode_gauge(&revision)?;
        }
        Ok(())
    }

    /// Without labels of a resource: a read waits for the one stream that feeds them all.
    fn reads(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let reads = self.cache.reads();
        let help = "Reads that asked for the newest state";
        let name = "apiserver_watch_cache_consistent_read";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (success, count) in [("true", reads.consistent), ("false", reads.failed)] {
            let labels = [("success", success), ("fallback", "false")];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let bounds = WAIT_BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(reads.waits).collect();
        let help = "How long reads waited until the cache was new enough";
        let name = "apiserver_watch_cache_read_wait_seconds";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(reads.waited, reads.waits.iter().sum(), &buckets, None)
    }

    fn encodings(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.cache.stats();
        let help = "Bytes of events that are kept encoded for several watchers";
        let name = "detectviz_watch_cache_encoding_bytes";
        encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&(stats.encoding_bytes as u64))?;
        let help = "Events that watchers asked for, by whether they had to be encoded";
        let name = "detectviz_watch_cache_encodings";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (shared, count) in [("false", stats.encodings), ("true", stats.encodings_shared)] {
            let labels = [("shared", shared)];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn watches(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("apiserver_longrunning_requests", "Watches under way");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for resource in self.resources.all() {
            for (scope, word) in Scope::ALL {
                let running = resource.watches.running[scope as usize].load(Ordering::Relaxed);
                let [group, version, plural] = labels(resource);
                let labels = [("verb", "WATCH"), group, version, plural, ("scope", word)];
                metric.encode_family(&labels)?.encode_gauge(&running)?;
            }
        }
        let (name, help) = ("apiserver_watch_events", "Events sent to clients");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for resource in self.resources.all() {
            let sent = resource.watches.sent.load(Ordering::Relaxed);
            let labels = labels(resource);
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&sent, None)?;
        }
        let (name, help) = ("apiserver_watch_events_sizes", "Bytes of the events sent to clients");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for resource in self.resources.all() {
            resource.watches.sizes.encode(metric.encode_family(&labels(resource))?)?;
        }
        Ok(())
    }
}

fn labels(resource: &Resource) -> [(&'static str, &str); 3] {
    let gvr = &resource.gvr;
    [("group", &*gvr.group), ("version", &*gvr.version), ("resource", &*gvr.resource)]
}
