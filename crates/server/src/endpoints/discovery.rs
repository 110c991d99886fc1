//! `/api` and `/apis`: what is served, from the catalog's ready bytes, in the form that the client asks for.

use detectviz_api::negotiate::{self, MediaType};
use detectviz_api::{GroupVersion, Status};
use detectviz_core::Catalog;
use detectviz_core::http::Response;
use http::{HeaderMap, header};
use serde_json::json;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The discovery document at `path`; `None` when it is none, or is not known here.
pub(super) fn page(
    catalog: &Catalog,
    path: &[&str],
    request: &HeaderMap,
) -> Option<Result<Response, Status>> {
    let snapshot = catalog.snapshot();
    match path {
        [""] => Some(Ok(super::json(&json!({"paths": root_paths(catalog)})))),
        ["api"] => Some(form(request).map(|form| match form {
            Form::Aggregated => super::document(snapshot.aggregated_core(), AGGREGATED, request),
            Form::Legacy => super::json(&json!({
                "kind": "APIVersions", "versions": snapshot.core_versions(),
                "serverAddressByClientCIDRs": [],
            })),
        })),
        ["apis"] => Some(form(request).map(|form| match form {
            Form::Aggregated => super::document(snapshot.aggregated_groups(), AGGREGATED, request),
            Form::Legacy => super::document(snapshot.group_list(), "application/json", request),
        })),
        ["apis", group] => {
            snapshot.group(group).map(|found| Ok(super::document(&found, "application/json", request)))
        }
        ["api", version] => legacy_list(catalog, &GroupVersion::new("", *version), request),
        ["apis", group, version] => legacy_list(catalog, &GroupVersion::new(*group, *version), request),
        _ => None,
    }
}

/// What `/` lists: the server's own pages, and where each group-version is.
fn root_paths(catalog: &Catalog) -> Vec<String> {
    let own =
        ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v3", "/readyz", "/statusz", "/version"];
    let snapshot = catalog.snapshot();
    let mut paths: Vec<String> = snapshot.group_versions().map(|(gv, _)| gv.path()).collect();
    paths.extend(
        snapshot
            .group_versions()
            .filter(|(gv, _)| !gv.group.is_empty())
            .map(|(gv, _)| format!("/apis/{}", gv.group)),
    );
    paths.extend(own.map(str::to_owned));
    paths.sort_unstable();
    paths.dedup();
    paths
}

fn legacy_list(
    catalog: &Catalog,
    gv: &GroupVersion,
    request: &HeaderMap,
) -> Option<Result<Response, Status>> {
    let list = catalog.snapshot().resource_list(gv)?;
    Some(Ok(super::document(&list, "application/json", request)))
}

enum Form {
    Aggregated,
    Legacy,
}

fn form(request: &HeaderMap) -> Result<Form, Status> {
    let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    negotiate::choose(accept, &format!("application/json, {AGGREGATED}"), |media: &MediaType<'_>| {
        match (media.convert, media.group, media.version) {
            _ if !media.covers("application/json") => None,
            (None, ..) => Some(Form::Legacy),
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => {
                Some(Form::Aggregated)
            }
            _ => None,
        }
    })
}
