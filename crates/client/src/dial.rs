//! A name is resolved once, and exactly the addresses that the policy passed are dialled; asking for the name a
//! second time could give another answer (DNS rebinding).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::policy::{DialPolicy, Refused};
use crate::stream::Socket;
use crate::target::Address;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name means nothing.
    #[error("resolve {host:?}")]
    Resolve {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// All that the name means must not be dialled.
    #[error("refuse to dial {host:?}")]
    Refused {
        /// The name asked for.
        host: String,
        /// The first address, and why not.
        source: Refused,
    },
    /// None of the addresses answered.
    #[error("connect to {address}")]
    Connect {
        /// The last address tried.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long.
    #[error("no connection to \"{host}:{port}\" within {} ms", after.as_millis())]
    Timeout {
        /// The name asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// How long was waited.
        after: Duration,
    },
}

/// Opens TCP connections, as far as the policy allows. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    policy: Arc<DialPolicy>,
    limit: Duration,
}

impl Dialer {
    /// A dialer that gives up after `limit`, name resolution included.
    pub fn new(policy: Arc<DialPolicy>, limit: Duration) -> Self {
        Self { policy, limit }
    }

    /// The same with another limit.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { policy: Arc::clone(&self.policy), limit }
    }

    /// Connects to `address`.
    pub(crate) async fn open(&self, address: &Address) -> Result<Socket, DialError> {
        match address {
            Address::Tcp { host, port } => Ok(Socket::Tcp(self.connect(host, *port).await?)),
            Address::Unix(path) => {
                let opened = timeout(self.limit, UnixStream::connect(path)).await;
                let too_late =
                    |_| Err(io::Error::new(io::ErrorKind::TimedOut, "nobody takes the connection"));
                let fail = |source| DialError::Connect { address: address.to_string(), source };
                Ok(Socket::Unix(opened.unwrap_or_else(too_late).map_err(fail)?))
            }
        }
    }

    /// Connects to `host` (a name, or an address with or without brackets), trying its addresses in the
    /// resolver's order.
    ///
    /// # Errors
    /// [`DialError`]; an address that is refused is skipped as long as the name has another one.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let deadline = Instant::now() + self.limit;
        let too_late = || DialError::Timeout { host: host.to_owned(), port, after: self.limit };
        let resolved = timeout_at(deadline, resolve(host, port)).await.map_err(|_| too_late())??;
        let addresses = self.allowed(host, &resolved)?;
        let mut last = too_late();
        for (index, address) in addresses.iter().enumerate() {
            let share = (deadline - Instant::now()) / (addresses.len() - index) as u32;
            match timeout(share, open(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(source)) => {
                    last = DialError::Connect { address: address.to_string(), source };
                }
                Err(_) => last = too_late(),
            }
        }
        Err(last)
    }

    fn allowed(&self, host: &str, resolved: &[SocketAddr]) -> Result<Vec<SocketAddr>, DialError> {
        let (mut allowed, mut refused) = (Vec::new(), None);
        for address in resolved {
            match self.policy.check(*address) {
                Ok(()) => allowed.push(*address),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match refused {
            Some(source) if allowed.is_empty() => Err(DialError::Refused { host: host.to_owned(), source }),
            _ => Ok(allowed),
        }
    }
}

/// The addresses of `host`; at least one, at most [`MAX_ADDRESSES`].
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let fail = |source| DialError::Resolve { host: host.to_owned(), source };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found: Vec<_> = lookup_host((bare, port)).await.map_err(fail)?.take(MAX_ADDRESSES).collect();
    if found.is_empty() {
        return Err(fail(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(found)
}

#[allow(clippy::disallowed_methods, reason = "the one place that dials; the policy has passed the address")]
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    const LIMIT: Duration = Duration::from_secs(20);

    fn dialer(policy: &Arc<DialPolicy>) -> Dialer {
        Dialer::new(policy.clone(), LIMIT)
    }

    #[tokio::test]
    async fn our_own_listener_is_not_dialled_by_any_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let policy = Arc::new(DialPolicy::new());
        dialer(&policy).connect("127.0.0.1", port).await.unwrap();

        policy.deny_listener(listener.local_addr().unwrap());
        for host in [
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "[::ffff:7f00:1]",
            "0.0.0.0",
            "::",
            "127.1",
            "0x7f000001",
            "2130706433",
        ] {
            let error = dialer(&policy).connect(host, port).await.unwrap_err();
            assert!(matches!(error, DialError::Refused { .. }), "{host}: {error:?}");
        }
    }

    #[tokio::test]
    async fn each_failure_is_told_apart() {
        let policy = Arc::new(DialPolicy::new());
        let free = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = dialer(&policy).connect("127.0.0.1", free).await.unwrap_err();
        assert!(matches!(error, DialError::Connect { .. }), "{error:?}");
        let error = dialer(&policy).connect("not a host name", 1).await.unwrap_err();
        assert!(matches!(error, DialError::Resolve { .. }), "{error:?}");
        let error = dialer(&policy).connect("169.254.169.254", 80).await.unwrap_err();
        assert!(matches!(error, DialError::Refused { source: Refused::LinkLocal(_), .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_backend_that_does_not_answer_is_given_up() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let port = full.local_addr().unwrap().port();
        let dialer = Dialer::new(Arc::new(DialPolicy::new()), Duration::from_millis(50));
        let mut waiting = Vec::new();
        let error = loop {
            match dialer.connect("127.0.0.1", port).await {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            assert!(waiting.len() < 4096, "the accept queue must fill up");
        };
        assert!(matches!(error, DialError::Timeout { .. }), "{error:?}");
    }

    #[test]
    fn a_refused_address_is_skipped_while_there_is_another() {
        let dialer = dialer(&Arc::new(DialPolicy::new()));
        let [good, bad]: [SocketAddr; 2] =
            ["192.0.2.1:80".parse().unwrap(), "169.254.1.1:80".parse().unwrap()];
        assert_eq!(dialer.allowed("a", &[bad, good]).unwrap(), [good]);
        assert!(dialer.allowed("a", &[bad, bad]).is_err());
    }
}
