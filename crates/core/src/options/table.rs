//! The table of options. A new option is one row here and one field in [`Options`]; everything else follows.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::parse::{choice, folders, log_level, number, parsed, path, seconds, serving_names};
use super::{
    AggregatorOptions, AuthOptions, Controllers, DataplaneOptions, EgressOptions, EtcdOptions, EventOptions,
    LimitOptions, LogFormat, LogOptions, Options, StorageKind, TlsOptions, controllers, egress, etcd,
};
use crate::toggles::Toggles;

/// One option: how it is called, what it is without being set, what it may be, and what it does.
pub struct OptionSpec {
    /// The key in the configuration file; dots nest.
    pub key: &'static str,
    /// The built-in default, as it would be written.
    pub default: &'static str,
    /// What is allowed, for people.
    pub allowed: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Reads a value into the options; the error says what is wrong with it.
    pub set: fn(&mut Options, &str) -> Result<(), String>,
}

/// Every option but the toggles, which are named by the edition.
pub const TABLE: &[OptionSpec] = &[
    OptionSpec {
        key: "aggregator.api_service_ca_bundle_file",
        default: "",
        allowed: "a path; needed with aggregator.remote_services_file, unless all of these are unix sockets",
        help: "the CAs that sign the certificates of remote services, in PEM; read again when it changes",
        set: |o, text| path(text, &mut o.aggregator.api_service_ca_bundle_file),
    },
    OptionSpec {
        key: "aggregator.availability_interval_seconds",
        default: "30",
        allowed: "a whole number of seconds from 1 to 3600",
        help: "how often each extension API server is probed",
        set: |o, text| seconds(text, 1..=3600, &mut o.aggregator.availability_interval),
    },
    OptionSpec {
        key: "aggregator.proxy_client_cert_file",
        default: "",
        allowed: "a path; empty for the generated certificate in the data folder",
        help: "the client certificate shown to extension API servers",
        set: |o, text| path(text, &mut o.aggregator.proxy_client_cert_file),
    },
    OptionSpec {
        key: "aggregator.proxy_client_key_file",
        default: "",
        allowed: "a path; empty for the generated key in the data folder",
        help: "the private key of that certificate",
        set: |o, text| path(text, &mut o.aggregator.proxy_client_key_file),
    },
    OptionSpec {
        key: "aggregator.remote_services_file",
        default: "",
        allowed: "a path; empty for none",
        help: "extension API servers, in YAML: a list of group, version, host and port; read again when it changes",
        set: |o, text| path(text, &mut o.aggregator.remote_services_file),
    },
    OptionSpec {
        key: "aggregator.socket_dirs",
        default: "",
        allowed: "absolute paths joined by commas; empty for none",
        help: "the folders whose unix sockets may be extension API servers, over plain HTTP: who may open one there \
               is trusted",
        set: |o, text| folders(text, &mut o.aggregator.socket_dirs),
    },
    OptionSpec {
        key: "auth.client_ca_file",
        default: "",
        allowed: "a path; empty for none",
        help: "the CAs in PEM whose certificates are users' too, besides the server's own; read again when it changes",
        set: |o, text| path(text, &mut o.auth.client_ca_file),
    },
    OptionSpec {
        key: "auth.token_file",
        default: "",
        allowed: "a path; empty for none",
        help: "static bearer tokens, a line each: token,user,uid,\"group1,group2\"; read again when it changes",
        set: |o, text| path(text, &mut o.auth.token_file),
    },
    OptionSpec {
        key: "batteries",
        default: "false",
        allowed: "true or false",
        help: "whether Deployments and the other workload kinds are served, as objects that nothing runs",
        set: |o, text| parsed(text, &mut o.batteries),
    },
    OptionSpec {
        key: "bind_address",
        default: "127.0.0.1",
        allowed: "an IP address",
        help: "the address to listen on",
        set: |o, text| parsed(text, &mut o.bind_address),
    },
    OptionSpec {
        key: "controllers",
        default: "*",
        allowed: "* for all, NAME to turn one on, -NAME to turn one off, joined by commas; names are \
                  cluster-authentication-trust-controller, root-ca-certificate-publisher-controller and \
                  serviceaccount-controller",
        help: "which of the controllers run that a server can do without",
        set: |o, text| controllers::read(text, &mut o.controllers),
    },
    OptionSpec {
        key: "data_dir",
        default: "./data",
        allowed: "a path",
        help: "the folder of keys, certificates and the embedded store",
        set: |o, text| match text {
            "" => Err("must not be empty".to_owned()),
            text => path(text, &mut o.data_dir),
        },
    },
    OptionSpec {
        key: "dataplane.max_response_bytes",
        default: "67108864",
        allowed: "a whole number of bytes from 65536 to 1073741824",
        help: "the most bytes of a plugin's answer",
        set: |o, text| number(text, 65_536..=1_073_741_824, &mut o.dataplane.max_response_bytes),
    },
    OptionSpec {
        key: "dataplane.query_timeout_seconds",
        default: "60",
        allowed: "a whole number of seconds from 1 to 3600",
        help: "how long a plugin may take over a query",
        set: |o, text| seconds(text, 1..=3600, &mut o.dataplane.query_timeout),
    },
    OptionSpec {
        key: "dataplane.start_timeout_seconds",
        default: "60",
        allowed: "a whole number of seconds from 1 to 600",
        help: "how long a plugin may take to start",
        set: |o, text| seconds(text, 1..=600, &mut o.dataplane.start_timeout),
    },
    OptionSpec {
        key: "egress.deny",
        default: "",
        allowed: "networks such as 10.0.0.0/8 or fd00::/8, or addresses, joined by commas; empty for none",
        help: "what no API object may make the server connect to, beside link-local addresses, cloud metadata services \
               and the server itself, which are always refused; addresses in these options are exempt",
        set: |o, text| egress::networks(text, &mut o.egress.deny),
    },
    OptionSpec {
        key: "etcd.ca_file",
        default: "",
        allowed: "a path; needed for https endpoints, whose certificates nothing else vouches for",
        help: "the CA that signs etcd's certificates, in PEM",
        set: |o, text| path(text, &mut o.etcd.ca_file),
    },
    OptionSpec {
        key: "etcd.cert_file",
        default: "",
        allowed: "a path; empty for none",
        help: "the certificate that is shown to etcd, in PEM",
        set: |o, text| path(text, &mut o.etcd.cert_file),
    },
    OptionSpec {
        key: "etcd.compaction_interval_seconds",
        default: "300",
        allowed: "a whole number of seconds from 1 to 86400; 0 leaves compaction to others",
        help: "how often etcd's history is compacted, for all its users; one to two intervals of it are kept",
        set: |o, text| seconds(text, 0..=86_400, &mut o.etcd.compaction_interval),
    },
    OptionSpec {
        key: "etcd.endpoints",
        default: "",
        allowed: "https://HOST[:PORT], or http:// on this machine, joined by commas; empty unless storage is etcd",
        help: "the members of the etcd cluster",
        set: |o, text| etcd::endpoints(text, &mut o.etcd.endpoints),
    },
    OptionSpec {
        key: "etcd.key_file",
        default: "",
        allowed: "a path; empty for none",
        help: "the private key of that certificate, in PEM",
        set: |o, text| path(text, &mut o.etcd.key_file),
    },
    OptionSpec {
        key: "etcd.prefix",
        default: "/detectviz",
        allowed: "a path of letters, digits, '.', '_' and '-', such as /detectviz",
        help: "what all keys in etcd begin with; servers with the same prefix serve the same objects",
        set: |o, text| etcd::prefix(text, &mut o.etcd.prefix),
    },
    OptionSpec {
        key: "etcd.request_timeout_seconds",
        default: "5",
        allowed: "a whole number of seconds from 1 to 60",
        help: "how long etcd may take over one call",
        set: |o, text| seconds(text, 1..=60, &mut o.etcd.request_timeout),
    },
    OptionSpec {
        key: "events.ttl_seconds",
        default: "3600",
        allowed: "a whole number of seconds from 1 to 31536000",
        help: "how long an event lasts after it was last written",
        set: |o, text| seconds(text, 1..=31_536_000, &mut o.events.ttl),
    },
    OptionSpec {
        key: "limits.cache_window_bytes",
        default: "67108864",
        allowed: "a whole number of bytes from 1048576 to 1099511627776",
        help: "the most bytes of history that watches resume from, over all resources; each keeps its newest 100 events",
        set: |o, text| number(text, 1_048_576..=1_099_511_627_776, &mut o.limits.cache_window_bytes),
    },
    OptionSpec {
        key: "limits.max_body_bytes",
        default: "3145728",
        allowed: "a whole number of bytes from 1024 to 104857600",
        help: "the most bytes of a request body",
        set: |o, text| number(text, 1024..=104_857_600, &mut o.limits.max_body_bytes),
    },
    OptionSpec {
        key: "limits.max_connections",
        default: "4096",
        allowed: "a whole number from 1 to 1000000",
        help: "the most connections at once",
        set: |o, text| number(text, 1..=1_000_000, &mut o.limits.max_connections),
    },
    OptionSpec {
        key: "limits.max_reads_in_flight",
        default: "400",
        allowed: "a whole number from 1 to 1000000",
        help: "the most reads under way at once; more are answered 429",
        set: |o, text| number(text, 1..=1_000_000, &mut o.limits.max_reads_in_flight),
    },
    OptionSpec {
        key: "limits.max_watches_per_user",
        default: "10000",
        allowed: "a whole number from 1 to 1000000",
        help: "the most watches of one user at once; more are answered 429",
        set: |o, text| number(text, 1..=1_000_000, &mut o.limits.max_watches_per_user),
    },
    OptionSpec {
        key: "limits.max_writes_in_flight",
        default: "200",
        allowed: "a whole number from 1 to 1000000",
        help: "the most writes under way at once; more are answered 429",
        set: |o, text| number(text, 1..=1_000_000, &mut o.limits.max_writes_in_flight),
    },
    OptionSpec {
        key: "limits.request_timeout_seconds",
        default: "60",
        allowed: "a whole number of seconds from 1 to 3600",
        help: "how long a request may take; watches and proxied streams are exempt",
        set: |o, text| seconds(text, 1..=3600, &mut o.limits.request_timeout),
    },
    OptionSpec {
        key: "limits.shutdown_grace_seconds",
        default: "10",
        allowed: "a whole number of seconds from 1 to 600",
        help: "how long requests under way may go on after SIGTERM or SIGINT",
        set: |o, text| seconds(text, 1..=600, &mut o.limits.shutdown_grace),
    },
    OptionSpec {
        key: "log.format",
        default: "text",
        allowed: "text or json",
        help: "how log lines look",
        set: |o, text| {
            choice(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)], &mut o.log.format)
        },
    },
    OptionSpec {
        key: "log.level",
        default: "info",
        allowed: "off, error, warn, info, debug, trace, or TARGET=LEVEL pairs joined by commas",
        help: "what is logged",
        set: |o, text| log_level(text, &mut o.log.level),
    },
    OptionSpec {
        key: "plugin_dir",
        default: "",
        allowed: "a path; empty for none",
        help: "where backend plugins are, each in a folder with its plugin.json",
        set: |o, text| path(text, &mut o.plugin_dir),
    },
    OptionSpec {
        key: "secure_port",
        default: "6443",
        allowed: "a port from 0 to 65535; 0 picks a free one",
        help: "the port to listen on, with TLS",
        set: |o, text| parsed(text, &mut o.secure_port),
    },
    OptionSpec {
        key: "storage",
        default: "embedded",
        allowed: "embedded, memory or etcd",
        help: "where objects are kept",
        set: |o, text| {
            let kinds = [
                ("embedded", StorageKind::Embedded),
                ("memory", StorageKind::Memory),
                ("etcd", StorageKind::Etcd),
            ];
            choice(text, &kinds, &mut o.storage)
        },
    },
    OptionSpec {
        key: "tls.cert_file",
        default: "",
        allowed: "a path; empty for a certificate of the server's own CA",
        help: "the certificate shown to clients with those between it and its CA, in PEM; read again when it changes",
        set: |o, text| path(text, &mut o.tls.cert_file),
    },
    OptionSpec {
        key: "tls.key_file",
        default: "",
        allowed: "a path; given together with tls.cert_file",
        help: "the private key of that certificate, in PEM; read again when it changes",
        set: |o, text| path(text, &mut o.tls.key_file),
    },
    OptionSpec {
        key: "tls.serving_names",
        default: "",
        allowed: "DNS names and IP addresses joined by commas; empty for this machine's own",
        help: "what else clients call this server; its certificate carries them",
        set: |o, text| serving_names(text, &mut o.tls.serving_names),
    },
];

impl Default for Options {
    /// The built-in defaults, as the table says.
    fn default() -> Self {
        let mut options = Self {
            data_dir: PathBuf::new(),
            bind_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            secure_port: 0,
            storage: StorageKind::default(),
            etcd: EtcdOptions::default(),
            plugin_dir: PathBuf::new(),
            controllers: Controllers::default(),
            batteries: false,
            events: EventOptions::default(),
            log: LogOptions::default(),
            auth: AuthOptions::default(),
            tls: TlsOptions::default(),
            limits: LimitOptions::default(),
            egress: EgressOptions::default(),
            aggregator: AggregatorOptions::default(),
            dataplane: DataplaneOptions::default(),
            toggles: Toggles::default(),
        };
        for spec in TABLE {
            (spec.set)(&mut options, spec.default).expect("the table's defaults keep the table's rules");
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_defaults_hold() {
        assert!(TABLE.is_sorted_by_key(|spec| spec.key));
        let options = Options::default();
        assert_eq!((options.secure_port, options.storage), (6443, StorageKind::Embedded));
    }
}
