//! The runner as the server uses it: configured, run, asked through its link; plugins are real processes.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod api;
mod fake;
mod install;
mod platform;

use std::time::Duration;

use detectviz_api::{Reason, Status};
use detectviz_core::{Leadership, Options};
use rustix::process::{Pid, Signal, getpgid, kill_process};
use serde_json::{Value, json};

use api::Api;
use fake::Fake;
use install::{Plugins, processes_of};
use platform::{PATIENCE, Platform};

const HOST_METRICS: &str = "detectviz-hostmetrics-datasource";
const LOAD: &str = "/apis/hostmetrics.test/v1/namespaces/default/datasources/here/query";
const GONE: &str = "datasources.datasource.detectviz.io \"gone\" not found";
const FAKE: &str = "/apis/fake.test/v1/namespaces/default/datasources/main/query";

fn query(plugin: &str, uid: &str, more: &Value) -> Value {
    let mut query = json!({"refId": "A", "datasource": {"type": plugin, "uid": uid}});
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"from": "now-1h", "to": "now+1h", "queries": [query]})
}

async fn with_host_metrics() -> (Platform, Plugins) {
    let plugins = Plugins::new();
    plugins.install_host_metrics();
    let api = Api::default();
    api.put_service("v1.hostmetrics.test", HOST_METRICS, "hostmetrics.test", "v1");
    api.put_source("default", "here", &json!({"type": HOST_METRICS, "jsonData": {"labels": {"rack": "7"}}}));
    let platform = Platform::start(api, plugins.options()).await;
    platform.available("v1.hostmetrics.test").await;
    (platform, plugins)
}

/// A platform whose plugin is a script that points to a gRPC server in this test.
async fn with_fake(change: impl FnOnce(&mut Options)) -> (Platform, Fake) {
    let fake = Fake::start();
    let api = Api::default();
    api.put_service("v1.fake.test", "fake", "fake.test", "v1");
    api.put_secret("default", "credentials", &json!({"password": "aHVudGVyMg=="}));
    let spec = json!({
        "type": "fake", "title": "Main", "url": "http://db", "secureJsonData": {"secretRef": {"name": "credentials"}},
    });
    api.put_source("default", "main", &spec);
    let mut options = fake.plugins.options();
    change(&mut options);
    let platform = Platform::start(api, options).await;
    platform.available("v1.fake.test").await;
    (platform, fake)
}

#[tokio::test]
async fn a_real_plugin_answers_with_frames() {
    let (platform, _plugins) = with_host_metrics().await;
    let answer = platform.ask(LOAD, &query(HOST_METRICS, "here", &json!({"metric": "load"}))).await.unwrap();
    let result = &answer["results"]["A"];
    assert_eq!(result["status"], 200, "{answer}");
    let schema = &result["frames"][0]["schema"];
    assert_eq!((&schema["refId"], &schema["meta"]["custom"]["uid"]), (&json!("A"), &json!("here")));
    assert_eq!(schema["fields"][1]["labels"]["rack"], "7", "the data source's jsonData reaches the plugin");

    let older = LOAD.replace("datasources", "connections");
    let wrong = query(HOST_METRICS, "here", &json!({"metric": "gpu"}));
    let answer = platform.ask(&older, &wrong).await.unwrap();
    assert_eq!(answer["results"]["A"]["status"], 400, "a failed query is a success of the request: {answer}");

    assert!(
        platform.metrics().contains("dataplane_plugin_up{plugin=\"detectviz-hostmetrics-datasource\"} 1")
    );
    platform.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_lead_answers_and_leaves_the_condition_to_the_one_that_does() {
    let (fake, api, leadership) = (Fake::start(), Api::default(), Leadership::elected());
    api.put_service("v1.fake.test", "fake", "fake.test", "v1");
    api.put_source("default", "main", &json!({"type": "fake", "title": "Main", "url": "http://db"}));
    let platform = Platform::led(api, fake.plugins.options(), leadership.clone()).await;
    platform.until(|| platform.metrics().contains("dataplane_plugin_up{plugin=\"fake\"} 1")).await;
    platform.ask(FAKE, &query("fake", "main", &json!({}))).await.unwrap();
    let service = platform.api.get(&api::service_path("v1.fake.test")).unwrap();
    assert_eq!(detectviz_api::condition::find(&service, "Available"), None);
    leadership.lead_until(std::time::Instant::now() + PATIENCE);
    platform.available("v1.fake.test").await;
    platform.stop().await;
}

#[tokio::test]
async fn a_killed_plugin_comes_back_and_a_stopped_one_leaves_nothing() {
    let (platform, plugins) = with_host_metrics().await;
    let [first] = processes_of(plugins.path())[..] else { panic!("one process") };
    kill_process(first, Signal::KILL).unwrap();
    platform.condition("v1.hostmetrics.test", "False", "PluginNotRunning", "signal: 9").await;
    platform.available("v1.hostmetrics.test").await;
    let answer = platform.ask(LOAD, &query(HOST_METRICS, "here", &json!({"metric": "load"}))).await.unwrap();
    assert_eq!(answer["results"]["A"]["status"], 200, "{answer}");
    let [second] = processes_of(plugins.path())[..] else { panic!("one process") };
    assert_ne!(first, second);
    assert!(
        platform
            .metrics()
            .contains("dataplane_plugin_restarts_total{plugin=\"detectviz-hostmetrics-datasource\"} 1")
    );

    assert_eq!(plugins.sockets().len(), 1, "the killed process's socket is gone");
    platform.stop().await;
    assert!(processes_of(plugins.path()).is_empty() && plugins.sockets().is_empty());
}

#[tokio::test]
async fn a_plugin_that_does_not_start_says_why() {
    let plugins = Plugins::new();
    plugins.install_script("bad", "echo '1|9|unix|/s|grpc|'; exec sleep 1000");
    plugins.install_script("deaf", "echo '1|2|unix|/no/such/socket|grpc|'; exec sleep 1000");
    plugins.install_script("tcp", "echo '1|2|tcp|127.0.0.1:9|grpc|'; exec sleep 1000");
    plugins.install_script("dies", "echo '[ERROR] no licence' >&2; exit 3");
    plugins.install_script("silent", "sleep 1000");
    plugins.install_script("unfit", "");
    plugins.forbid("unfit");
    let api = Api::default();
    for id in ["bad", "deaf", "tcp", "dies", "silent", "unfit", "absent"] {
        api.put_service(&format!("v1.{id}.test"), id, &format!("{id}.test"), "v1");
    }
    let mut options = plugins.options();
    options.dataplane.start_timeout = Duration::from_millis(300);
    let platform = Platform::start(api, options).await;
    let not_running = "PluginNotRunning";
    platform
        .condition("v1.bad.test", "False", not_running, "its handshake is not accepted (signal: 9 ")
        .await;
    platform.condition("v1.deaf.test", "False", not_running, "cannot be connected to (signal: 9 ").await;
    platform.condition("v1.tcp.test", "False", not_running, "only a unix socket without TLS").await;
    platform.condition("v1.dies.test", "False", not_running, "listens (exit status: 3); ").await;
    platform
        .condition("v1.unfit.test", "False", not_running, "it cannot be started: permission denied; ")
        .await;
    platform.condition("v1.silent.test", "False", not_running, "wait for the plugin to start").await;
    platform.condition("v1.absent.test", "False", "PluginNotFound", "put its folder there").await;

    let bad = "/apis/bad.test/v1/namespaces/default/datasources/u/query";
    for id in ["bad", "deaf", "dies", "unfit"] {
        let object = platform.api.get(&api::service_path(&format!("v1.{id}.test"))).unwrap().to_string();
        let leaks = ["\\\"9\\\"", "/no/such", "no licence", "gpx"];
        assert!(!leaks.iter().any(|leak| object.contains(leak)), "{object}");
    }
    platform.api.put_source("default", "u", &json!({"type": "bad"}));
    let refusal = platform.ask(bad, &query("bad", "u", &json!({}))).await.unwrap_err();
    assert!(refusal.message.ends_with("its handshake is not accepted (signal: 9 (SIGKILL))"), "{refusal}");
    assert_eq!((refusal.code, refusal.details.unwrap().retry_after_seconds), (503, 1));
    // The data source is another plugin's, which is not what is wrong here.
    let refusal =
        platform.ask(&bad.replace("bad", "absent"), &query("bad", "u", &json!({}))).await.unwrap_err();
    let words = "unable to get plugin context: plugin not found: PluginNotFound: the plugin folder ";
    assert!(refusal.code == 503 && refusal.message.starts_with(words), "{refusal}");

    platform.stop().await;
    all_gone(&plugins).await;
}

#[tokio::test]
async fn nothing_of_the_client_reaches_the_plugin_but_its_name() {
    let (platform, fake) = with_fake(|_| {}).await;
    platform.ask(FAKE, &query("fake", "main", &json!({"expr": "up"}))).await.unwrap();
    let (metadata, request) = fake.last();
    assert_eq!(metadata.get("tenantid").unwrap(), "default");
    assert!(request.headers.is_empty());
    for secret in ["authorization", "cookie", "x-grafana-id", "x-custom"] {
        assert!(!metadata.contains_key(secret), "{metadata:?}");
    }
    let shown = format!("{metadata:?}{:?}", request.queries);
    assert!(!shown.contains("client-secret"), "{shown}");

    let context = request.plugin_context.unwrap();
    let user = context.user.unwrap();
    assert_eq!(
        (context.org_id, context.namespace.as_str(), context.plugin_id.as_str()),
        (1, "default", "fake")
    );
    assert_eq!((user.login.as_str(), user.role.as_str()), ("jo", "Viewer"));
    let settings = context.data_source_instance_settings.unwrap();
    assert_eq!((settings.uid.as_str(), settings.name.as_str()), ("main", "Main"));
    assert_eq!(settings.decrypted_secure_json_data["password"], "hunter2");
    platform.stop().await;
}

#[tokio::test]
async fn a_change_of_the_secret_reaches_the_plugin_as_newer_settings() {
    let (platform, fake) = with_fake(|_| {}).await;
    let settings = || fake.last().1.plugin_context.unwrap().data_source_instance_settings.unwrap();
    let ask = || async { platform.ask(FAKE, &query("fake", "main", &json!({}))).await.unwrap() };
    ask().await;
    let before = settings();
    platform.api.put_secret("default", "credentials", &json!({"password": "bmV3"}));
    ask().await;
    let after = settings();
    assert!(after.id == before.id && after.last_updated_ms > before.last_updated_ms);
    assert_eq!(after.decrypted_secure_json_data["password"], "new");

    let opaque = json!({"password": "b3RoZXI="});
    platform.api.put_secret_of("Opaque", "default", "credentials", &opaque);
    let refusal = platform.ask(FAKE, &query("fake", "main", &json!({}))).await.unwrap_err();
    let needed = "its type must be \"datasource.detectviz.io/credentials\"";
    assert!(refusal.code == 400 && refusal.message.ends_with(needed), "{refusal}");

    platform.api.remove("/api/v1/namespaces/default/secrets/credentials");
    let refusal = platform.ask(FAKE, &query("fake", "main", &json!({}))).await.unwrap_err();
    assert!(refusal.code == 400 && refusal.message.contains("needs secret \"credentials\""), "{refusal}");
    platform.stop().await;
}

#[tokio::test]
async fn each_failure_has_its_status() {
    let (platform, _fake) = with_fake(|options| {
        options.dataplane.query_timeout = Duration::from_secs(1);
        options.dataplane.max_response_bytes = 64 * 1024;
        options.limits.max_body_bytes = 4096;
    })
    .await;
    let ask = |kind: &str| query("fake", "main", &json!({"queryType": kind}));
    for (path, body, code, message) in [
        (FAKE, ask("slow"), 504, "did not answer within"),
        (FAKE, ask("large"), 413, "raise dataplane.max_response_bytes"),
        (FAKE, ask("denied"), 500, "downstream says no"),
        (FAKE, ask(&"x".repeat(5000)), 413, "larger than 4096 bytes"),
        (FAKE, json!({"queries": []}), 400, "missing datasource reference"),
        (
            FAKE,
            query("other", "main", &json!({})),
            400,
            "invalid datasource type: found \"other\", expected \"fake\"",
        ),
        (&*FAKE.replace("main", "gone"), query("fake", "gone", &json!({})), 404, GONE),
        (&*FAKE.replace("main", "gone"), json!({"queries": [{"refId": "A"}]}), 404, GONE),
        (&*FAKE.replace("default", "org-1"), query("fake", "main", &json!({})), 404, "not found"),
    ] {
        let refusal = platform.ask(path, &body).await.unwrap_err();
        assert_eq!(refusal.code, code, "{path}: {refusal}");
        assert!(refusal.message.contains(message), "{refusal}");
    }
    let gone = platform.ask(&FAKE.replace("main", "gone"), &json!({})).await.unwrap_err();
    assert_eq!(gone.details.unwrap().group, "datasource.detectviz.io");
    let answer = platform.ask(FAKE, &json!({"queries": [{"refId": "A"}]})).await.unwrap();
    assert_eq!(answer["results"]["A"]["status"], 200, "a query without reference is the path's: {answer}");
    let answer = platform.ask(FAKE, &ask("arrow")).await.unwrap();
    assert_eq!(answer["results"]["A"]["status"], 501, "{answer}");
    platform.api.put_source("default", "main", &json!({"type": "other"}));
    let refusal = platform.ask(FAKE, &ask("")).await.unwrap_err();
    let words = "invalid datasource type: found \"other\", expected \"fake\": data source \"main\" ";
    assert!(refusal.code == 400 && refusal.message.starts_with(words), "{refusal}");
    let metrics = platform.metrics();
    assert!(metrics.contains("dataplane_queries_total{plugin=\"fake\",code=\"504\"} 1"), "{metrics}");
    platform.stop().await;
}

#[tokio::test]
async fn routes_follow_the_services() {
    let (platform, _fake) = with_fake(|_| {}).await;
    let body = query("fake", "main", &json!({}));
    let is_taken = |path: &str| platform.routes(path);
    let moved = FAKE.replace("fake.test/v1", "moved.test/v2");
    assert!(is_taken(FAKE) && !is_taken(&moved));
    platform.api.put_service("v1.fake.test", "fake", "moved.test", "v2");
    platform.until(|| is_taken(&moved) && !is_taken(FAKE)).await;
    platform.ask(&moved, &body).await.unwrap();

    // The group-version of this server's own resources is never given away.
    platform.api.put_service("v0alpha1.local.test", "fake", "local.test", "v0alpha1");
    platform.condition("v0alpha1.local.test", "False", "GroupVersionTaken", "this server itself").await;
    assert!(!is_taken("/apis/local.test/v0alpha1/namespaces/default/datasources/main/query"));

    platform.api.remove(&api::service_path("v1.fake.test"));
    platform.until(|| !is_taken(&moved)).await;
    platform.stop().await;
}

#[tokio::test]
async fn a_service_of_another_plugin_type_gets_no_data() {
    let (platform, _fake) = with_fake(|_| {}).await;
    platform.api.put_service_of("app", "v1.fake.test", "fake", "fake.test", "v1");
    let fault = "plugin \"fake\" is of type datasource, not app: set spec.pluginType to datasource";
    platform.condition("v1.fake.test", "False", "PluginNotFound", fault).await;
    let refusal = platform.ask(FAKE, &query("fake", "main", &json!({}))).await.unwrap_err();
    assert!(refusal.code == 503 && refusal.message.ends_with(fault), "{refusal}");
    platform.stop().await;
}

#[tokio::test]
async fn a_socket_outside_the_own_folder_is_not_removed() {
    let (platform, fake) = with_fake(|_| {}).await;
    platform.stop().await;
    assert!(fake.plugins.path().join("fake.sock").exists());
}

#[tokio::test]
async fn what_a_plugin_started_ends_with_it() {
    let (platform, fake) = with_fake(|_| {}).await;
    let processes = || processes_of(fake.plugins.path());
    let is_leader = |process: &Pid| getpgid(Some(*process)).is_ok_and(|group| group == *process);
    let (leaders, others): (Vec<Pid>, Vec<Pid>) = processes().into_iter().partition(is_leader);
    let ([leader], [child]) = (&leaders[..], &others[..]) else { panic!("{leaders:?} {others:?}") };
    kill_process(*leader, Signal::KILL).unwrap();
    platform.until(|| !processes().contains(child)).await;
    platform.stop().await;
}

/// Set in the process that plays the server: where its plugins are.
const HOST: &str = "DETECTVIZ_DATAPLANE_TEST_HOST";

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_plugin_that_watches_nobody_dies_with_a_killed_server() {
    if let Some(path) = std::env::var_os(HOST) {
        let _platform = Platform::start(Api::default(), Plugins::of(path.into()).options()).await;
        return std::future::pending().await;
    }
    let plugins = Plugins::new();
    plugins.install_script("heedless", "exec sleep 1000");
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_plugin_that_watches_nobody_dies_with_a_killed_server"])
        .env(HOST, plugins.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    patiently("the plugin", async {
        while processes_of(plugins.path()).is_empty() {
            assert!(server.try_wait().unwrap().is_none(), "the server ended");
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.kill().unwrap();
    server.wait().unwrap();
    all_gone(&plugins).await;
}

#[tokio::test]
async fn a_condition_is_written_once_and_a_conflict_is_read_again() {
    let api = Api::default();
    api.conflict_next_writes(2);
    api.put_service("v1.x.test", "x", "x.test", "v1");
    let platform = Platform::start(api, Options::default()).await;
    platform.condition("v1.x.test", "False", "NoPluginDir", "set plugin_dir").await;
    let writes = platform.api.writes();
    // Another service makes the controller look at everything again.
    platform.api.put_service("v1.y.test", "y", "y.test", "v1");
    platform.condition("v1.y.test", "False", "NoPluginDir", "set plugin_dir").await;
    assert_eq!((writes, platform.api.writes()), (3, 4));
    platform.stop().await;
}

#[tokio::test]
async fn a_missing_plugin_folder_is_no_crash() {
    let api = Api::default();
    api.put_service("v1.x.test", "x", "x.test", "v1");
    let options = Options { plugin_dir: "/no/such/folder".into(), ..Options::default() };
    let platform = Platform::start(api, options).await;
    platform.condition("v1.x.test", "False", "NoPluginDir", "/no/such/folder cannot be read").await;
    platform.stop().await;
}

#[test]
fn the_edition_table_gets_its_row() {
    let table = detectviz_core::EditionTable::collect(detectviz_core::Edition { name: "test" }).unwrap();
    let row = table.row("dataplane").unwrap();
    assert_eq!((row.implementation, row.toggle), (Some("detectviz-dataplane"), "dataplaneAggregator"));
}

/// Nobody waits for a plugin's child, nor for an orphan, so it may take a moment to be gone.
async fn all_gone(plugins: &Plugins) {
    patiently("the end of all processes", async {
        while !processes_of(plugins.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The refusals in these tests come from the runner, never from a missing route.
fn no_route() -> Status {
    Status::failure(Reason::NotFound, "no route")
}

/// Waits for what must come, however long it takes.
async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
