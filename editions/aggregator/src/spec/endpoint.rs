//! Where a backend is: one address or several that are as good as each other, and one name that all of them prove.

use bytes::Bytes;
use std::fmt;
use std::path::PathBuf;

/// Where a backend is, and how it proves that it is the one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// Where it listens: at least one, each once, in an order that is the same for the same addresses.
    pub(crate) addresses: Vec<Address>,
    /// The name in its certificate: `NAME.NAMESPACE.svc`.
    pub(crate) server_name: String,
    /// PEM of the CAs that may have signed its certificate.
    pub(crate) ca_bundle: Option<Bytes>,
    /// Whether its certificate goes unchecked.
    pub(crate) insecure: bool,
}

/// One place where a backend listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Address {
    /// TLS over TCP.
    Tcp {
        /// A host name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Plain HTTP over a unix socket: who may open the file is trusted.
    Unix(PathBuf),
}

impl Endpoint {
    /// The backend as people read it: the URL of its address, or what it is called when there are several.
    pub(crate) fn url(&self) -> String {
        match &self.addresses[..] {
            [one] => one.to_string(),
            _ => format!("https://{}", self.server_name),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "https://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "https://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}
