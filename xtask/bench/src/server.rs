//! The server under test, and the few of its objects that the benchmarks need: ConfigMaps of 1 KiB.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;

use crate::load::{Client, Connection, Credentials, Protocol, Target};
use crate::process::Process;

/// The bytes of an object as it is sent, and of a peer's value.
pub(crate) const OBJECT: usize = 1024;

/// A running server with the data folder `FOLDER/data`.
pub(crate) struct Server {
    /// Its process.
    pub(crate) process: Process,
    /// How the administrator reaches it.
    pub(crate) target: Target,
    /// From the call that starts it to the line that says that it is ready.
    pub(crate) start: Duration,
    folder: PathBuf,
}

impl Server {
    /// Starts `binary` and waits until it is ready.
    ///
    /// # Errors
    /// When it ends before.
    pub(crate) async fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, &[]).await
    }

    /// The same, with more arguments.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) async fn start_with(binary: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let data = folder.join("data");
        let mut command = Command::new(binary);
        command.env_clear().env("HOME", folder).current_dir(folder).arg("serve");
        command.args(["--secure-port", "0", "--data-dir"]).arg(&data).args(arguments);
        let began = Instant::now();
        let mut process = Process::start(command, &folder.join("detectviz.log"))?;
        let url = process.line("ready https://").await?;
        let start = began.elapsed();
        let address: SocketAddr = url.parse().with_context(|| format!("use the address {url:?}"))?;
        let file = |name: &str| -> PathBuf { data.join("pki").join(name) };
        let credentials = Credentials::load(&file("serving-ca.crt"), &file("admin.crt"), &file("admin.key"))?;
        Ok(Self { process, target: Target { address, credentials }, start, folder: folder.to_owned() })
    }

    /// Makes `namespace` and `count` objects in it.
    ///
    /// # Errors
    /// When one is refused.
    pub(crate) async fn fill(&self, namespace: &str, count: u64) -> anyhow::Result<()> {
        self.namespace(namespace).await?;
        let clients = Creator::clients(&self.target, namespace, "filled", crate::FILLERS).await?;
        crate::load::fill(clients, count).await
    }

    /// A file of its keys and certificates.
    pub(crate) fn pki(&self, name: &str) -> PathBuf {
        self.folder.join("data/pki").join(name)
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// When it is there already.
    pub(crate) async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
        let mut connection = self.target.connect(Protocol::Http2).await?;
        connection.fetch(Method::POST, "/api/v1/namespaces", Some(body.into())).await.map(drop)
    }
}

/// The path of a namespace's ConfigMaps.
pub(crate) fn collection(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

/// A ConfigMap of [`OBJECT`] bytes that carries `sequence`.
pub(crate) fn config_map(name: &str, sequence: u64) -> Bytes {
    let head = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"sequence":"{sequence}","text":""#
    );
    let tail = r#""}}"#;
    let filler = OBJECT.saturating_sub(head.len() + tail.len());
    format!("{head}{:x<filler$}{tail}", "").into()
}

/// A client that creates one object after another.
pub(crate) struct Creator {
    connection: Connection,
    path: String,
    prefix: String,
    made: u64,
}

impl Creator {
    /// Clients on a connection each, whose objects' names begin with `run`.
    pub(crate) async fn clients(
        target: &Target,
        namespace: &str,
        run: &str,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        let connections = target.connections(Protocol::Http2, count).await?;
        let client = |(index, connection)| Self {
            connection,
            path: collection(namespace),
            prefix: format!("{run}-{index}"),
            made: 0,
        };
        Ok(connections.into_iter().enumerate().map(client).collect())
    }
}

impl Client for Creator {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.made += 1;
        let body = config_map(&format!("{}-{}", self.prefix, self.made), 0);
        self.connection.fetch(Method::POST, &self.path, Some(body)).await.map(drop)
    }
}

/// A client that changes its own object again and again.
pub(crate) struct Updater {
    connection: Connection,
    name: String,
    path: String,
    sequence: u64,
}

impl Updater {
    /// A client on a connection of its own, whose object is created.
    pub(crate) async fn new(target: &Target, namespace: &str, name: &str) -> anyhow::Result<Self> {
        let mut connection = target.connect(Protocol::Http2).await?;
        let all = collection(namespace);
        connection.fetch(Method::POST, &all, Some(config_map(name, 0))).await?;
        Ok(Self { connection, name: name.to_owned(), path: format!("{all}/{name}"), sequence: 0 })
    }

    /// Clients with an object each, whose names begin with `run`.
    pub(crate) async fn clients(
        target: &Target,
        namespace: &str,
        run: &str,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            clients.push(Self::new(target, namespace, &format!("{run}-{index}")).await?);
        }
        Ok(clients)
    }
}

impl Client for Updater {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.sequence += 1;
        let body = config_map(&self.name, self.sequence);
        self.connection.fetch(Method::PUT, &self.path, Some(body)).await.map(drop)
    }
}

/// A client that gets one path again and again.
pub(crate) struct Getter {
    connection: Connection,
    path: String,
}

impl Getter {
    /// Clients on a connection each.
    pub(crate) async fn clients(
        target: &Target,
        protocol: Protocol,
        path: &str,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        let connections = target.connections(protocol, count).await?;
        let client = |connection| Self { connection, path: path.to_owned() };
        Ok(connections.into_iter().map(client).collect())
    }
}

impl Client for Getter {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.connection.fetch(Method::GET, &self.path, None).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_its_size_whatever_it_is_called() {
        for name in ["a", "filled-15-99999"] {
            let object = config_map(name, 12);
            assert_eq!(object.len(), OBJECT);
            let parsed: serde_json::Value = serde_json::from_slice(&object).unwrap();
            assert_eq!(parsed["data"]["sequence"], "12");
        }
    }
}
