//! What is measured of requests. Labels come from what is served, never from what a client sent (CVE-2020-8552).

use detectviz_api::Verb;
use detectviz_core::metrics::Metrics;
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    verb: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

/// The upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

type Latency = Family<VerbLabel, Histogram, fn() -> Histogram>;

/// Counts and times requests.
#[derive(Clone)]
pub struct RequestMetrics {
    total: Family<Labels, Counter>,
    latency: Latency,
    in_flight: Gauge,
    usual: Arc<[Usual; VERBS]>,
}

/// The verbs, and no verb at all.
const VERBS: usize = Verb::Other as usize + 2;

/// What is counted of nearly all requests of one verb, found once.
#[derive(Default)]
struct Usual {
    ok: OnceLock<Counter>,
    latency: OnceLock<Histogram>,
}

impl RequestMetrics {
    /// Registers the metrics under their Kubernetes names.
    pub fn new(metrics: &Metrics) -> Self {
        let latency = Latency::new_with_constructor(|| Histogram::new(BUCKETS));
        let own =
            Self { total: Family::default(), latency, in_flight: Gauge::default(), usual: Arc::default() };
        metrics.register(|registry| {
            registry.register("apiserver_request", "Requests answered, by verb and code", own.total.clone());
            registry.register(
                "apiserver_request_duration_seconds",
                "Time until the answer began, by verb",
                own.latency.clone(),
            );
            registry.register(
                "apiserver_current_inflight_requests",
                "Requests under way",
                own.in_flight.clone(),
            );
        });
        own
    }

    /// Begins to measure one request.
    pub(super) fn start(&self) -> Measured<'_> {
        self.in_flight.inc();
        Measured { metrics: self, since: Instant::now() }
    }
}

/// One request under way; counted until dropped.
pub(super) struct Measured<'a> {
    metrics: &'a RequestMetrics,
    since: Instant,
}

impl Measured<'_> {
    pub(super) fn finish(self, verb: Option<Verb>, code: StatusCode) {
        let RequestMetrics { total, latency, usual, .. } = self.metrics;
        let usual = &usual[verb.map_or(0, |verb| verb as usize + 1)];
        let verb = verb.map_or("unknown", Verb::as_str);
        let counter = || total.get_or_create_owned(&Labels { verb, code: code.as_u16() });
        match code {
            StatusCode::OK => usual.ok.get_or_init(counter).inc(),
            _ => counter().inc(),
        };
        let latency = usual.latency.get_or_init(|| latency.get_or_create_owned(&VerbLabel { verb }));
        latency.observe(self.since.elapsed().as_secs_f64());
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}
