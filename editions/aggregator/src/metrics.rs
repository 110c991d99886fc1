//! What is measured of remote APIServices. Labels are names of APIServices that exist, and go with them.

use detectviz_core::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    name: String,
    code: u16,
}

/// Counts what was proxied, and shows what is unavailable under kube-aggregator's metric name.
#[derive(Clone, Default)]
pub(crate) struct ProxyMetrics {
    requests: Family<Answer, Counter>,
    unavailable: Family<Name, Gauge>,
}

impl ProxyMetrics {
    /// Registers the metrics.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            registry.register(
                "aggregator_proxied_requests",
                "Requests to remote APIServices, by APIService and code of the answer",
                own.requests.clone(),
            );
            registry.register(
                "aggregator_unavailable_apiservice",
                "Whether a remote APIService is unavailable (1) or available (0)",
                own.unavailable.clone(),
            );
        });
        own
    }

    /// A request to `name` was answered with `code`. Counts only while it is known whether `name` is available: an
    /// answer that comes after [`Self::remove`] must not bring the series back.
    pub(crate) fn proxied(&self, name: &str, code: u16) {
        // Held while counting, so that a removal comes before or after.
        let Some(_known) = self.unavailable.get(&Name { name: name.to_owned() }) else { return };
        self.requests.get_or_create(&Answer { name: name.to_owned(), code }).inc();
    }

    /// Whether `name` is available.
    pub(crate) fn available(&self, name: &str, available: bool) {
        self.unavailable.get_or_create(&Name { name: name.to_owned() }).set(i64::from(!available));
    }

    /// `name` is gone; from now on nothing is counted of it.
    pub(crate) fn remove(&self, name: &str) {
        self.unavailable.remove(&Name { name: name.to_owned() });
        for code in 100..1000 {
            self.requests.remove(&Answer { name: name.to_owned(), code });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_go_with_their_api_service() {
        let registry = Metrics::default();
        let metrics = ProxyMetrics::register(&registry);
        metrics.available("v1.a", false);
        metrics.proxied("v1.a", 200);
        let text = registry.render();
        assert!(text.contains(r#"aggregator_proxied_requests_total{name="v1.a",code="200"} 1"#), "{text}");
        assert!(text.contains(r#"aggregator_unavailable_apiservice{name="v1.a"} 1"#), "{text}");
        metrics.remove("v1.a");
        assert!(!registry.render().contains("v1.a"));
        metrics.proxied("v1.a", 200);
        assert!(!registry.render().contains("v1.a"), "an answer that was under way brings nothing back");
    }
}
