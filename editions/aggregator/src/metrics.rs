//! What is measured of remote APIServices. Labels are names of APIServices that exist, and go with them: numbers are kept
//! beside the APIService and read when somebody asks, so that a request costs a few additions and no look-up.

mod certificates;
mod numbers;
mod told;

use detectviz_core::metrics::Metrics;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use numbers::{Fault, Numbers, Open, Opened, Sum};
use told::Told;

/// The numbers of every remote APIService, by name. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct ProxyMetrics(Arc<Mutex<BTreeMap<String, Arc<Numbers>>>>);

impl ProxyMetrics {
    /// Registers the metrics.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| registry.register_collector(Box::new(Told(own.clone()))));
        own
    }

    /// What is counted of `name`, which is published from now on. A request looks it up once, when its route is made; what
    /// comes after [`Self::remove`] is counted nowhere.
    pub(crate) fn of(&self, name: &str) -> Arc<Numbers> {
        Arc::clone(self.lock().entry(name.to_owned()).or_default())
    }

    /// Whether `name` is available, and why not.
    pub(crate) fn available(&self, name: &str, outcome: Result<(), &'static str>) {
        self.of(name).available(outcome);
    }

    /// `name` is gone; from now on nothing is shown of it.
    pub(crate) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    fn all(&self) -> Vec<(String, Arc<Numbers>)> {
        self.lock().iter().map(|(name, numbers)| (name.clone(), Arc::clone(numbers))).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Numbers>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn series_go_with_their_api_service() {
        let registry = Metrics::default();
        let metrics = ProxyMetrics::register(&registry);
        metrics.available("v1.a", Err("FailedDiscoveryCheck"));
        let numbers = metrics.of("v1.a");
        numbers.answered(200, Duration::from_millis(3));
        numbers.failed(Fault::Connect);
        numbers.received.add(7);
        let watch = numbers.open(Open::Stream);
        let text = registry.render();
        for line in [
            r#"aggregator_unavailable_apiservice{name="v1.a"} 1"#,
            r#"aggregator_unavailable_apiservice_total{name="v1.a",reason="FailedDiscoveryCheck"} 1"#,
            r#"detectviz_aggregator_requests_total{name="v1.a",code="200"} 1"#,
            r#"detectviz_aggregator_errors_total{name="v1.a",kind="connect"} 1"#,
            r#"detectviz_aggregator_received_bytes_total{name="v1.a"} 7"#,
            r#"detectviz_aggregator_open_streams{name="v1.a"} 1"#,
            r#"detectviz_aggregator_request_duration_seconds_bucket{le="0.005",name="v1.a"} 1"#,
            r#"detectviz_aggregator_request_duration_seconds_count{name="v1.a"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        drop(watch);
        assert!(registry.render().contains(r#"detectviz_aggregator_open_streams{name="v1.a"} 0"#));
        metrics.remove("v1.a");
        numbers.answered(200, Duration::ZERO);
        numbers.failed(Fault::Connect);
        assert!(!registry.render().contains("v1.a"), "an answer that was under way brings nothing back");
    }

    #[test]
    fn an_api_service_is_counted_as_unavailable_once_a_change() {
        let registry = Metrics::default();
        let metrics = ProxyMetrics::register(&registry);
        for outcome in [Err("A"), Err("A"), Err("B"), Ok(()), Err("A")] {
            metrics.available("v1.a", outcome);
        }
        let text = registry.render();
        for (reason, count) in [("A", 2), ("B", 1)] {
            let line = format!(
                r#"aggregator_unavailable_apiservice_total{{name="v1.a",reason="{reason}"}} {count}"#
            );
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
