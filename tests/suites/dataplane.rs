//! A backend plugin behind the same address: real figures of this machine, and a process that is looked after.

use detectviz_tests::{Builder, Client, PLUGIN, PluginFolder, Server, enterprise, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{DATAPLANE_SERVICES, await_available, create};

const GROUP: &str = "hostmetrics.datasource.grafana.app";
const SOURCES: &str = "/apis/datasource.detectviz.io/v0alpha1/namespaces/default/datasources";
const SERVICE: &str =
    "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices/v0alpha1.hostmetrics.datasource.grafana.app";

/// A path below the namespace `default` of the plugin's group.
fn below(path: &str) -> String {
    format!("/apis/{GROUP}/v0alpha1/namespaces/default/{path}")
}

fn data_source(name: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "datasource.detectviz.io/v0alpha1", "kind": "DataSource", "metadata": {"name": name},
        "spec": {"type": kind, "title": "This machine", "jsonData": {"labels": {"rack": "7"}}},
    })
}

fn service(plugin: &str) -> Value {
    json!({
        "apiVersion": "aggregation.grafana.app/v0alpha1", "kind": "DataPlaneService",
        "metadata": {"name": format!("v0alpha1.{GROUP}")},
        "spec": {"pluginID": plugin, "pluginType": "datasource", "group": GROUP, "version": "v0alpha1",
            "services": [{"type": "query"}]},
    })
}

fn query_for(uid: &str, metric: &str) -> Value {
    let reference = json!({"type": PLUGIN, "uid": uid});
    let query = json!({"refId": "A", "datasource": reference, "metric": metric});
    json!({"from": "now-5m", "to": "now", "queries": [query]})
}

/// A server whose plugin runs, with the data source `host`.
fn with_plugin(builder: Builder) -> (Server, PluginFolder) {
    let plugins = PluginFolder::install(builder.folder());
    let server = builder.plugin_dir(plugins.path()).start();
    let admin = server.admin();
    create(&admin, SOURCES, &data_source("host", PLUGIN));
    create(&admin, DATAPLANE_SERVICES, &service(PLUGIN));
    await_available(&admin, SERVICE, "True", Some("Passed"));
    (server, plugins)
}

/// The values of each series of a frame by name, once there are some.
fn series(admin: &Client, path: &str, metric: &str) -> Vec<(String, Vec<f64>)> {
    wait_for("the plugin has taken a sample", || {
        let answer = admin.create(path, &query_for("host", metric)).expect(200);
        let frame = &answer["results"]["A"]["frames"][0];
        let fields = frame["schema"]["fields"].as_array().unwrap_or_else(|| panic!("no frame: {answer}"));
        let columns = frame["data"]["values"].as_array()?;
        let named = fields.iter().zip(columns).map(|(field, values)| {
            let values = values.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
            (field["name"].as_str().unwrap_or_default().to_owned(), values)
        });
        let named: Vec<(String, Vec<f64>)> = named.collect();
        named.iter().all(|(_, values)| !values.is_empty()).then_some(named)
    })
}

fn only_process(plugins: &PluginFolder) -> u32 {
    let processes = plugins.processes();
    assert_eq!(processes.len(), 1, "one plugin is one process: {processes:?}");
    processes[0]
}

#[test]
fn both_paths_answer_with_real_figures_as_frames() {
    enterprise(|builder| {
        let (server, _plugins) = with_plugin(builder);
        let admin = server.admin();
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
        let total: f64 = total.trim().trim_end_matches("kB").trim().parse().unwrap();
        for path in ["datasources/host/query", "connections/host/query"] {
            let memory = series(&admin, &below(path), "memory");
            let (_, values) = memory.iter().find(|(name, _)| name == "total").unwrap();
            assert!(values.iter().all(|value| *value == total * 1024.0), "{memory:?}");
            let (_, used) = memory.iter().find(|(name, _)| name == "used").unwrap();
            assert!(used.iter().all(|value| *value > 0.0 && *value < total * 1024.0), "{memory:?}");
        }
        let load = series(&admin, &below("datasources/host/query"), "load");
        assert!(load.len() > 1 && load.iter().all(|(_, values)| values[0] >= 0.0), "{load:?}");
    });
}

#[test]
fn an_answer_carries_the_settings_of_its_data_source() {
    enterprise(|builder| {
        let (server, _plugins) = with_plugin(builder);
        let admin = server.admin();
        let path = below("datasources/host/query");
        series(&admin, &path, "memory");
        let labels = |rack: &str| {
            let answer = admin.create(&path, &query_for("host", "memory")).expect(200);
            let fields = answer["results"]["A"]["frames"][0]["schema"]["fields"].clone();
            fields.as_array().unwrap().iter().any(|field| field["labels"]["rack"] == rack)
        };
        assert!(labels("7"));
        let changed = json!({"spec": {"jsonData": {"labels": {"rack": "8"}}}}).to_string();
        let patch = admin.request("PATCH", format!("{SOURCES}/host"));
        patch.body("application/merge-patch+json", changed).send().expect(200);
        assert!(labels("8") && !labels("7"), "a changed data source counts at once");
    });
}

#[test]
fn queries_that_do_not_fit_their_path_are_refused() {
    enterprise(|builder| {
        let (server, _plugins) = with_plugin(builder);
        let admin = server.admin();
        create(&admin, SOURCES, &data_source("other", "another-plugin"));
        let none = admin.create(below("datasources/none/query"), &query_for("none", "cpu"));
        none.refused(404, "NotFound");
        let gone = "datasources.datasource.detectviz.io \"none\" not found";
        assert_eq!(none.json()["message"], gone, "{none}");
        // The path is judged before the queries.
        admin.create(below("datasources/none/query"), &json!({"queries": []})).refused(404, "NotFound");
        let foreign = admin.create(below("datasources/other/query"), &query_for("other", "cpu"));
        foreign.refused(400, "BadRequest");
        let path = below("datasources/host/query");
        let mut of_another = query_for("host", "cpu");
        of_another["queries"][0]["datasource"]["type"] = "another-plugin".into();
        let refused = admin.create(&path, &of_another);
        refused.refused(400, "BadRequest");
        let words = format!("invalid datasource type: found \"another-plugin\", expected {PLUGIN:?}");
        assert_eq!(refused.json()["message"], words, "{refused}");
        let mut of_the_path = query_for("host", "cpu");
        of_the_path["queries"][0].as_object_mut().unwrap().remove("datasource");
        admin.create(&path, &of_the_path).expect(200);
        admin.create(&path, &query_for("other", "cpu")).refused(400, "BadRequest");
        admin.create(&path, &json!({"queries": []})).refused(400, "BadRequest");
        admin.request("POST", &path).body("application/json", "{").send().refused(400, "BadRequest");
        server.user("jane", None).create(&path, &query_for("host", "cpu")).refused(403, "Forbidden");
        // A fault of one query is that query's.
        let unknown = admin.create(&path, &query_for("host", "weather"));
        assert_eq!(unknown.json()["results"]["A"]["status"], 400, "{unknown}");
    });
}

#[test]
fn other_paths_of_the_group_fall_through() {
    enterprise(|builder| {
        let (server, _plugins) = with_plugin(builder);
        for path in ["datasources", "datasources/host", "datasources/host/health", "datasources/host/query/x"]
        {
            server.admin().get(below(path)).refused(404, "NotFound");
        }
        server
            .admin()
            .get(format!("/apis/{GROUP}/v0alpha2/namespaces/default/datasources/host/query"))
            .refused(404, "NotFound");
    });
}

#[test]
fn a_plugin_that_dies_comes_back() {
    enterprise(|builder| {
        let (server, plugins) = with_plugin(builder.allow_log("plugin ended"));
        let admin = server.admin();
        let first = only_process(&plugins);
        kill_process(Pid::from_raw(first.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        server.await_log("plugin ended");
        wait_for("another process runs the plugin", || {
            plugins.processes().into_iter().find(|process| *process != first)
        });
        await_available(&admin, SERVICE, "True", Some("Passed"));
        series(&admin, &below("datasources/host/query"), "memory");
        only_process(&plugins);
    });
}

#[test]
fn no_plugin_outlives_the_server_however_it_ends() {
    enterprise(|builder| {
        let (mut server, plugins) = with_plugin(builder);
        only_process(&plugins);
        assert_eq!(server.stop().code(), Some(0));
        assert_eq!(plugins.processes(), Vec::<u32>::new());
        let mut server = server.setup().start();
        await_available(&server.admin(), SERVICE, "True", Some("Passed"));
        only_process(&plugins);
        server.kill();
        wait_for("the plugin has noticed", || plugins.processes().is_empty().then_some(()));
    });
}

#[test]
fn a_plugin_that_is_not_there_is_named_on_the_object() {
    enterprise(|builder| {
        let plugins = PluginFolder::install(builder.folder());
        let server = builder.plugin_dir(plugins.path()).start();
        let admin = server.admin();
        create(&admin, DATAPLANE_SERVICES, &service("no-such-plugin"));
        let message = await_available(&admin, SERVICE, "False", Some("PluginNotFound"));
        assert!(message.contains("no-such-plugin"), "{message}");
        create(&admin, SOURCES, &data_source("host", PLUGIN));
        let refused = admin.create(below("datasources/host/query"), &query_for("host", "cpu"));
        refused.refused(503, "ServiceUnavailable");
        let words = "unable to get plugin context: plugin not found: PluginNotFound: ";
        assert!(refused.json()["message"].as_str().unwrap().starts_with(words), "{refused}");
    });
}
