//! One connection, from handshake to close. Slow handshakes, slow headers and floods of streams are cut off here.

use detectviz_core::RunContext;
use detectviz_core::http::{Body, Request};
use detectviz_core::tunnel::Upgradable;
use http::{Version, header};
use hyper::body::{Body as _, Incoming};
use hyper::service::{Service, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::{Activity, Sent};
use super::switch::{Switch, last};
use super::tls::Trust;
use crate::chain::{Chain, Peer};
use crate::upgrade::wants_upgrade;

/// The answer to plain HTTP; upstream's words. A TLS record never begins with a letter, as a method does.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// How long a client may take to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that was told to end may stay without a request under way.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long requests under way may go on whose client proved itself with what counts no longer.
const LAST_REQUESTS: Duration = Duration::from_secs(10);
/// How long an HTTP/1.1 client may take to send a request's head, idle time between requests included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(90);
/// The most bytes of an HTTP/1.1 head, and of an HTTP/2 header list.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The most requests at once of one HTTP/2 connection.
const MAX_STREAMS: u32 = 250;
/// The most bytes that an HTTP/2 stream holds for a client that does not read.
const MAX_UNSENT: usize = 64 * 1024;
/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

pub(super) async fn serve(
    stream: TcpStream,
    mut trust: watch::Receiver<Arc<Trust>>,
    chain: Arc<Chain>,
    context: RunContext,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&trust.borrow_and_update().config));
    let Some(stream) = Box::pin(handshake(stream, &acceptor, &context)).await else { return };
    let proof: Vec<_> = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
    // What a client proved may cease to count: its connection ends before the others then.
    let context = if proof.is_empty() { context } else { context.child() };
    let peer = Arc::new(Peer::new(proof.first().map(|der| der.to_vec()), context.clone()));
    let activity = Arc::new(Activity::default());
    let switch = Switch::default();
    let service = answers(chain, peer, Arc::clone(&activity), switch.clone());
    let serve = async {
        converse(stream, service, &activity, &context).await;
        // Here and not in a task of its own, so that it counts among the connections.
        if let Some(accepted) = switch.take() {
            accepted.serve(&context).await;
        }
    };
    tokio::select! {
        () = serve => {}
        () = distrusted(&proof, &mut trust, &context) => {
            tracing::debug!("connection cut: its client's certificate counts no longer");
        }
    }
}

/// Answers each request through the chain.
fn answers(
    chain: Arc<Chain>,
    peer: Arc<Peer>,
    activity: Arc<Activity>,
    switch: Switch,
) -> impl Service<
    hyper::Request<Incoming>,
    Response = hyper::Response<Sent>,
    Error = Infallible,
    Future: Send + 'static,
> {
    service_fn(move |request| {
        let (chain, peer, busy) = (Arc::clone(&chain), Arc::clone(&peer), activity.begin());
        let switch = switch.clone();
        let (request, ending) = ours(request);
        // Boxed, since HTTP/2 keeps the place of this future for as long as the answer's body is sent.
        Box::pin(async move {
            let response = chain.answer(&peer, request).await.map(|body| busy.until_end_of(body));
            Ok::<_, Infallible>(match ending {
                Ending::Switch(upgrade) => switch.accept(upgrade, response),
                Ending::Close => last(response),
                Ending::None => response,
            })
        })
    })
}

/// Serves until the connection ends; it says goodbye when its context begins to end, and when it is idle.
async fn converse<S>(stream: Box<TlsStream<TcpStream>>, service: S, activity: &Activity, context: &RunContext)
where
    S: Service<
            hyper::Request<Incoming>,
            Response = hyper::Response<Sent>,
            Error = Infallible,
            Future: Send + 'static,
        >,
{
    let http = protocol();
    let mut connection = pin!(http.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = context.draining() => None,
        () = activity.idle() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                // A client that does not take the hint is cut off; one that waits for an answer is not idle.
                () = activity.idle_for(GOODBYE) => Ok(()),
            }
        }
    };
    if let Err(fault) = ended {
        tracing::debug!(error = %fault, "connection ended");
    }
}

/// Waits until `proof` counts no longer, lets the connection end in order, and returns when it had its time.
async fn distrusted(
    proof: &[CertificateDer<'static>],
    trust: &mut watch::Receiver<Arc<Trust>>,
    context: &RunContext,
) {
    let counts_no_longer = |trust: &Arc<Trust>| !trust.believes(proof);
    if proof.is_empty() || trust.wait_for(counts_no_longer).await.is_err() {
        pending::<()>().await;
    }
    // Its watches end, and it is told that it ends.
    context.drain();
    tokio::time::sleep(LAST_REQUESTS).await;
}

async fn handshake(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    context: &RunContext,
) -> Option<Box<TlsStream<TcpStream>>> {
    stream.set_nodelay(true).ok()?;
    let shake = async {
        let stream = only_tls(stream).await?;
        // Boxed, since each future that it passes through keeps room for it as long as the connection is there.
        acceptor.accept(stream).await.map(Box::new)
    };
    let shaken = tokio::select! {
        () = context.draining() => return None,
        shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(fault)) => {
            tracing::debug!(error = %fault, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// The stream, if TLS is spoken on it; a client that speaks plain HTTP is told so in its own words.
async fn only_tls(mut stream: TcpStream) -> std::io::Result<TcpStream> {
    let mut first = [0; 1];
    let seen = stream.peek(&mut first).await?;
    if seen == 1 && first[0].is_ascii_uppercase() {
        stream.write_all(PLAIN_HTTP).await?;
        stream.shutdown().await?;
        return Err(std::io::Error::other("the client speaks plain HTTP"));
    }
    Ok(stream)
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        // Never `pipeline_flush`: with it, what a client does not read is buffered without end.
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_send_buf_size(MAX_UNSENT)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}

/// What a request means for the connection that it came over.
enum Ending {
    /// Nothing: the next request may follow.
    None,
    /// It ends with the answer.
    Close,
    /// It becomes something else, or ends with the answer that refuses.
    Switch(OnUpgrade),
}

/// The request as the chain takes it, and what it means for its connection.
fn ours(mut request: hyper::Request<Incoming>) -> (Request, Ending) {
    let ending = match request.version() {
        Version::HTTP_11 if wants_upgrade(request.headers()) => {
            request.extensions_mut().insert(Upgradable);
            Ending::Switch(hyper::upgrade::on(&mut request))
        }
        // Where a body in chunks ends is what smuggled requests lie about, be it with a length beside it, which is not
        // seen here any more. What stands behind such a body is never read as a request (RFC 9112 section 6.1).
        Version::HTTP_11 if request.headers().contains_key(header::TRANSFER_ENCODING) => Ending::Close,
        _ => Ending::None,
    };
    let body = |body: Incoming| if body.is_end_stream() { Body::empty() } else { Body::stream(body) };
    (request.map(body), ending)
}
