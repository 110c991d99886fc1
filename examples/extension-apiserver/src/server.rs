//! The listener owns every connection: it accepts within a limit, and on a signal ends watches, lets answers finish,
//! and drops what is left after a while.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::delegate::{Believed, Delegate, REFRESH};
use crate::handler::App;
use crate::identity::VerifiedPeer;
use crate::options::Options;
use crate::socket::Socket;
use crate::store::Store;
use crate::tls::{Serving, Trust};
use crate::{rest, tls};

/// How many connections are served at once; more wait in the kernel's queue.
pub(crate) const MAX_CONNECTIONS: usize = 1024;
/// How many requests one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 250;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's head may take. It bounds the idle time of HTTP/1.1 too, so it exceeds the 90 seconds
/// after which a Go client drops an idle connection by itself.
const HEADER_TIMEOUT: Duration = Duration::from_secs(100);
/// How often a silent HTTP/2 connection is asked whether it lives, and how long the answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// How long open requests may take to finish once the server stops.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept, which usually means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps the server from listening, with the file or address that it is about.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let serving = Serving::new(&options)?;
    let delegate = options.kubeconfig.as_deref().map(Delegate::new).transpose()?;
    let believed = match &delegate {
        Some(delegate) => delegate.believed().await.context("ask whom to believe")?,
        None => tls::believed(&options)?,
    };
    let trust = watch::Sender::new(Arc::new(serving.trust(&believed)?));
    let store = Arc::new(Store::new());
    if options.seed {
        rest::seed(&store).context("seed flights")?;
    }
    let shutdown = CancellationToken::new();
    // Before the launcher learns that the server listens, so that no signal finds it unprepared.
    let mut stop = Stop::new()?;
    let address = SocketAddr::new(options.bind_address, options.secure_port);
    let socket = options.unix_socket.as_deref().map(Socket::bind).transpose()?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let address = listener.local_addr().context("read own address")?;
    if let Some(file) = &options.write_info {
        write_info(file, address, serving.ca_bundle())
            .with_context(|| format!("write info file {}", file.display()))?;
    }
    tracing::info!(%address, "listening");
    let app = Arc::new(App { trust: trust.subscribe(), delegate, store, shutdown: shutdown.clone() });
    let on_socket = Arc::clone(&app);
    let on_socket = async {
        if let Some(socket) = socket {
            socket.serve(on_socket).await;
        }
    };
    let listener = Listener { listener, app: Arc::clone(&app) };
    let follow = async {
        if let Some(delegate) = &app.delegate {
            let followed = follow(delegate, &serving, believed, &trust);
            let _ = shutdown.run_until_cancelled(followed).await;
        }
    };
    tokio::join!(listener.serve(), on_socket, follow, async {
        stop.wait().await;
        tracing::info!("stopping");
        shutdown.cancel();
    });
    Ok(())
}

/// Believes what the API server says to believe; without an answer, what it said before.
async fn follow(
    delegate: &Delegate,
    serving: &Serving,
    mut have: Believed,
    trust: &watch::Sender<Arc<Trust>>,
) -> Infallible {
    loop {
        tokio::time::sleep(REFRESH).await;
        let believed = delegate.believed().await;
        let changed = believed.and_then(|believed| {
            let changed = believed != have;
            if changed {
                trust.send_replace(Arc::new(serving.trust(&believed)?));
                have = believed;
            }
            Ok(changed)
        });
        match changed {
            Ok(true) => tracing::info!("believe other CAs or front proxies than before"),
            Ok(false) => {}
            Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot ask whom to believe"),
        }
    }
}

/// The two signals that stop the server.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tells a launcher where the server is and whom to trust; the file appears whole or not at all.
fn write_info(file: &Path, address: SocketAddr, ca_bundle: &str) -> std::io::Result<()> {
    let info = serde_json::json!({
        "address": address.ip().to_string(),
        "port": address.port(),
        "caBundle": STANDARD.encode(ca_bundle),
    });
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, info.to_string())?;
    std::fs::rename(&partial, file)
}

struct Listener {
    listener: TcpListener,
    app: Arc<App>,
}

impl Listener {
    async fn serve(self) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.app.shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => log_panic(ended),
                (stream, slot) = self.accept(&slots) => {
                    connections.spawn(serve(stream, slot, Arc::clone(&self.app)));
                }
            }
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(left = connections.len(), "dropping connections that did not finish in time");
            connections.shutdown().await;
        }
    }

    /// Waits for a free slot first, so that a full server leaves the rest to the kernel's queue.
    async fn accept(&self, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
        let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return (stream, slot),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

/// Serves one connection to its end, holding its slot.
async fn serve(stream: TcpStream, slot: OwnedSemaphorePermit, app: Arc<App>) {
    // Watch events are small and should not wait for each other; a socket that refuses is only slower.
    let _ = stream.set_nodelay(true);
    let trust = Arc::clone(&app.trust.borrow());
    let acceptor = TlsAcceptor::from(Arc::clone(&trust.config));
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
    let stream = tokio::select! {
        stream = handshake => stream,
        () = app.shutdown.cancelled() => return,
    };
    match stream {
        Ok(Ok(stream)) => {
            let peer = trust.peer(stream.get_ref().1.peer_certificates());
            serve_http(stream, peer, app).await;
        }
        Ok(Err(error)) => tracing::info!(%error, "refused a TLS handshake"),
        Err(_) => tracing::info!("gave up on a TLS handshake that took too long"),
    }
    drop(slot);
}

/// Serves HTTP to whom `peer` says, until the connection or the server ends.
pub(crate) async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Option<VerifiedPeer>,
    app: Arc<App>,
) {
    let shutdown = app.shutdown.clone();
    let begun = Notify::new();
    let service = service_fn(|request| {
        begun.notify_one();
        let (app, peer) = (Arc::clone(&app), peer.clone());
        async move { Ok::<_, Infallible>(app.handle(peer.as_ref(), request).await) }
    });
    let builder = http_builder();
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = silence(&begun) => return tracing::debug!("dropping a connection that asked nothing"),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Ends where no first request comes in time: hyper's own timer starts only once it knows the HTTP version.
async fn silence(begun: &Notify) {
    if tokio::time::timeout(HEADER_TIMEOUT, begun.notified()).await.is_ok() {
        std::future::pending().await
    }
}

fn http_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
