//! Columns that no path can say: a definition names them behind `=`, and each is a function of the object.

use detectviz_api::timestamp;
use serde_json::Value;

use super::{network, quota};

/// A computed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Computed {
    DataCount,
    FirstSeen,
    LastSeen,
    EventObject,
    EventSource,
    EventCount,
    ApiServiceService,
    ConditionAvailable,
    SecretsCount,
    ServiceClusterIp,
    ServiceExternalIp,
    ServicePorts,
    ServiceSelector,
    Endpoints,
    EndpointSlicePorts,
    EndpointSliceEndpoints,
    QuotaRequests,
    QuotaLimits,
}

const NAMES: [(&str, Computed); 18] = [
    ("data-count", Computed::DataCount),
    ("first-seen", Computed::FirstSeen),
    ("last-seen", Computed::LastSeen),
    ("event-object", Computed::EventObject),
    ("event-source", Computed::EventSource),
    ("event-count", Computed::EventCount),
    ("apiservice-service", Computed::ApiServiceService),
    ("condition-available", Computed::ConditionAvailable),
    ("secrets-count", Computed::SecretsCount),
    ("service-cluster-ip", Computed::ServiceClusterIp),
    ("service-external-ip", Computed::ServiceExternalIp),
    ("service-ports", Computed::ServicePorts),
    ("service-selector", Computed::ServiceSelector),
    ("endpoints", Computed::Endpoints),
    ("endpointslice-ports", Computed::EndpointSlicePorts),
    ("endpointslice-endpoints", Computed::EndpointSliceEndpoints),
    ("quota-requests", Computed::QuotaRequests),
    ("quota-limits", Computed::QuotaLimits),
];

impl Computed {
    /// The column of that name, without the `=`.
    ///
    /// # Errors
    /// Says which names there are.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, computed)| *computed);
        found.ok_or_else(|| {
            format!("unknown computed column, allowed are {}", NAMES.map(|(known, _)| known).join(", "))
        })
    }

    /// The object's cell.
    pub(super) fn value(self, object: &Value) -> Value {
        match self {
            Self::DataCount => data_count(object).into(),
            Self::FirstSeen => first_seen(object).into(),
            Self::LastSeen => last_seen(object).into(),
            Self::EventObject => event_object(object).into(),
            Self::EventSource => event_source(object).into(),
            Self::EventCount => event_count(object).into(),
            Self::ApiServiceService => service(object).into(),
            Self::ConditionAvailable => available(object).into(),
            Self::SecretsCount => network::items(object, "/secrets").len().into(),
            Self::ServiceClusterIp => network::cluster_ip(object).into(),
            Self::ServiceExternalIp => network::external_ip(object).into(),
            Self::ServicePorts => network::service_ports(object).into(),
            Self::ServiceSelector => network::selector(object).into(),
            Self::Endpoints => network::endpoints(object).into(),
            Self::EndpointSlicePorts => network::slice_ports(object).into(),
            Self::EndpointSliceEndpoints => network::slice_endpoints(object).into(),
            Self::QuotaRequests => quota::used(object, false).into(),
            Self::QuotaLimits => quota::used(object, true).into(),
        }
    }
}

/// The text at `pointer`; `None` when it is missing or empty, which mean the same in upstream's types.
pub(super) fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn data_count(object: &Value) -> usize {
    let count = |field| object.get(field).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    count("data") + count("binaryData")
}

fn since(at: Option<&str>) -> String {
    timestamp::age(at.unwrap_or_default())
}

/// The first text that there is: what the two groups of events call by different names is shown alike.
fn first<'v>(object: &'v Value, pointers: &[&str]) -> Option<&'v str> {
    pointers.iter().find_map(|pointer| text(object, pointer))
}

fn first_seen(event: &Value) -> String {
    since(first(event, &["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]))
}

fn last_seen(event: &Value) -> String {
    if has_series(event) {
        return since(text(event, "/series/lastObservedTime"));
    }
    let last = first(event, &["/lastTimestamp", "/deprecatedLastTimestamp"]);
    last.map_or_else(|| first_seen(event), |at| since(Some(at)))
}

fn event_count(event: &Value) -> i64 {
    let count = |pointer| event.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    // An event that was never counted stands for one occurrence.
    match has_series(event) {
        true => count("/series/count"),
        false => count("/count").max(count("/deprecatedCount")).max(1),
    }
}

fn has_series(event: &Value) -> bool {
    event.get("series").is_some_and(Value::is_object)
}

fn event_object(event: &Value) -> String {
    let part = |part: &str| {
        ["involvedObject", "regarding"].into_iter().find_map(|field| text(event, &format!("/{field}/{part}")))
    };
    let kind = part("kind").unwrap_or_default().to_lowercase();
    part("name").map_or_else(|| kind.clone(), |name| format!("{kind}/{name}"))
}

fn event_source(event: &Value) -> String {
    let component = first(
        event,
        &["/source/component", "/deprecatedSource/component", "/reportingComponent", "/reportingController"],
    );
    let host = first(event, &["/source/host", "/deprecatedSource/host", "/reportingInstance"]);
    [component, host].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn service(api_service: &Value) -> String {
    if !api_service.pointer("/spec/service").is_some_and(Value::is_object) {
        return "Local".to_owned();
    }
    let part = |pointer| text(api_service, pointer).unwrap_or_default();
    format!("{}/{}", part("/spec/service/namespace"), part("/spec/service/name"))
}

/// `True`, `Unknown` without a condition, else the condition's status and reason.
fn available(object: &Value) -> String {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let condition = conditions.and_then(|list| list.iter().find(|one| one["type"] == "Available"));
    let Some(condition) = condition else { return "Unknown".to_owned() };
    match text(condition, "/status") {
        Some("True") => "True".to_owned(),
        status => {
            format!("{} ({})", status.unwrap_or("Unknown"), text(condition, "/reason").unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::timestamp;
    use serde_json::json;

    fn check(name: &str, rows: &[(Value, Value)]) {
        let computed = Computed::named(name).unwrap();
        for (object, cell) in rows {
            assert_eq!(&computed.value(object), cell, "{name} of {object}");
        }
    }

    #[test]
    fn data_is_counted_in_both_forms() {
        let both = json!({"data": {"a": "", "b": ""}, "binaryData": {"c": ""}});
        check("data-count", &[(both, json!(3)), (json!({"data": null}), json!(0))]);
    }

    #[test]
    fn events_show_what_they_are_about() {
        check(
            "event-object",
            &[
                (json!({"involvedObject": {"kind": "ConfigMap", "name": "a"}}), json!("configmap/a")),
                (json!({"involvedObject": {"kind": "ConfigMap"}}), json!("configmap")),
                (json!({"regarding": {"kind": "ConfigMap", "name": "a"}}), json!("configmap/a")),
            ],
        );
        check(
            "event-source",
            &[
                (json!({"source": {"component": "c", "host": "h"}}), json!("c, h")),
                (json!({"source": {}, "reportingComponent": "r"}), json!("r")),
                (json!({"deprecatedSource": {"component": "c", "host": "h"}}), json!("c, h")),
                (json!({"reportingController": "r", "reportingInstance": "i"}), json!("r, i")),
                (json!({}), json!("")),
            ],
        );
        check(
            "event-count",
            &[
                (json!({}), json!(1)),
                (json!({"count": 4}), json!(4)),
                (json!({"count": 4, "series": {"count": 9}}), json!(9)),
            ],
        );
    }

    #[test]
    fn events_age_by_the_best_time_that_they_have() {
        // A time this long ago reads the same for a year.
        let old = timestamp::seconds(time::OffsetDateTime::now_utc() - time::Duration::days(366 * 20));
        let age = json!("20y");
        check(
            "last-seen",
            &[
                (json!({}), json!("<unknown>")),
                (json!({"lastTimestamp": old}), age.clone()),
                (json!({"lastTimestamp": null, "firstTimestamp": old}), age.clone()),
                (json!({"eventTime": old}), age.clone()),
                (json!({"lastTimestamp": "never", "series": {"lastObservedTime": old}}), age.clone()),
            ],
        );
        check("first-seen", &[(json!({"firstTimestamp": old}), age), (json!({}), json!("<unknown>"))]);
    }

    #[test]
    fn services_and_conditions_read_as_upstream_prints_them() {
        check(
            "apiservice-service",
            &[
                (json!({"spec": {}}), json!("Local")),
                (json!({"spec": {"service": {"namespace": "n", "name": "s"}}}), json!("n/s")),
            ],
        );
        let with = |status: &str| {
            json!({"status": {"conditions": [
                {"type": "Other", "status": "True"},
                {"type": "Available", "status": status, "reason": "Why"},
            ]}})
        };
        check(
            "condition-available",
            &[
                (json!({}), json!("Unknown")),
                (with("True"), json!("True")),
                (with("False"), json!("False (Why)")),
                (with("Unknown"), json!("Unknown (Why)")),
            ],
        );
    }
}
