//! Words that several suites share.

use std::future::Future;

use detectviz_tests::{Server, Storage, editions};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// The storages whose data outlives the server.
pub(crate) const DURABLE: [Storage; 2] = [Storage::Embedded, Storage::Etcd];

/// What the client library runs on; the harness itself blocks, and stays outside.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("start a runtime")
}

/// A client of `server` from the kubeconfig that the server wrote; it has connections of its own.
pub(crate) async fn client(server: &Server) -> Client {
    let path = server.data_dir().join("admin.kubeconfig");
    let kubeconfig = Kubeconfig::read_from(path).expect("read the kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("take the kubeconfig")).expect("make a client")
}

/// Runs `body` with a client, for each storage.
pub(crate) fn with_client<F: Future<Output = ()>>(body: impl Fn(Client) -> F) {
    detectviz_tests::variants(|server| runtime().block_on(async { body(client(&server).await).await }));
}

/// Runs `body` for each storage whose data outlives the server.
pub(crate) fn every_durable(body: impl Fn(detectviz_tests::Builder)) {
    for storage in DURABLE {
        eprintln!("storage: {}", storage.name());
        body(Server::builder(editions()[0]).storage(storage));
    }
}

/// A config map with one value.
pub(crate) fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(config_map_json(name, value)).expect("it is a config map")
}

/// The same as a document.
pub(crate) fn config_map_json(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
}

/// The refusal's code and reason.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason),
        other => panic!("no refusal: {other:?}"),
    }
}
