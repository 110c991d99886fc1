//! A `DataPlaneService` as the controller reads it: which plugin answers, for which group-version, and for what.

use detectviz_api::{GroupVersion, meta};
use serde_json::Value;

/// Where DataPlaneServices are.
pub(crate) const COLLECTION: &str = "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices";

/// The one service type that is served.
const QUERY: &str = "query";

/// The parts of a DataPlaneService that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// The object's name; `VERSION.GROUP` by convention.
    pub(crate) name: String,
    /// The plugin's id.
    pub(crate) plugin_id: String,
    /// `app` or `datasource`.
    pub(crate) plugin_type: String,
    /// What the plugin answers for.
    pub(crate) group_version: GroupVersion,
    /// The service types that were asked for.
    pub(crate) types: Vec<String>,
}

impl Service {
    /// Reads an object; what the schema requires and is missing all the same reads as empty.
    pub(crate) fn read(object: &Value) -> Self {
        let text = |field: &str| object["spec"][field].as_str().unwrap_or_default().to_owned();
        let services = object["spec"]["services"].as_array().into_iter().flatten();
        Self {
            name: meta::name(object).to_owned(),
            plugin_id: text("pluginID"),
            plugin_type: text("pluginType"),
            group_version: GroupVersion::new(text("group"), text("version")),
            types: services.filter_map(|service| service["type"].as_str()).map(str::to_owned).collect(),
        }
    }

    /// Whether queries are asked for.
    pub(crate) fn has_query(&self) -> bool {
        self.types.iter().any(|kind| kind == QUERY)
    }

    /// The service types that nothing here serves.
    pub(crate) fn unserved(&self) -> Vec<&str> {
        self.types.iter().map(String::as_str).filter(|kind| *kind != QUERY).collect()
    }

    /// The order in which services claim their group-version: one with the conventional name goes first.
    pub(crate) fn claim_order(&self) -> (bool, &str) {
        (self.name != self.group_version.api_service_name(), &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_read_with_what_is_served_and_what_is_not() {
        let service = Service::read(&json!({
            "metadata": {"name": "v1.p.io"},
            "spec": {"pluginID": "p", "pluginType": "datasource", "group": "p.io", "version": "v1",
                     "services": [{"type": "query"}, {"type": "stream"}]},
        }));
        assert_eq!((service.plugin_id.as_str(), service.group_version.to_string()), ("p", "p.io/v1".into()));
        assert!(service.has_query() && service.unserved() == ["stream"] && !service.claim_order().0);
        assert!(!Service::read(&json!({})).has_query());
    }
}
