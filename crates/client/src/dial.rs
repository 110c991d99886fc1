//! A name is resolved once, and exactly the addresses that the policy passed are dialled; asking for the name a
//! second time could give another answer (DNS rebinding).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use futures_util::stream::FuturesUnordered;
use rustix::net::sockopt;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::policy::{DialPolicy, Refused};
use crate::stream::Socket;
use crate::target::Address;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// The most lookups of names at once. Each holds a thread until the name servers have answered or the system gives them up,
/// long after whoever asked; those threads do other work of the server too.
const MAX_LOOKUPS: usize = 64;
/// How long an address may take to answer before the next one is tried beside it (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// How long a connection may be silent before the other side is asked for a sign of life, and between such questions.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

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

/// Opens connections, as far as the policy allows. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    policy: Arc<DialPolicy>,
    resolver: Arc<dyn Resolve>,
    limit: Duration,
}

impl Dialer {
    /// A dialer that gives up after `limit`, name resolution included.
    pub fn new(policy: Arc<DialPolicy>, limit: Duration) -> Self {
        let resolver = Bounded::new(Arc::new(SystemResolver), MAX_LOOKUPS);
        Self { policy, resolver: Arc::new(resolver), limit }
    }

    /// The same dialer with another source of addresses.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, ..self }
    }

    /// The same with another limit.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// Connects to `address`.
    pub(crate) async fn open(&self, address: &Address) -> Result<Socket, DialError> {
        match address {
            Address::Tcp { host, port } => self.connect(host, *port).await.map(Socket::Tcp),
            Address::Unix(path) => self.connect_unix(path).await.map(Socket::Unix),
        }
    }

    /// Connects to `host` (a name, or an address with or without brackets). Its addresses are tried in the resolver's
    /// order, the two families in turn, each a little after the one before it unless that one has failed (RFC 8305).
    ///
    /// # Errors
    /// [`DialError`]; an address that is refused is skipped as long as the name has another one.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let connect = async {
            let addresses = self.allowed(host, &self.resolve(host, port).await?)?;
            race(&in_turn(addresses)).await
        };
        let too_late = |_| Err(DialError::Timeout { host: host.to_owned(), port, after: self.limit });
        timeout(self.limit, connect).await.unwrap_or_else(too_late)
    }

    async fn connect_unix(&self, path: &Path) -> Result<UnixStream, DialError> {
        let address = || Address::Unix(path.to_owned()).to_string();
        self.policy.check_socket(path).map_err(|source| DialError::Refused { host: address(), source })?;
        let opened = timeout(self.limit, UnixStream::connect(path)).await;
        let too_late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "nobody takes the connection"));
        opened.unwrap_or_else(too_late).map_err(|source| DialError::Connect { address: address(), source })
    }

    /// The addresses of `host`; at least one, at most [`MAX_ADDRESSES`].
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let fail = |source| DialError::Resolve { host: host.to_owned(), source };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let mut found = self.resolver.resolve(bare, port).await.map_err(fail)?;
        if found.is_empty() {
            return Err(fail(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
        }
        found.truncate(MAX_ADDRESSES);
        Ok(found)
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

/// Tells what addresses a name has. Asked once for each connection, and what it says is what is judged and dialled: no
/// answer is kept, so that a change is followed with the next connection.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, best first.
    ///
    /// # Errors
    /// What the source says.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// What this machine says: its hosts file, then its name servers.
struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }
}

/// Asks for each name once at a time, and for so many at once and no more, however many have stopped waiting for an answer.
struct Bounded {
    source: Arc<dyn Resolve>,
    places: Arc<Semaphore>,
    under_way: Arc<UnderWay>,
}

type UnderWay = Mutex<HashMap<(String, u16), Shared<BoxFuture<'static, Found>>>>;
type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// A name that is asked for, until it is dropped.
struct Asking(Arc<UnderWay>, (String, u16));

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Bounded {
    fn new(source: Arc<dyn Resolve>, most: usize) -> Self {
        Self { source, places: Arc::new(Semaphore::new(most)), under_way: Arc::default() }
    }

    /// A task, which ends with the lookup: nothing else knows when its thread is free again.
    fn ask(&self, key: (String, u16)) -> Shared<BoxFuture<'static, Found>> {
        let (source, places) = (Arc::clone(&self.source), Arc::clone(&self.places));
        let asking = Asking(Arc::clone(&self.under_way), key);
        let lookup = tokio::spawn(async move {
            let _place = places.acquire_owned().await.map_err(io::Error::other)?;
            let (host, port) = &asking.1;
            Ok(source.resolve(host, *port).await?)
        });
        async move { lookup.await.unwrap_or_else(|why| Err(Arc::new(io::Error::other(why)))) }
            .boxed()
            .shared()
    }
}

#[async_trait]
impl Resolve for Bounded {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let key = (host.to_owned(), port);
        let found = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.entry(key.clone()).or_insert_with(|| self.ask(key)).clone()
        };
        found.await.map_err(|why| io::Error::new(why.kind(), why))
    }
}

/// The first family's addresses and the other's in turn.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else { return addresses };
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let (mut other, mut turned) = (other.into_iter(), Vec::new());
    for address in preferred {
        turned.push(address);
        turned.extend(other.next());
    }
    turned.extend(other);
    turned
}

/// The first connection that any of the addresses gives.
async fn race(addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let mut left = addresses.iter();
    let mut tries = FuturesUnordered::new();
    let mut last = None;
    loop {
        if let Some(address) = left.next() {
            tries.push(open(*address));
        }
        let patience =
            async { if left.len() > 0 { sleep(HEAD_START).await } else { std::future::pending().await } };
        tokio::select! {
            tried = tries.next() => match tried {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(why)) => last = Some(why),
                None => return Err(last.unwrap_or_else(nothing_to_dial)),
            },
            () = patience => {}
        }
    }
}

fn nothing_to_dial() -> DialError {
    let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    DialError::Connect { address: String::new(), source }
}

#[allow(clippy::disallowed_methods, reason = "the one place that dials; the policy has passed the address")]
async fn open(address: SocketAddr) -> Result<TcpStream, DialError> {
    let fail = |source| DialError::Connect { address: address.to_string(), source };
    let stream = TcpStream::connect(address).await.map_err(fail)?;
    stream.set_nodelay(true).map_err(fail)?;
    keep_alive(&stream).map_err(|why| fail(why.into()))?;
    Ok(stream)
}

/// Has the system ask a silent backend for a sign of life, so that a watch does not wait for one that is gone.
fn keep_alive(stream: &TcpStream) -> Result<(), rustix::io::Errno> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE)
}

#[cfg(test)]
mod tests;
