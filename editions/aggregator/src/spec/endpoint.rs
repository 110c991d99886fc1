//! Where a backend is: one address or several that are as good as each other, and one name that all of them prove.

use bytes::Bytes;
use detectviz_client::Address;

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

impl Endpoint {
    /// The backend as people read it: the URL of its address, or what it is called when there are several.
    pub(crate) fn url(&self) -> String {
        match &self.addresses[..] {
            [one] => url(one),
            _ => format!("https://{}", self.server_name),
        }
    }
}

/// An address as people read it. One over TCP is spoken to with TLS; one that is a unix socket in plain HTTP, since who
/// may open the file is trusted.
pub(crate) fn url(address: &Address) -> String {
    match address {
        Address::Tcp { .. } => format!("https://{address}"),
        Address::Unix(path) => format!("unix://{}", path.display()),
    }
}
