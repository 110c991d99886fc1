//! The options of etcd: each by itself, and together with the rest.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Options, StorageKind};

/// The port of etcd when an endpoint names none.
const PORT: u16 = 2379;

/// The etcd cluster.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    /// Its members; empty unless objects are kept there.
    pub endpoints: Vec<EtcdEndpoint>,
    /// The CA that signs its certificates; empty for none.
    pub ca_file: PathBuf,
    /// The client certificate that is shown to it; empty for none.
    pub cert_file: PathBuf,
    /// Its private key; empty for none.
    pub key_file: PathBuf,
    /// What all keys begin with, without a slash at the end.
    pub prefix: String,
    /// How often history is compacted; 0 for never.
    pub compaction_interval: Duration,
    /// How long one call may take.
    pub request_timeout: Duration,
}

/// One member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdEndpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

pub(super) fn endpoints(text: &str, slot: &mut Vec<EtcdEndpoint>) -> Result<(), String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    *slot = parts.map(endpoint).collect::<Result<_, _>>()?;
    Ok(())
}

fn endpoint(text: &str) -> Result<EtcdEndpoint, String> {
    let (tls, rest) = match text.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err(format!("{text:?} begins neither with https:// nor with http://")),
    };
    let address: http::uri::Authority =
        rest.trim_end_matches('/').parse().map_err(|_| format!("{text:?} is no https://HOST[:PORT]"))?;
    let host = address.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() || address.as_str().contains('@') {
        return Err(format!("{text:?} is no https://HOST[:PORT]"));
    }
    if !tls && !is_this_machine(&host) {
        return Err(format!(
            "{text:?} is on another machine, where http would show every object and secret to the network: use https"
        ));
    }
    Ok(EtcdEndpoint { tls, host, port: address.port_u16().unwrap_or(PORT) })
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

pub(super) fn prefix(text: &str, slot: &mut String) -> Result<(), String> {
    let is_part = |part: &str| {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        !part.is_empty() && part.bytes().all(plain)
    };
    let parts = text.strip_prefix('/').ok_or("does not begin with '/'")?;
    if !parts.split('/').all(is_part) {
        return Err("has an empty part, one slash too many at its end, or another character".to_owned());
    }
    text.clone_into(slot);
    Ok(())
}

/// What does not fit together, by key.
pub(super) fn contradictions(options: &Options) -> Vec<(&'static str, String)> {
    let (etcd, uses_etcd) = (&options.etcd, options.storage == StorageKind::Etcd);
    let is_given = |file: &PathBuf| !file.as_os_str().is_empty();
    let (has_certificate, has_key) = (is_given(&etcd.cert_file), is_given(&etcd.key_file));
    let speaks_tls = etcd.endpoints.iter().any(|endpoint| endpoint.tls);
    let rules = [
        (
            "etcd.endpoints",
            uses_etcd && etcd.endpoints.is_empty(),
            "must not be empty when storage is etcd: name its members, such as https://etcd-0.example.com:2379",
        ),
        (
            "etcd.endpoints",
            !uses_etcd && !etcd.endpoints.is_empty(),
            "are given, but objects are kept elsewhere: set storage = \"etcd\", or remove them",
        ),
        (
            "etcd.ca_file",
            speaks_tls && !is_given(&etcd.ca_file),
            "must be given for https endpoints: nothing else vouches for their certificates",
        ),
        ("etcd.key_file", has_certificate && !has_key, "must be given together with etcd.cert_file"),
        ("etcd.cert_file", has_key && !has_certificate, "must be given together with etcd.key_file"),
    ];
    let broken = rules.into_iter().filter(|(_, broken, _)| *broken);
    broken.map(|(key, _, message)| (key, message.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_and_plain_ones_stay_on_this_machine() {
        let mut slot = Vec::new();
        endpoints(
            "https://etcd-0.example.com:23, https://[2001:db8::1]/,http://localhost,http://[::1]:1",
            &mut slot,
        )
        .unwrap();
        let found: Vec<_> = slot.iter().map(|found| (found.tls, found.host.as_str(), found.port)).collect();
        let expected = [
            (true, "etcd-0.example.com", 23),
            (true, "2001:db8::1", 2379),
            (false, "localhost", 2379),
            (false, "::1", 1),
        ];
        assert_eq!(found, expected);
        for bad in [
            "etcd:2379",
            "http://10.0.0.1:2379",
            "http://etcd",
            "https://",
            "https://a/b",
            "https://u@a",
            "ftp://a",
        ] {
            assert!(endpoints(bad, &mut slot).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_is_a_path() {
        let mut slot = String::new();
        prefix("/a/b-c_d.1", &mut slot).unwrap();
        assert_eq!(slot, "/a/b-c_d.1");
        for bad in ["", "/", "a", "/a/", "//a", "/a b", "/a\0"] {
            assert!(prefix(bad, &mut slot).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn etcd_and_its_endpoints_come_together() {
        let faults = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            contradictions(&options).into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(faults(|_| {}), [""; 0]);
        assert_eq!(faults(|o| o.storage = StorageKind::Etcd), ["etcd.endpoints"]);
        assert_eq!(
            faults(|o| endpoints("http://localhost", &mut o.etcd.endpoints).unwrap()),
            ["etcd.endpoints"]
        );
        let secure = |o: &mut Options| {
            o.storage = StorageKind::Etcd;
            o.etcd.key_file = "key".into();
            endpoints("https://a", &mut o.etcd.endpoints).unwrap();
        };
        assert_eq!(faults(secure), ["etcd.ca_file", "etcd.cert_file"]);
    }
}
