//! What the dataplane measures, under the prefix `dataplane_`. Labels come from installed plugins, never from requests.

use detectviz_core::metrics::Metrics as Registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

type Labels = Vec<(&'static str, String)>;

/// The series; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    queries: Family<Labels, Counter>,
    restarts: Family<Labels, Counter>,
    up: Family<Labels, Gauge>,
}

impl Metrics {
    /// Puts the series into the server's registry.
    pub(crate) fn register(&self, registry: &Registry) {
        registry.register(|registry| {
            let registry = registry.sub_registry_with_prefix("dataplane");
            registry.register(
                "queries",
                "Query requests by plugin and HTTP status code",
                self.queries.clone(),
            );
            registry.register(
                "plugin_restarts",
                "Times that a plugin was started again",
                self.restarts.clone(),
            );
            registry.register("plugin_up", "Whether a plugin takes calls", self.up.clone());
        });
    }

    /// Counts a query that was answered with the HTTP status `code`.
    pub(crate) fn count_query(&self, plugin: &str, code: u16) {
        let labels = vec![("plugin", plugin.to_owned()), ("code", code.to_string())];
        self.queries.get_or_create(&labels).inc();
    }

    /// Counts a start after the first one.
    pub(crate) fn count_restart(&self, plugin: &str) {
        self.restarts.get_or_create(&vec![("plugin", plugin.to_owned())]).inc();
    }

    /// Notes whether a plugin takes calls.
    pub(crate) fn set_up(&self, plugin: &str, up: bool) {
        self.up.get_or_create(&vec![("plugin", plugin.to_owned())]).set(i64::from(up));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_carry_the_prefix_and_their_labels() {
        let (registry, metrics) = (Registry::default(), Metrics::default());
        metrics.register(&registry);
        metrics.count_query("p", 200);
        metrics.count_restart("p");
        metrics.set_up("p", true);
        let text = registry.render();
        for line in [
            "dataplane_queries_total{plugin=\"p\",code=\"200\"} 1",
            "dataplane_plugin_restarts_total{plugin=\"p\"} 1",
            "dataplane_plugin_up{plugin=\"p\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
