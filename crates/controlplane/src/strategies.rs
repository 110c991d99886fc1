//! What a schema cannot say of the built-in resources: a file each, found by group and resource.
//!
//! A strategy runs beside its schema, so what the schema already refuses is not refused here again.

mod amounts;
mod apiservices;
mod causes;
mod configmaps;
mod cron;
mod dataplaneservices;
mod datasources;
mod endpoints;
mod endpointslices;
mod events;
mod externalnames;
mod inert;
mod ingresses;
mod jobs;
mod keyed;
mod leases;
mod limitranges;
pub(crate) mod local;
mod names;
pub(crate) mod namespaces;
mod network;
mod pods;
mod podspec;
mod qos;
mod resourcequotas;
mod reviews;
mod secrets;
mod selectors;
mod serviceaccounts;
mod services;
mod unserved;
mod workloads;

pub use reviews::Reviewers;

use detectviz_core::Catalog;
use detectviz_server::strategy::{Plain, Strategy};
use std::sync::Arc;
use std::time::Duration;
use workloads::Workload;

/// The rules of all built-in resources.
#[derive(Clone)]
pub struct Strategies {
    /// How long an event lasts after it was last written.
    pub event_lifetime: Duration,
    /// What answers reviews.
    pub reviewers: Reviewers,
    /// Knows what this server serves itself.
    pub catalog: Arc<Catalog>,
}

impl Strategies {
    /// The special rules of `resource` in `group` (empty for the core group); [`Plain`] where there are none.
    pub fn of(&self, group: &str, resource: &str) -> Arc<dyn Strategy> {
        match (group, resource) {
            ("", "namespaces") => Arc::new(namespaces::Namespaces),
            ("", "configmaps") => Arc::new(configmaps::ConfigMaps),
            ("", "secrets") => Arc::new(secrets::Secrets),
            ("" | "events.k8s.io", "events") => {
                Arc::new(events::Events { lifetime: self.event_lifetime, strict: !group.is_empty() })
            }
            ("", "serviceaccounts") => Arc::new(serviceaccounts::ServiceAccounts),
            ("", "services") => Arc::new(services::Services),
            ("", "endpoints") => Arc::new(endpoints::Endpoints),
            ("", "resourcequotas") => Arc::new(resourcequotas::ResourceQuotas),
            ("", "limitranges") => Arc::new(limitranges::LimitRanges),
            ("discovery.k8s.io", "endpointslices") => Arc::new(endpointslices::EndpointSlices),
            ("", "pods") => Arc::new(pods::Pods),
            ("", "nodes") => Arc::new(inert::Nodes),
            ("", "podtemplates") => Arc::new(inert::PodTemplates),
            ("coordination.k8s.io", "leases") => Arc::new(leases::Leases),
            ("apiregistration.k8s.io", "apiservices") => {
                Arc::new(apiservices::ApiServices { catalog: Arc::clone(&self.catalog) })
            }
            ("aggregation.grafana.app", "dataplaneservices") => {
                Arc::new(dataplaneservices::DataPlaneServices { catalog: Arc::clone(&self.catalog) })
            }
            ("service.grafana.app", "externalnames") => Arc::new(externalnames::ExternalNames),
            ("datasource.detectviz.io", "datasources") => Arc::new(datasources::DataSources),
            _ => {
                let review = || self.reviewers.of(group, resource);
                let unserved =
                    || Some(Arc::new(unserved::Unserved::of(group, resource)?) as Arc<dyn Strategy>);
                let known = battery(group, resource).or_else(review).or_else(unserved);
                known.unwrap_or_else(|| Arc::new(Plain))
            }
        }
    }
}

/// The special rules of the kinds that nothing runs here.
fn battery(group: &str, resource: &str) -> Option<Arc<dyn Strategy>> {
    Some(match (group, resource) {
        ("apps", "deployments") => Arc::new(Workload::Deployment),
        ("apps", "replicasets") => Arc::new(Workload::ReplicaSet),
        ("apps", "statefulsets") => Arc::new(Workload::StatefulSet),
        ("apps", "daemonsets") => Arc::new(Workload::DaemonSet),
        ("", "replicationcontrollers") => Arc::new(Workload::ReplicationController),
        ("batch", "jobs") => Arc::new(jobs::Jobs),
        ("batch", "cronjobs") => Arc::new(jobs::CronJobs),
        ("", "persistentvolumes") => Arc::new(inert::Storage::Volume),
        ("", "persistentvolumeclaims") => Arc::new(inert::Storage::Claim),
        ("autoscaling", "horizontalpodautoscalers") => Arc::new(inert::Autoscalers),
        ("policy", "poddisruptionbudgets") => Arc::new(inert::Budgets),
        ("networking.k8s.io", "networkpolicies") => Arc::new(ingresses::Policies),
        ("networking.k8s.io", "ingresses") => Arc::new(ingresses::Ingresses),
        ("storage.k8s.io", "storageclasses") => Arc::new(inert::Class::Storage),
        ("scheduling.k8s.io", "priorityclasses") => Arc::new(inert::Class::Priority),
        _ => return None,
    })
}

/// Removes what a client may not set when it creates an object: its status.
fn reset_status(object: &mut serde_json::Value) {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
}

/// Gives a new object the status that upstream's types have before anybody has looked at it.
fn begin_status(object: &mut serde_json::Value, status: serde_json::Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert("status".to_owned(), status);
    }
}

/// The text at `pointer`; empty when there is none.
fn text<'a>(object: &'a serde_json::Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// The special rules, with events that last an hour.
#[cfg(test)]
pub(crate) fn strategy(group: &str, resource: &str) -> Arc<dyn Strategy> {
    let (event_lifetime, catalog) = (Duration::from_secs(3600), Arc::default());
    Strategies { event_lifetime, reviewers: reviewers(), catalog }.of(group, resource)
}

/// What knows no token, and lets masters do everything.
#[cfg(test)]
fn reviewers() -> Reviewers {
    let authorizer = Arc::new(detectviz_auth::authorize::SystemMasters);
    Reviewers { authenticator: Arc::default(), authorizer }
}

/// A fault as `field: message`, as it reads in a status.
#[cfg(test)]
fn read(causes: &[detectviz_api::Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::definition::Backing;
    use serde_json::{Value, json};

    /// No built-in resource may be left with the plain rules by a misspelt name.
    #[test]
    fn every_definition_has_its_strategy() {
        let bad = json!({"metadata": {"name": "x", "namespace": "a"}, "data": {"?": ""}, "spec": {"url": "x", "host": "?",
            "group": "?", "version": "?", "leaseTransitions": -1, "hard": {"?": "1"}, "limits": [{"type": "?"}],
            "containers": [], "taints": [{"effect": "?"}]},
            "subsets": [{}], "secrets": [{"kind": "?"}], "involvedObject": {"namespace": "b"}, "regarding": {"namespace": "b"}});
        for builder in crate::definitions::groups().unwrap() {
            for definition in &builder.definitions {
                if definition.extensions.backing == Backing::Computed {
                    let known = reviewers().of(&builder.group, &definition.names.plural);
                    assert!(known.is_some(), "{}", definition.names.plural);
                    continue;
                }
                let strategy = strategy(&builder.group, &definition.names.plural);
                let held = strategy.is_held(&json!({"spec": {"finalizers": ["kubernetes"]}}));
                let mut prepared = bad.clone();
                strategy.prepare_create(&mut prepared);
                let acts = held || prepared != bad || !strategy.validate(&bad).is_empty();
                assert!(acts, "{}", definition.names.plural);
            }
        }
        assert!(strategy("apps", "configmaps").validate(&bad).is_empty());
    }

    #[test]
    fn no_strategy_fails_on_an_object_of_another_shape() {
        for builder in crate::definitions::groups_of(crate::definitions::Extent::Batteries).unwrap() {
            for definition in &builder.definitions {
                let strategy = strategy(&builder.group, &definition.names.plural);
                let odd = [
                    json!({"metadata": 1, "spec": [], "data": 1, "stringData": [], "status": "x", "type": 1}),
                    json!({"spec": {"ports": [1, {"port": "x"}], "selector": 1, "clusterIPs": [1], "limits": [{"type": 1}]},
                        "subsets": [1], "endpoints": [1, {"addresses": [2], "deprecatedTopology": 1}], "secrets": [1]}),
                    json!({"metadata": {"labels": 3}, "spec": {"finalizers": 1, "service": 2, "caBundle": 3},
                        "data": {"k": 1}, "stringData": {"k": 1}}),
                    Value::Null,
                ];
                for mut object in odd {
                    let old = object.clone();
                    strategy.normalize(&mut object);
                    strategy.grace_seconds(&object, None);
                    strategy.normalize(&mut object);
                    strategy.prepare_create(&mut object);
                    strategy.prepare_update(&mut object, &old);
                    strategy.prepare_delete(&mut object);
                    strategy.validate(&object);
                    strategy.validate_update(&object, &old);
                    if object.is_object() {
                        let _ = strategy.answer(&detectviz_api::Identity::anonymous(), &mut object);
                    }
                }
            }
        }
    }
}
