//! `/api` and `/apis`: what is served, from the catalog's ready bytes, in the form that the client asks for.

use detectviz_api::negotiate::{self, MediaType};
use detectviz_api::{GroupVersion, Status};
use detectviz_core::catalog::{DiscoveryVersion, Document, Snapshot};
use detectviz_core::http::Response;
use http::{HeaderMap, header};
use serde_json::{Value, json};
use std::net::SocketAddr;

use super::conditional;

/// The discovery document at `path`; `None` when it is none, or is not known here. `address` is where this server
/// listens.
pub(super) fn page(
    snapshot: &Snapshot,
    address: SocketAddr,
    path: &[&str],
    request: &HeaderMap,
) -> Option<Result<Response, Status>> {
    let page = match path {
        [""] => return Some(Ok(super::json(&json!({"paths": root_paths(snapshot)})))),
        ["api"] => negotiated(request, true).map(|form| match form.aggregated {
            Some(version) => form.answer(snapshot.aggregated_core(version), request),
            None => form.answer(&versions(snapshot, address), request),
        }),
        ["apis"] => negotiated(request, true).map(|form| match form.aggregated {
            Some(version) => form.answer(snapshot.aggregated_groups(version), request),
            None => form.answer(snapshot.group_list(), request),
        }),
        ["apis", group] => {
            let group = snapshot.group(group)?;
            negotiated(request, false).map(|form| form.answer(&group, request))
        }
        ["api", version] => return resource_list(snapshot, &GroupVersion::new("", *version), request),
        ["apis", group, version] => {
            return resource_list(snapshot, &GroupVersion::new(*group, *version), request);
        }
        _ => return None,
    };
    Some(page)
}

fn resource_list(
    snapshot: &Snapshot,
    gv: &GroupVersion,
    request: &HeaderMap,
) -> Option<Result<Response, Status>> {
    let list = snapshot.resource_list(gv)?;
    Some(negotiated(request, false).map(|form| form.answer(list, request)))
}

/// The versions of the core group, and where clients reach the server.
fn versions(snapshot: &Snapshot, address: SocketAddr) -> Document {
    // A server that listens everywhere does not know which of its addresses the client can reach.
    let reachable = Some(address).filter(|address| !address.ip().is_unspecified());
    let addresses: Vec<Value> = reachable
        .map(|address| json!({"clientCIDR": "0.0.0.0/0", "serverAddress": address.to_string()}))
        .into_iter()
        .collect();
    let versions = json!({
        "kind": "APIVersions", "versions": snapshot.core_versions(), "serverAddressByClientCIDRs": addresses,
    });
    Document::new(versions.to_string().into_bytes())
}

/// What `/` lists: the server's own pages, and where each group-version is.
fn root_paths(snapshot: &Snapshot) -> Vec<String> {
    let own = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/statusz",
        "/version",
    ];
    let versions = snapshot.group_versions().map(|(gv, _)| gv.path());
    let named = snapshot.group_versions().filter(|(gv, _)| !gv.group.is_empty());
    let groups = named.map(|(gv, _)| format!("/apis/{}", gv.group));
    let mut paths: Vec<String> = versions.chain(groups).chain(own.map(str::to_owned)).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The form of an answer.
struct Form {
    /// Whether all is asked for in one document, and in which version of it.
    aggregated: Option<DiscoveryVersion>,
    yaml: bool,
}

const OFFERED: &str = "application/json, application/yaml";
const OFFERED_WITH_AGGREGATED: &str = "application/json, application/yaml, \
     application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList, \
     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// The form that the client likes best; aggregated ones only where there are any.
fn negotiated(request: &HeaderMap, has_aggregated: bool) -> Result<Form, Status> {
    let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let offered = if has_aggregated { OFFERED_WITH_AGGREGATED } else { OFFERED };
    negotiate::choose(accept, offered, |media| {
        let yaml = !media.covers("application/json");
        let aggregated = match media.convert {
            _ if yaml && !media.covers("application/yaml") => return None,
            Some(_) => Some(aggregated(media).filter(|_| has_aggregated)?),
            None => None,
        };
        Some(Form { aggregated, yaml })
    })
}

fn aggregated(media: &MediaType<'_>) -> Option<DiscoveryVersion> {
    match (media.convert, media.group, media.version) {
        (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => {
            Some(DiscoveryVersion::V2)
        }
        (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2beta1")) => {
            Some(DiscoveryVersion::V2Beta1)
        }
        _ => None,
    }
}

impl Form {
    fn answer(&self, document: &Document, request: &HeaderMap) -> Response {
        if self.yaml {
            return conditional::document(&in_yaml(document), self.media_type(), request);
        }
        conditional::document(document, self.media_type(), request)
    }

    const fn media_type(&self) -> &'static str {
        match (self.aggregated, self.yaml) {
            (None, false) => "application/json",
            (None, true) => "application/yaml",
            (Some(DiscoveryVersion::V2), false) => {
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            }
            (Some(DiscoveryVersion::V2), true) => {
                "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            }
            (Some(DiscoveryVersion::V2Beta1), false) => {
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
            }
            (Some(DiscoveryVersion::V2Beta1), true) => {
                "application/yaml;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
            }
        }
    }
}

/// The document in YAML, which people ask for and programs do not: it is made each time.
fn in_yaml(document: &Document) -> Document {
    let value: Value =
        serde_json::from_slice(&document.bytes).expect("discovery documents are written as JSON");
    Document::new(yaml_serde::to_string(&value).expect("JSON values can be written as YAML").into_bytes())
}
