//! Where a backend is: a port of a host, or a socket in the file system, with or without TLS.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use http::uri::Authority;

use crate::tls::{TlsError, TlsOptions};

/// Where a backend is, and how it proves that it is the one.
#[derive(Clone, Debug)]
pub struct Target {
    /// What is dialled.
    pub address: Address,
    /// `None` is plain HTTP.
    pub tls: Option<TlsOptions>,
}

/// What is dialled. As text it is `HOST:PORT` (an IPv6 address in brackets) or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A DNS name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A stream socket in the file system.
    Unix(PathBuf),
}

impl Address {
    /// A TCP port of a DNS name or IP address.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Tcp { host: host.into(), port }
    }

    /// Whether it is a name that may mean other machines tomorrow.
    pub fn is_name(&self) -> bool {
        matches!(self, Self::Tcp { host, .. } if host.parse::<IpAddr>().is_err())
    }

    /// What a request says as its `Host` when its sender did not: the address, or `localhost` for a unix socket, which
    /// has no name in HTTP.
    pub(crate) fn authority(&self) -> Result<Authority, TargetError> {
        match self {
            Self::Tcp { host, port } => authority(host, *port),
            Self::Unix(_) => Ok(Authority::from_static("localhost")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a target cannot be talked to at all.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The host is neither a DNS name nor an IP address.
    #[error("host {host:?} must be a DNS name or an IP address")]
    Host {
        /// The host as given.
        host: String,
    },
    /// The TLS options do not work.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn authority(host: &str, port: u16) -> Result<Authority, TargetError> {
    let bare = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
    let parsed = format!("{bare}:{port}").parse::<Authority>().ok();
    // The parser also takes an empty host and `user@host`.
    parsed
        .filter(|authority| !bare.is_empty() && authority.host() == bare)
        .ok_or_else(|| TargetError::Host { host: host.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_must_be_one() {
        for (host, ok) in [
            ("a.b", true),
            ("::1", true),
            ("a b", false),
            ("", false),
            ("a/b", false),
            ("u@a", false),
            ("a:1", false),
        ] {
            assert_eq!(Address::tcp(host, 1).authority().is_ok(), ok, "{host:?}");
        }
    }

    #[test]
    fn an_address_reads_as_people_write_it() {
        for (address, text, is_name) in [
            (Address::tcp("a.b", 1), "a.b:1", true),
            (Address::tcp("::1", 1), "[::1]:1", false),
            (Address::tcp("127.0.0.1", 1), "127.0.0.1:1", false),
            (Address::Unix("/run/a.sock".into()), "unix:/run/a.sock", false),
        ] {
            assert_eq!((address.to_string().as_str(), address.is_name()), (text, is_name));
        }
    }
}
