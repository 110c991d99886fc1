//! Options are one table: each has a key, a default, what is allowed, and where its value came from.
//!
//! Four sources, later ones win: built-in defaults, the configuration file, `DETECTVIZ_*` variables (`__` nests), flags.
//! Every mistake is reported at once, with its origin.

pub mod controllers;
mod egress;
mod etcd;
mod load;
mod parse;
mod table;

pub use controllers::Controllers;
pub use egress::{EgressOptions, Network};
pub use etcd::{EtcdEndpoint, EtcdOptions};
pub use load::{Fault, Faults, Flag, Loaded, Sources, Value};
pub use table::{OptionSpec, TABLE};

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::toggles::Toggles;

/// The variables that set options begin with this.
pub const ENVIRONMENT_PREFIX: &str = "DETECTVIZ_";

/// Where objects are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageKind {
    /// In the data folder.
    #[default]
    Embedded,
    /// In memory: gone at exit.
    Memory,
    /// In etcd.
    Etcd,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The effective options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of everything that the server keeps.
    pub data_dir: PathBuf,
    /// The address to listen on.
    pub bind_address: IpAddr,
    /// The port to listen on; 0 picks a free one.
    pub secure_port: u16,
    /// Where objects are kept.
    pub storage: StorageKind,
    /// The etcd cluster, when objects are kept there.
    pub etcd: EtcdOptions,
    /// Which controllers run.
    pub controllers: Controllers,
    /// Events.
    pub events: EventOptions,
    /// Whether the workload kinds are served that nothing runs here.
    pub batteries: bool,
    /// Where backend plugins are; empty for none.
    pub plugin_dir: PathBuf,
    /// Logging.
    pub log: LogOptions,
    /// Authentication.
    pub auth: AuthOptions,
    /// The serving certificate.
    pub tls: TlsOptions,
    /// Bounds on requests.
    pub limits: LimitOptions,
    /// Outgoing connections.
    pub egress: EgressOptions,
    /// The aggregator of API servers.
    pub aggregator: AggregatorOptions,
    /// The aggregator of plugins.
    pub dataplane: DataplaneOptions,
    /// The feature toggles.
    pub toggles: Toggles,
}

/// Events, the API resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventOptions {
    /// How long an event lasts after it was last written; upstream's `--event-ttl`.
    pub ttl: Duration,
}

/// Logging.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: a level, or `target=level` pairs joined by commas.
    pub level: String,
}

/// Authentication.
#[derive(Clone, Debug, Default)]
pub struct AuthOptions {
    /// The CAs that sign users' certificates besides the server's own; empty for none.
    pub client_ca_file: PathBuf,
    /// The static token file; empty for none.
    pub token_file: PathBuf,
}

/// The serving certificate.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// The certificate that is shown to clients; empty for the one of the server's own CA.
    pub cert_file: PathBuf,
    /// Its private key; empty together with it.
    pub key_file: PathBuf,
    /// The DNS names and IP addresses that clients use, besides the bind address and this machine's own.
    pub serving_names: Vec<String>,
}

/// Bounds on requests.
#[derive(Clone, Debug, Default)]
pub struct LimitOptions {
    /// The most bytes that all windows of the watch cache keep for resuming watches.
    pub cache_window_bytes: usize,
    /// The most bytes of a request body.
    pub max_body_bytes: usize,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most reads under way at once.
    pub max_reads_in_flight: usize,
    /// The most writes under way at once.
    pub max_writes_in_flight: usize,
    /// The most watches of one user at once.
    pub max_watches_per_user: usize,
    /// How long a request may take; watches and proxied streams are exempt.
    pub request_timeout: Duration,
    /// How long requests under way may go on after the server was told to stop.
    pub shutdown_grace: Duration,
}

/// The aggregator of API servers. Grafana's `KubeAggregatorOptions`.
#[derive(Clone, Debug, Default)]
pub struct AggregatorOptions {
    /// The CAs that sign the certificates of remote services; empty for none.
    pub api_service_ca_bundle_file: PathBuf,
    /// The file of remote services; empty for none.
    pub remote_services_file: PathBuf,
    /// Where unix sockets of extension API servers may be.
    pub socket_dirs: Vec<PathBuf>,
    /// The client certificate shown to extension API servers; empty for the generated one.
    pub proxy_client_cert_file: PathBuf,
    /// Its private key; empty for the generated one.
    pub proxy_client_key_file: PathBuf,
    /// How often each extension API server is probed.
    pub availability_interval: Duration,
}

/// The aggregator of plugins.
#[derive(Clone, Debug, Default)]
pub struct DataplaneOptions {
    /// How long a plugin may take to start.
    pub start_timeout: Duration,
    /// How long a query may take.
    pub query_timeout: Duration,
    /// The most bytes of a plugin's answer.
    pub max_response_bytes: usize,
}

impl Options {
    /// Whether a plugin folder was given.
    pub fn has_plugin_dir(&self) -> bool {
        !self.plugin_dir.as_os_str().is_empty()
    }

    /// The folder of keys and certificates.
    pub fn pki_dir(&self) -> PathBuf {
        self.data_dir.join("pki")
    }

    /// The front-proxy client certificate and key that the aggregator shows.
    pub fn proxy_client_files(&self) -> (PathBuf, PathBuf) {
        let or_generated = |given: &PathBuf, name: &str| match given.as_os_str().is_empty() {
            true => self.pki_dir().join(name),
            false => given.clone(),
        };
        (
            or_generated(&self.aggregator.proxy_client_cert_file, "front-proxy-client.crt"),
            or_generated(&self.aggregator.proxy_client_key_file, "front-proxy-client.key"),
        )
    }
}
