//! What changes while the server runs: toggles, certificates, CAs and tokens. Whoever is served meanwhile notices nothing
//! that is not about them.

mod certificates;
mod configuration;
mod growth;
mod load;
mod toggles;

use detectviz_tests::{Builder, Client, ExtensionServer, PLUGIN, PluginFolder, Server, wait_until};
use serde_json::{Value, json};

use crate::support::{API_SERVICES, DATAPLANE_SERVICES, create};

const FLIGHTS: &str = "/apis/example.detectviz.io/v1/namespaces/default/flights";
const FLIGHTS_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.detectviz.io";
const QUERY: &str =
    "/apis/hostmetrics.datasource.grafana.app/v0alpha1/namespaces/default/datasources/host/query";
const PLUGIN_SERVICE: &str = "v0alpha1.hostmetrics.datasource.grafana.app";

/// The configuration file with these toggles.
fn toggles(aggregator: bool, dataplane: bool) -> String {
    format!(
        "[aggregator]\navailability_interval_seconds = 1\n[feature_toggles]\n\
         kubernetesAggregator = {aggregator}\ndataplaneAggregator = {dataplane}\n"
    )
}

/// A server with everything on, and a backend and a plugin behind it.
fn with_both(builder: Builder) -> (Server, ExtensionServer, PluginFolder) {
    let plugins = PluginFolder::install(builder.folder());
    let server = builder.plugin_dir(plugins.path()).config(&toggles(true, true)).start();
    let (admin, example) = (server.admin(), ExtensionServer::start(&server));
    let [name, service] = example.manifests();
    create(&admin, "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames", &name);
    create(&admin, API_SERVICES, &service);
    let source = json!({
        "apiVersion": "datasource.detectviz.io/v0alpha1", "kind": "DataSource", "metadata": {"name": "host"},
        "spec": {"type": PLUGIN, "title": "This machine", "jsonData": {}},
    });
    create(&admin, "/apis/datasource.detectviz.io/v0alpha1/namespaces/default/datasources", &source);
    let service = json!({
        "apiVersion": "aggregation.grafana.app/v0alpha1", "kind": "DataPlaneService",
        "metadata": {"name": PLUGIN_SERVICE},
        "spec": {"pluginID": PLUGIN, "pluginType": "datasource", "services": [{"type": "query"}],
            "group": "hostmetrics.datasource.grafana.app", "version": "v0alpha1"},
    });
    create(&admin, DATAPLANE_SERVICES, &service);
    await_code(&admin, FLIGHTS, 200);
    await_query(&admin, 200);
    (server, example, plugins)
}

fn query() -> Value {
    let reference = json!({"type": PLUGIN, "uid": "host"});
    json!({"from": "now-5m", "to": "now", "queries": [{"refId": "A", "datasource": reference, "metric": "load"}]})
}

fn await_code(client: &Client, path: &str, code: u16) {
    wait_until(&format!("{path} gives {code}"), || {
        let answer = client.get(path);
        if answer.code == code { Ok(()) } else { Err(answer) }
    });
}

fn await_query(client: &Client, code: u16) {
    wait_until(&format!("a query gives {code}"), || {
        let answer = client.create(QUERY, &query());
        if answer.code == code { Ok(()) } else { Err(answer) }
    });
}

/// `/statusz` as JSON.
fn status(client: &Client) -> Value {
    client.request("GET", "/statusz").header("Accept", "application/json").send().expect(200)
}

/// What `/statusz` remarks on `subject`, if anything.
fn remark(client: &Client, subject: &str) -> Option<String> {
    let status = status(client);
    let remarks = status["remarks"].as_array().unwrap();
    let found = remarks.iter().find(|remark| remark["subject"] == subject)?;
    found["remark"].as_str().map(str::to_owned)
}

fn await_remark(client: &Client, subject: &str, text: &str) {
    wait_until(&format!("{subject} is remarked on with {text:?}"), || match remark(client, subject) {
        Some(remark) if remark.contains(text) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

fn await_no_remark(client: &Client, subject: &str) {
    wait_until(&format!("{subject} is not remarked on"), || match remark(client, subject) {
        None => Ok(()),
        Some(remark) => Err(remark),
    });
}

/// The value of a sample of `/metrics`, with its labels.
fn sample(client: &Client, name: &str) -> Option<i64> {
    let text = client.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))?;
    Some(line.trim().parse().unwrap_or_else(|fault| panic!("{name} is {line:?}: {fault}")))
}
