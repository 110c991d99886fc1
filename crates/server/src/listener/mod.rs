//! The one listener: TCP, TLS, HTTP/1.1 and HTTP/2, with a bound on everything that costs something before the caller is known.

mod activity;
mod connection;
mod switch;
mod tls;
mod websocket;

pub use tls::{Credentials, FileError, ListenerTls, PemPair, TlsError, read_client_cas};

use detectviz_core::RunContext;
use futures_util::FutureExt as _;
use rustix::net::sockopt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::chain::Chain;

/// How long to wait after accepting failed, which means that the process ran out of something.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// When a silent client is asked whether it is there, and how often until it is taken for gone.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;
/// How long bytes may stay unread before the connection is cut.
#[cfg(target_os = "linux")]
const UNREAD_MILLIS: u32 = 120_000;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address}; choose another with --bind-address or --secure-port")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    pub source: std::io::Error,
}

/// A bound listener that does not accept yet: requests wait in the kernel's queue until the server is ready.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address is in use or may not be used.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let fault = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self { listener, address })
    }

    /// The bound address, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until `context` ends; at most `max_connections` at once, the others wait.
    pub async fn serve(
        self,
        chain: Arc<Chain>,
        tls: Arc<ListenerTls>,
        max_connections: usize,
        context: RunContext,
    ) {
        let permits = Arc::new(Semaphore::new(max_connections));
        loop {
            let accepted = tokio::select! {
                () = context.draining() => return,
                accepted = accept(&self.listener, &permits) => accepted,
            };
            let Some((stream, permit)) = accepted else { continue };
            let serve = connection::serve(stream, tls.subscribe(), Arc::clone(&chain), context.clone());
            // Not `async`, which would keep room for two of the connection.
            context.spawn_graceful(serve.map(move |()| drop(permit)));
        }
    }
}

/// Lets the kernel end a connection whose client is gone without a word, or does not take what was sent to it: what it
/// holds (a watch's place, unsent bytes) is given back.
fn notice_vanished(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(stream, UNREAD_MILLIS)?;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            if let Err(fault) = notice_vanished(&stream) {
                tracing::debug!(error = %fault, "set connection options");
            }
            Some((stream, permit))
        }
        Err(fault) => {
            tracing::warn!(error = %fault, "accept connection");
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            None
        }
    }
}
