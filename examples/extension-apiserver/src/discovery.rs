//! What is here: the same facts in the legacy form, one document a level, and in the aggregated form, all at once.

use serde_json::{Value, json};

use crate::route::{GROUP, KIND, RESOURCE, VERSION, Verb};

/// Media type of [`aggregated`].
pub(crate) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const SINGULAR: &str = "flight";
const SHORT: &str = "fl";

fn verbs() -> Vec<&'static str> {
    Verb::ALL.map(Verb::name).to_vec()
}

fn group_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// `/apis` in the legacy form.
pub(crate) fn groups() -> Value {
    let mut entry = group();
    if let Some(entry) = entry.as_object_mut() {
        entry.remove("kind");
        entry.remove("apiVersion");
    }
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [entry]})
}

/// `/apis/GROUP`.
pub(crate) fn group() -> Value {
    let version = json!({"groupVersion": group_version(), "version": VERSION});
    json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": [version],
        "preferredVersion": version,
    })
}

/// `/apis/GROUP/VERSION`.
pub(crate) fn resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version(),
        "resources": [{
            "name": RESOURCE,
            "singularName": SINGULAR,
            "namespaced": true,
            "kind": KIND,
            "verbs": verbs(),
            "shortNames": [SHORT],
            "categories": ["all"],
        }],
    })
}

/// `/apis` in the aggregated form.
pub(crate) fn aggregated() -> Value {
    let resource = json!({
        "resource": RESOURCE,
        "responseKind": {"group": GROUP, "version": VERSION, "kind": KIND},
        "scope": "Namespaced",
        "singularResource": SINGULAR,
        "verbs": verbs(),
        "shortNames": [SHORT],
        "categories": ["all"],
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{
            "metadata": {"name": GROUP, "creationTimestamp": null},
            "versions": [{"version": VERSION, "resources": [resource], "freshness": "Current"}],
        }],
    })
}

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "0",
        "gitVersion": concat!("v", env!("CARGO_PKG_VERSION")),
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
