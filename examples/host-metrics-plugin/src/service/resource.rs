//! The plugin's own HTTP calls; there is one, which says what can be asked for.

use std::collections::BTreeMap;

use detectviz_pluginv2::proto::resource_server::Resource;
use detectviz_pluginv2::proto::{CallResourceRequest, CallResourceResponse, StringList};
use futures_util::future::{Ready, ready};
use futures_util::stream::{self, Once};
use serde_json::{Value, json};
use tonic::{Request, Response, Status, async_trait};

use super::Plugin;
use crate::sample::Metric;

#[async_trait]
impl Resource for Plugin {
    type CallResourceStream = Once<Ready<Result<CallResourceResponse, Status>>>;

    async fn call_resource(
        &self,
        request: Request<CallResourceRequest>,
    ) -> Result<Response<Self::CallResourceStream>, Status> {
        let request = request.get_ref();
        let response = answer(&request.method, request.path.trim_matches('/'));
        Ok(Response::new(stream::once(ready(Ok(response)))))
    }
}

fn answer(method: &str, path: &str) -> CallResourceResponse {
    match (method, path) {
        ("GET", "metrics") => respond(200, &metrics()),
        (_, "metrics") => {
            let mut response =
                respond(405, &json!({"error": format!("call {method} metrics: only GET is allowed")}));
            response.headers.insert("Allow".to_owned(), header("GET"));
            response
        }
        _ => respond(404, &json!({"error": format!("find resource {path:?}: there is only \"metrics\"")})),
    }
}

/// Lists each metric with the series that a query for it gives.
fn metrics() -> Value {
    let metrics = Metric::ALL.map(|metric| json!({"metric": metric.name(), "series": metric.quantities()}));
    json!({"metrics": metrics})
}

fn respond(code: i32, body: &Value) -> CallResourceResponse {
    let headers = BTreeMap::from([("Content-Type".to_owned(), header("application/json"))]);
    CallResourceResponse { code, headers, body: body.to_string().into() }
}

fn header(value: &str) -> StringList {
    StringList { values: vec![value.to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_metrics_with_their_series() {
        let response = answer("GET", "metrics");
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.code, 200);
        assert_eq!(body["metrics"][3]["metric"], "load");
        assert_eq!(
            body["metrics"][0]["series"][0],
            json!({"name": "cpu", "unit": "percent", "label": "mode"})
        );
    }

    #[test]
    fn other_methods_and_paths_are_refused() {
        let response = answer("POST", "metrics");
        assert_eq!((response.code, &*response.headers["Allow"].values), (405, &["GET".to_owned()][..]));
        assert_eq!(answer("GET", "").code, 404);
    }
}
