//! The built binary, spoken to as a host does: environment, handshake line, gRPC on its socket, shutdown.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod host;

use std::process::Stdio;

use detectviz_pluginv2::Handshake;
use detectviz_pluginv2::goplugin::Empty;
use detectviz_pluginv2::goplugin::grpc_controller_client::GrpcControllerClient;
use detectviz_pluginv2::goplugin::grpc_stdio_client::GrpcStdioClient;
use detectviz_pluginv2::handshake::{self, APP_VERSION, HEALTH_SERVICE, UNIX_SOCKET_DIR};
use detectviz_pluginv2::health::HealthCheckRequest;
use detectviz_pluginv2::health::health_check_response::ServingStatus;
use detectviz_pluginv2::health::health_client::HealthClient;
use detectviz_pluginv2::proto::check_health_response::HealthStatus;
use detectviz_pluginv2::proto::data_client::DataClient;
use detectviz_pluginv2::proto::diagnostics_client::DiagnosticsClient;
use detectviz_pluginv2::proto::{CollectMetricsRequest, DataFrameFormat, DataQuery, QueryDataRequest};
use host::{PATIENCE, Plugin, command, context, frame, last_values, query, value};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tonic::Code;

#[tokio::test]
async fn lives_from_handshake_to_shutdown() {
    let mut plugin = Plugin::start().await;
    let mut health = HealthClient::new(plugin.channel.clone());
    let alive = health.check(HealthCheckRequest { service: HEALTH_SERVICE.to_owned() }).await.unwrap();
    assert_eq!(alive.into_inner().status(), ServingStatus::Serving);
    let unknown = health.check(HealthCheckRequest { service: "other".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    let mut stdio = GrpcStdioClient::new(plugin.channel.clone()).stream_stdio(()).await.unwrap().into_inner();
    let answer = GrpcControllerClient::new(plugin.channel.clone()).shutdown(Empty {}).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(stdio.message().await.unwrap(), None, "the open stream ends");
    assert_eq!(plugin.exit().await.code(), Some(0));
    assert!(!plugin.socket.exists());

    let mut logs = String::new();
    plugin.child.stderr.take().unwrap().read_to_string(&mut logs).await.unwrap();
    for line in logs.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["@level"].is_string() && line["@message"].is_string() && line["@timestamp"].is_string());
    }
    assert!(logs.contains("the host asked for it"), "{logs}");
}

#[tokio::test]
async fn a_query_right_after_the_start_has_plausible_data() {
    let plugin = Plugin::start().await;
    let queries = ["cpu", "memory", "disk", "load", "network"].map(|metric| query(metric, metric)).to_vec();
    let responses = plugin.query(context("{}"), queries).await;
    assert_eq!(responses.len(), 5);
    for response in responses.values() {
        let frame = frame(response);
        assert!(!frame["data"]["values"][0].as_array().unwrap().is_empty(), "{frame}");
        assert_eq!(frame["schema"]["fields"][0]["type"], "time");
        assert_eq!(frame["schema"]["meta"]["custom"]["uid"], "here");
    }
    let memory = last_values(&frame(&responses["memory"]));
    let (used, total) = (value(&memory, "used", ""), value(&memory, "total", ""));
    assert!(0.0 < used && used < total, "{memory:?}");
    let disk = last_values(&frame(&responses["disk"]));
    assert!((0.0..=100.0).contains(&value(&disk, "used_percent", "/")), "{disk:?}");
    assert!(value(&disk, "used", "/") <= value(&disk, "size", "/"), "{disk:?}");
    let load = last_values(&frame(&responses["load"]));
    assert!(load.len() == 3 && load.values().all(|load| *load >= 0.0), "{load:?}");
}

#[tokio::test]
async fn cpu_shares_add_up_and_grow_into_a_series() {
    let plugin = Plugin::start().await;
    let rows = |frame: &Value| frame["data"]["values"][0].as_array().unwrap().len();
    // No metric means CPU, and idle machines may see no tick go by between two samples.
    let frame = plugin.frame_when("", |frame| rows(frame) >= 3 && last_values(frame).len() == 8).await;
    let shares = last_values(&frame);
    let total: f64 = shares.values().sum();
    assert!((total - 100.0).abs() < 1e-6, "{shares:?}");
    let times: Vec<i64> =
        frame["data"]["values"][0].as_array().unwrap().iter().map(|time| time.as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");

    let few = DataQuery { max_data_points: 2, ..query("A", "cpu") };
    let responses = plugin.query(context("{}"), vec![few]).await;
    let decimated = host::frame(&responses["A"]);
    assert!((1..=2).contains(&rows(&decimated)), "{decimated}");
}

#[tokio::test]
async fn one_bad_query_does_not_fail_its_neighbours() {
    let plugin = Plugin::start().await;
    let responses = plugin.query(context("{}"), vec![query("A", "gpu"), query("B", "load")]).await;
    let refused = &responses["A"];
    assert_eq!((refused.status, &*refused.error_source, refused.frames.len()), (400, "downstream", 0));
    assert!(refused.error.contains("\"gpu\"") && refused.error.contains("network"), "{}", refused.error);
    frame(&responses["B"]);

    let responses = plugin.query(context(r#"{"disks":"/"}"#), vec![query("A", "cpu")]).await;
    assert!(responses["A"].error.contains("jsonData"), "{responses:?}");

    let mut diagnostics = DiagnosticsClient::new(plugin.channel.clone());
    let metrics = diagnostics.collect_metrics(CollectMetricsRequest::default()).await.unwrap().into_inner();
    let text = String::from_utf8(metrics.metrics.unwrap().prometheus.to_vec()).unwrap();
    assert!(text.contains("host_metrics_queries_total{outcome=\"answered\"} 1\n"), "{text}");
    assert!(text.contains("host_metrics_queries_total{outcome=\"refused\"} 2\n"), "{text}");
}

#[tokio::test]
async fn frames_are_json_and_say_so_when_arrow_was_asked_for() {
    let plugin = Plugin::start().await;
    let request = QueryDataRequest { queries: vec![query("A", "load")], ..QueryDataRequest::default() };
    assert_eq!(request.format(), DataFrameFormat::Arrow);
    let response = DataClient::new(plugin.channel.clone()).query_data(request).await.unwrap().into_inner();
    frame(&response.responses["A"]);
}

#[tokio::test]
async fn settings_choose_disks_and_labels() {
    let plugin = Plugin::start().await;
    let settings = r#"{"disks":["/proc"],"labels":{"rack":"7"}}"#;
    let shown = async {
        loop {
            let responses = plugin.query(context(settings), vec![query("A", "disk")]).await;
            let frame = frame(&responses["A"]);
            let fields = frame["schema"]["fields"].as_array().unwrap().clone();
            assert!(fields.iter().all(|field| field["labels"]["path"] != "/"), "{fields:?}");
            if let Some(field) = fields.into_iter().find(|field| field["labels"]["path"] == "/proc") {
                return field;
            }
        }
    };
    let field = tokio::time::timeout(PATIENCE, shown).await.expect("a sample of the new path");
    assert_eq!(field["labels"]["rack"], "7");
}

#[tokio::test]
async fn health_tells_what_is_wrong_with_the_settings() {
    let plugin = Plugin::start().await;
    let (status, message) = plugin.health("").await;
    assert_eq!(status, HealthStatus::Ok, "{message}");
    let (status, message) = plugin.health(r#"{"disks":["/no-such-folder"]}"#).await;
    assert_eq!(status, HealthStatus::Error);
    assert!(message.starts_with("measure disk /no-such-folder: "), "{message}");
}

#[tokio::test]
async fn resource_lists_the_metrics() {
    let plugin = Plugin::start().await;
    let (code, body) = plugin.call("GET", "metrics").await;
    let names: Vec<&str> =
        body["metrics"].as_array().unwrap().iter().map(|entry| entry["metric"].as_str().unwrap()).collect();
    assert_eq!((code, names), (200, vec!["cpu", "memory", "disk", "load", "network"]));
    assert_eq!(plugin.call("DELETE", "metrics").await.0, 405);
    assert_eq!(plugin.call("GET", "elsewhere").await.0, 404);
}

#[tokio::test]
async fn sigterm_ends_it_as_cleanly_and_sigint_not_at_all() {
    use rustix::process::{Pid, Signal, kill_process};
    let mut plugin = Plugin::start().await;
    let pid = Pid::from_raw(i32::try_from(plugin.child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(plugin.health("").await.0, HealthStatus::Ok);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(plugin.exit().await.code(), Some(0));
    assert!(!plugin.socket.exists());
}

#[tokio::test]
async fn it_does_not_outlive_its_host() {
    let folder = tempfile::tempdir().unwrap();
    // A shell as the host: it starts the plugin, and ends when its own stdin does.
    let mut host = Command::new("/bin/sh");
    host.args(["-c", "\"$0\" & cat", env!("CARGO_BIN_EXE_host-metrics-plugin")]);
    host.env_clear().env("PATH", "/usr/bin:/bin").envs(handshake::environment());
    host.env(UNIX_SOCKET_DIR, folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut host = host.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut stdout = BufReader::new(host.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).await.unwrap();
    Handshake::parse(&line, &[APP_VERSION]).unwrap();
    drop(host.stdin.take());
    // The plugin holds the other end of the pipe as long as it lives.
    let end = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await.expect("an end");
    assert_eq!(end.unwrap(), 0);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "no socket is left behind");
}

#[tokio::test]
async fn socket_is_for_this_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let plugin = Plugin::start().await;
    assert_eq!(plugin.socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn without_the_cookie_it_says_that_it_is_a_plugin() {
    let folder = tempfile::tempdir().unwrap();
    for cookie in [None, Some("app")] {
        let mut command = command(folder.path());
        command.env_remove(handshake::MAGIC_COOKIE_KEY);
        command.envs(cookie.map(|cookie| (handshake::MAGIC_COOKIE_KEY, cookie)));
        let output = command.output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("grafana_plugin_type=datasource"), "{message}");
    }
}

#[tokio::test]
async fn a_wrong_interval_is_refused_before_the_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).env("GF_PLUGIN_SAMPLE_INTERVAL_MS", "5").output().await.unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let line: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(line["error"].as_str().unwrap().contains("from 100 to 60000"), "{line}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "no socket is left behind");
}
