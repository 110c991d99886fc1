//! etcd as it comes: one member, fsync on, TLS with client certificates, the binary from a crate that carries it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use prost::Message as _;

use super::certificates::Certificates;
use super::grpc::{self, PutRequest, RangeRequest, RangeResponse, WatchCreateRequest, WatchRequest};
use crate::load::{Client, Connection, Protocol, Target};
use crate::process::Process;

/// How long it may take to become healthy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks whether it is healthy.
const LOOK: Duration = Duration::from_millis(1);

/// A running etcd with its data below one folder.
pub(crate) struct Etcd {
    /// Its process.
    pub(crate) process: Process,
    /// How a client with a certificate reaches it.
    pub(crate) target: Target,
    /// From the call that starts it until it answers a linearizable read.
    pub(crate) start: Duration,
}

/// The first line of `etcd --version`.
pub(crate) fn etcd_version() -> anyhow::Result<String> {
    let output = Command::new(etcd_binary()?).arg("--version").output().context("run etcd --version")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().replace("etcd Version:", "etcd").trim().to_owned())
}

/// The binary that the crate carries.
pub(crate) fn etcd_binary() -> anyhow::Result<&'static Path> {
    etcd_bin_vendored::etcd_bin_path().map_err(|fault| anyhow::anyhow!("find etcd: {fault}"))
}

impl Etcd {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it ends before.
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let certificates = Certificates::create(&folder.join("pki"))?;
        let credentials = certificates.credentials()?;
        let [client, peer] = super::free_addresses()?;
        let mut command = Command::new(etcd_binary()?);
        command.env_clear().args(["--name", "bench", "--log-level", "error", "--data-dir"]);
        command.arg(folder.join("data"));
        for flag in ["--listen-client-urls", "--advertise-client-urls"] {
            command.args([flag, &format!("https://{client}")]);
        }
        for flag in ["--listen-peer-urls", "--initial-advertise-peer-urls"] {
            command.args([flag, &format!("http://{peer}")]);
        }
        command.args(["--initial-cluster", &format!("bench=http://{peer}"), "--client-cert-auth"]);
        command.args(["--quota-backend-bytes", "8589934592"]);
        for (flag, file) in
            [("--cert-file", "server.crt"), ("--key-file", "server.key"), ("--trusted-ca-file", "ca.crt")]
        {
            command.arg(flag).arg(certificates.file(file));
        }
        let began = Instant::now();
        let process = Process::start(command, &folder.join("etcd.log"))?;
        let mut own =
            Self { process, target: Target { address: client, credentials }, start: Duration::ZERO };
        own.healthy(began).await?;
        own.start = began.elapsed();
        Ok(own)
    }

    async fn healthy(&mut self, began: Instant) -> anyhow::Result<()> {
        loop {
            self.process.check()?;
            let fault = match self.answers().await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            if began.elapsed() > PATIENCE {
                return Err(fault.context("wait until etcd is healthy"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn answers(&self) -> anyhow::Result<()> {
        let mut connection = self.target.connect(Protocol::Http2).await?;
        get(&mut connection, "health").await.map(drop)
    }

    /// Puts `count` values below `prefix`.
    ///
    /// # Errors
    /// When one is refused.
    pub(crate) async fn fill(&self, prefix: &str, count: u64) -> anyhow::Result<()> {
        let clients = Putter::clients(&self.target, prefix, crate::FILLERS, false).await?;
        crate::load::fill(clients, count).await
    }

    /// Opens a watch of all keys below `prefix`; the connection goes on to carry others.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn watch(
        connection: &mut Connection,
        prefix: &str,
    ) -> anyhow::Result<Response<Incoming>> {
        let create = WatchCreateRequest { key: key(prefix), range_end: end(prefix) };
        let request = grpc::request(connection, "Watch/Watch", &WatchRequest { create: Some(create) }, true)?;
        connection.send(request).await
    }
}

fn key(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

/// The end of the range of all keys that begin with `prefix`, which ends with an ASCII character.
fn end(prefix: &str) -> Bytes {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

async fn get(connection: &mut Connection, name: &str) -> anyhow::Result<Bytes> {
    let request = RangeRequest { key: key(name), range_end: Bytes::new(), limit: 0 };
    grpc::call(connection, "KV/Range", &request).await
}

/// A client that puts one value after another, under new keys or under its own.
pub(crate) struct Putter {
    connection: Connection,
    prefix: String,
    own: bool,
    put: u64,
}

impl Putter {
    /// Clients on a connection each; with `own`, each changes one key again and again.
    pub(crate) async fn clients(
        target: &Target,
        prefix: &str,
        count: usize,
        own: bool,
    ) -> anyhow::Result<Vec<Self>> {
        let connections = target.connections(Protocol::Http2, count).await?;
        let client =
            |(index, connection)| Self { connection, prefix: format!("{prefix}{index}"), own, put: 0 };
        Ok(connections.into_iter().enumerate().map(client).collect())
    }
}

impl Client for Putter {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.put += 1;
        let name = if self.own { self.prefix.clone() } else { format!("{}-{}", self.prefix, self.put) };
        let value = crate::server::config_map("value", self.put);
        grpc::call(&mut self.connection, "KV/Put", &PutRequest { key: key(&name), value }).await.map(drop)
    }
}

/// A client that reads one key, or all keys below a prefix, again and again; reads are linearizable.
pub(crate) struct Ranger {
    connection: Connection,
    name: String,
    page: Option<i64>,
    /// How many keys the last call read.
    pub(crate) read: usize,
}

impl Ranger {
    /// Clients on a connection each that read one key.
    pub(crate) async fn clients(target: &Target, name: &str, count: usize) -> anyhow::Result<Vec<Self>> {
        let connections = target.connections(Protocol::Http2, count).await?;
        let client = |connection| Self { connection, name: name.to_owned(), page: None, read: 0 };
        Ok(connections.into_iter().map(client).collect())
    }

    /// A client that reads all keys below `prefix`, in pages of `page` keys; 0 is all in one answer.
    pub(crate) async fn all(target: &Target, prefix: &str, page: i64) -> anyhow::Result<Self> {
        let connection = target.connect(Protocol::Http2).await?;
        Ok(Self { connection, name: prefix.to_owned(), page: Some(page), read: 0 })
    }

    async fn pages(&mut self, limit: i64) -> anyhow::Result<()> {
        let mut request = RangeRequest { key: key(&self.name), range_end: end(&self.name), limit };
        self.read = 0;
        loop {
            let answer = grpc::call(&mut self.connection, "KV/Range", &request).await?;
            let answer = RangeResponse::decode(answer).context("decode a range")?;
            self.read += answer.kvs.len();
            match answer.kvs.last() {
                Some(last) if answer.more => request.key = [&last.key[..], b"\0"].concat().into(),
                _ => return Ok(()),
            }
        }
    }
}

impl Client for Ranger {
    async fn call(&mut self) -> anyhow::Result<()> {
        match self.page {
            Some(limit) => self.pages(limit).await,
            None => get(&mut self.connection, &self.name).await.map(drop),
        }
    }
}
