//! What registers the examples: the objects that a person would write and apply.

use serde_json::{Value, json};

/// The data source's type: the plugin's id.
pub(super) const PLUGIN: &str = "detectviz-hostmetrics-datasource";
/// The path of a query of the plugin, below the server's address.
pub(super) const QUERY_PATH: &str =
    "/apis/hostmetrics.datasource.grafana.app/v0alpha1/namespaces/default/datasources/host/query";

/// An object to apply.
pub(super) struct Manifest {
    /// For people: what it is and its name.
    pub(super) name: String,
    /// The path of its kind's collection.
    pub(super) collection: String,
    /// Whether it carries an `Available` condition.
    pub(super) has_availability: bool,
    pub(super) body: Value,
}

impl Manifest {
    /// The path of the object itself.
    pub(super) fn path(&self) -> String {
        let name = self.body["metadata"]["name"].as_str().unwrap_or_default();
        format!("{}/{name}", self.collection)
    }
}

/// A query for the machine's processor use of the last minutes, as the body of a request.
pub(super) fn query() -> String {
    let source = json!({"type": PLUGIN, "uid": "host"});
    let query = json!({"refId": "A", "datasource": source, "metric": "cpu"});
    json!({"from": "now-5m", "to": "now", "queries": [query]}).to_string()
}

/// All objects that put the example server at `port` and the plugin behind the one address.
pub(super) fn all(port: u16, ca_bundle: &str) -> [Manifest; 4] {
    [external_name(), api_service(port, ca_bundle), data_source(), data_plane_service()]
}

fn external_name() -> Manifest {
    Manifest {
        name: "externalname flights".to_owned(),
        collection: "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames".to_owned(),
        has_availability: false,
        body: json!({
            "apiVersion": "service.grafana.app/v0alpha1",
            "kind": "ExternalName",
            "metadata": {"name": "flights", "namespace": "default"},
            "spec": {"host": "127.0.0.1"},
        }),
    }
}

fn api_service(port: u16, ca_bundle: &str) -> Manifest {
    Manifest {
        name: "apiservice v1.example.detectviz.io".to_owned(),
        collection: "/apis/apiregistration.k8s.io/v1/apiservices".to_owned(),
        has_availability: true,
        body: json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1.example.detectviz.io"},
            "spec": {
                "group": "example.detectviz.io",
                "version": "v1",
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "service": {"name": "flights", "namespace": "default", "port": port},
                "caBundle": ca_bundle,
            },
        }),
    }
}

fn data_source() -> Manifest {
    Manifest {
        name: "datasource host".to_owned(),
        collection: "/apis/datasource.detectviz.io/v0alpha1/namespaces/default/datasources".to_owned(),
        has_availability: false,
        body: json!({
            "apiVersion": "datasource.detectviz.io/v0alpha1",
            "kind": "DataSource",
            "metadata": {"name": "host", "namespace": "default"},
            "spec": {"type": PLUGIN, "title": "This machine"},
        }),
    }
}

fn data_plane_service() -> Manifest {
    Manifest {
        name: "dataplaneservice v0alpha1.hostmetrics.datasource.grafana.app".to_owned(),
        collection: "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices".to_owned(),
        has_availability: true,
        body: json!({
            "apiVersion": "aggregation.grafana.app/v0alpha1",
            "kind": "DataPlaneService",
            "metadata": {"name": "v0alpha1.hostmetrics.datasource.grafana.app"},
            "spec": {
                "pluginID": PLUGIN,
                "pluginType": "datasource",
                "group": "hostmetrics.datasource.grafana.app",
                "version": "v0alpha1",
                "services": [{"type": "query"}],
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_path_agrees_with_its_group_version_and_namespace() {
        for manifest in all(40001, "TFM=") {
            let path = manifest.path();
            let group_version = manifest.body["apiVersion"].as_str().unwrap();
            assert!(path.starts_with(&format!("/apis/{group_version}/")), "{path}");
            let namespaced = manifest.body["metadata"].get("namespace").is_some();
            assert_eq!(path.contains("/namespaces/default/"), namespaced, "{path}");
        }
    }
}
