//! What an access review asks about: the request that somebody might send, as authorizers judge requests.

use detectviz_api::query::Query;
use detectviz_api::request_info::{ROOT_CLUSTER, ResourceInfo};
use detectviz_api::selector::{FieldSelector, LabelSelector};
use detectviz_api::{Cause, GroupVersionResource, RequestInfo, Verb};
use serde_json::Value;

use super::texts;
use crate::strategies::causes::{forbidden, invalid, required};
use crate::strategies::text;

/// Every verb that a request can have. Authorizers know no other: who may do everything may do what has another name.
const VERBS: [Verb; 12] = [
    Verb::Get,
    Verb::List,
    Verb::Watch,
    Verb::Create,
    Verb::Update,
    Verb::Patch,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Head,
    Verb::Post,
    Verb::Put,
    Verb::Options,
];

/// The request that `spec` asks about.
pub(super) fn question(spec: &Value) -> RequestInfo {
    let (resource, path, verb) = match spec.get("resourceAttributes").filter(|value| !value.is_null()) {
        Some(attributes) => (Some(resource(attributes)), "", text(attributes, "/verb")),
        None => (None, text(spec, "/nonResourceAttributes/path"), text(spec, "/nonResourceAttributes/verb")),
    };
    let verb = VERBS.into_iter().find(|known| known.as_str() == verb).unwrap_or(Verb::Other);
    RequestInfo { verb, path: path.into(), query: Query::default(), cluster: ROOT_CLUSTER, resource }
}

fn resource(attributes: &Value) -> ResourceInfo {
    let version = Some(text(attributes, "/version")).filter(|version| !version.is_empty()).unwrap_or("*");
    let gvr = GroupVersionResource {
        group: text(attributes, "/group").into(),
        version: version.into(),
        resource: text(attributes, "/resource").into(),
    };
    let field = |pointer| text(attributes, pointer).to_owned();
    ResourceInfo {
        gvr,
        namespace: field("/namespace"),
        name: field("/name"),
        subresource: field("/subresource"),
        rest: String::new(),
    }
}

/// What is wrong with the selectors of the resource attributes.
pub(super) fn selector_faults(attributes: &Value) -> Vec<Cause> {
    let selectors = ["fieldSelector", "labelSelector"].into_iter();
    let given = selectors.filter_map(|name| Some((name, attributes.get(name)?)));
    given
        .flat_map(|(name, selector)| faults_of(&format!("spec.resourceAttributes.{name}"), selector))
        .collect()
}

fn faults_of(path: &str, selector: &Value) -> Vec<Cause> {
    let raw = text(selector, "/rawSelector");
    let requirements = selector.get("requirements").and_then(Value::as_array).map(Vec::as_slice);
    let requirements = requirements.unwrap_or_default();
    let mut faults = Vec::new();
    if !raw.is_empty() && !requirements.is_empty() {
        let why = "may not specified at same time as requirements";
        faults.push(invalid(&format!("{path}.rawSelector"), raw, why));
    }
    if raw.is_empty() && requirements.is_empty() {
        let why = format!("when {path} is specified, requirements or rawSelector is required");
        faults.push(required(&format!("{path}.requirements"), &why));
    }
    for (index, requirement) in requirements.iter().enumerate() {
        faults.extend(requirement_faults(&format!("{path}.requirements[{index}]"), requirement));
    }
    faults
}

/// Operators that are not known are let through: a newer client may know them.
fn requirement_faults(path: &str, requirement: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let has_values = !texts(requirement, "/values").is_empty();
    match text(requirement, "/operator") {
        "In" | "NotIn" if !has_values => {
            let why = "must be specified when `operator` is 'In' or 'NotIn'";
            faults.push(required(&format!("{path}.values"), why));
        }
        "Exists" | "DoesNotExist" if has_values => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            faults.push(forbidden(&format!("{path}.values"), why));
        }
        _ => {}
    }
    if text(requirement, "/key").is_empty() {
        faults.push(required(&format!("{path}.key"), "must be specified"));
    }
    faults
}

/// What is told of selectors that cannot be read: they count as absent, which asks for more, not for less.
pub(super) fn unreadable_selectors(spec: &Value) -> Vec<String> {
    let raw = |name: &str| text(spec, &format!("/resourceAttributes/{name}/rawSelector"));
    let fields = raw("fieldSelector").parse::<FieldSelector>().is_err();
    let labels = raw("labelSelector").parse::<LabelSelector>().is_err();
    let unreadable = [("fieldSelector", fields), ("labelSelector", labels)].into_iter().filter(|(_, is)| *is);
    unreadable.map(|(name, _)| format!("spec.resourceAttributes.{name} ignored due to parse error")).collect()
}
