//! The host's side: starts the plugin, keeps it while the test runs, and asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use detectviz_pluginv2::handshake::{self, APP_VERSION, UNIX_SOCKET_DIR};
use detectviz_pluginv2::proto::check_health_response::HealthStatus;
use detectviz_pluginv2::proto::data_client::DataClient;
use detectviz_pluginv2::proto::diagnostics_client::DiagnosticsClient;
use detectviz_pluginv2::proto::resource_client::ResourceClient;
use detectviz_pluginv2::proto::{
    CallResourceRequest, CheckHealthRequest, DataFrameFormat, DataQuery, DataResponse,
    DataSourceInstanceSettings, PluginContext, QueryDataRequest, TimeRange,
};
use detectviz_pluginv2::{Address, Handshake};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tonic::transport::{Channel, Endpoint};

/// No condition here takes longer, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host-metrics-plugin"));
    command.env_clear().envs(handshake::environment()).env(UNIX_SOCKET_DIR, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running plugin and the way to talk to it.
pub(crate) struct Plugin {
    pub(crate) child: Child,
    pub(crate) socket: PathBuf,
    pub(crate) channel: Channel,
    _folder: TempDir,
}

impl Plugin {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path());
        command.env("GF_PLUGIN_SAMPLE_INTERVAL_MS", "100");
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
        let handshake = Handshake::parse(&line, &[APP_VERSION]).unwrap();
        assert_eq!(handshake.to_string() + "\n", line);
        let Address::Unix(socket) = handshake.address else { panic!("{line}") };
        assert_eq!(socket.parent(), Some(folder.path()));
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { child, socket, channel, _folder: folder }
    }

    pub(crate) async fn query(
        &self,
        context: PluginContext,
        queries: Vec<DataQuery>,
    ) -> BTreeMap<String, DataResponse> {
        let request = QueryDataRequest {
            plugin_context: Some(context),
            queries,
            format: DataFrameFormat::Json.into(),
            ..QueryDataRequest::default()
        };
        DataClient::new(self.channel.clone()).query_data(request).await.unwrap().into_inner().responses
    }

    /// Asks until the frame of one metric is as wanted.
    pub(crate) async fn frame_when(&self, metric: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = async {
            loop {
                let responses = self.query(context("{}"), vec![query("A", metric)]).await;
                let frame = frame(&responses["A"]);
                if wanted(&frame) {
                    return frame;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ask).await.expect("the wanted frame")
    }

    pub(crate) async fn call(&self, method: &str, path: &str) -> (i32, Value) {
        let request = CallResourceRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            ..CallResourceRequest::default()
        };
        let mut stream =
            ResourceClient::new(self.channel.clone()).call_resource(request).await.unwrap().into_inner();
        let first = stream.message().await.unwrap().unwrap();
        assert_eq!(stream.message().await.unwrap(), None);
        (first.code, serde_json::from_slice(&first.body).unwrap())
    }

    pub(crate) async fn health(&self, json_data: &str) -> (HealthStatus, String) {
        let request =
            CheckHealthRequest { plugin_context: Some(context(json_data)), ..CheckHealthRequest::default() };
        let response =
            DiagnosticsClient::new(self.channel.clone()).check_health(request).await.unwrap().into_inner();
        assert!(serde_json::from_slice::<Value>(&response.json_details).unwrap().is_object());
        (response.status(), response.message)
    }

    pub(crate) async fn exit(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("an end").unwrap()
    }
}

pub(crate) fn context(json_data: &str) -> PluginContext {
    PluginContext {
        plugin_id: "detectviz-hostmetrics-datasource".to_owned(),
        data_source_instance_settings: Some(DataSourceInstanceSettings {
            id: 1,
            uid: "here".to_owned(),
            json_data: json_data.to_owned().into(),
            ..DataSourceInstanceSettings::default()
        }),
        ..PluginContext::default()
    }
}

/// All of the last hour.
pub(crate) fn query(ref_id: &str, metric: &str) -> DataQuery {
    let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    DataQuery {
        ref_id: ref_id.to_owned(),
        max_data_points: 500,
        time_range: Some(TimeRange { from_epoch_ms: now - 3_600_000, to_epoch_ms: now }),
        json: json!({"refId": ref_id, "metric": metric}).to_string().into(),
        ..DataQuery::default()
    }
}

pub(crate) fn frame(response: &DataResponse) -> Value {
    assert_eq!((response.status, &*response.error, response.format()), (200, "", DataFrameFormat::Json));
    serde_json::from_slice(&response.frames[0]).unwrap()
}

/// The last value of each series by name and label, nulls left out.
pub(crate) fn last_values(frame: &Value) -> BTreeMap<(String, String), f64> {
    let fields = frame["schema"]["fields"].as_array().unwrap().iter().skip(1);
    let columns = frame["data"]["values"].as_array().unwrap().iter().skip(1);
    let last = |column: &Value| column.as_array().unwrap().last().and_then(Value::as_f64);
    let label = |field: &Value| {
        let labels = field["labels"].as_object().into_iter().flatten();
        labels.map(|(_, value)| value.as_str().unwrap()).collect::<String>()
    };
    let name = |field: &Value| field["name"].as_str().unwrap().to_owned();
    fields
        .zip(columns)
        .filter_map(|(field, column)| Some(((name(field), label(field)), last(column)?)))
        .collect()
}

pub(crate) fn value(values: &BTreeMap<(String, String), f64>, name: &str, label: &str) -> f64 {
    values[&(name.to_owned(), label.to_owned())]
}
