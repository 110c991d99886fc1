//! What a request through [`Transport`] costs: a proxy of bare hyper and one transport on a thread of its own, whose CPU
//! time is told per request. The load and the backend are other threads.
//!
//! ```text
//! cargo run --release -p detectviz-client --example cost [plain|tls|h2] [REQUESTS [CONNECTIONS [BYTES]]]
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use detectviz_client::{Address, DialPolicy, Dialer, Target, TlsOptions, Transport, TransportOptions};
use detectviz_core::http::{Body, Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Incoming = hyper::Request<hyper::body::Incoming>;

#[allow(clippy::print_stdout, reason = "that is what it is for")]
fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let mode = arguments.next_if(|text| text.parse::<usize>().is_err()).unwrap_or_else(|| "plain".to_owned());
    let mut arguments = arguments.map(|text| text.parse::<usize>().expect("a number"));
    let requests = arguments.next().unwrap_or(200_000);
    let connections = arguments.next().unwrap_or(32);
    let bytes = Bytes::from(vec![b'x'; arguments.next().unwrap_or(2048)]);

    let key = rcgen::generate_simple_self_signed(["backend.test".to_owned()]).expect("a certificate");
    let tls = (mode != "plain").then(|| TlsOptions {
        ca_bundle_pem: Some(Bytes::from(key.cert.pem())),
        server_name: "backend.test".to_owned(),
        ..TlsOptions::default()
    });
    let shown = tls.is_some().then(|| acceptor(&key, mode == "h2"));
    let backend = serve("backend", shown, move |_: Incoming| {
        let body = Body::full(bytes.clone());
        async move { Response::new(body) }
    });
    let target = Target { address: Address::tcp("127.0.0.1", backend.address.port()), tls };
    let dialer = Dialer::new(Arc::new(DialPolicy::new()), Duration::from_secs(5));
    let options = TransportOptions { http2: mode == "h2", ..TransportOptions::default() };
    let transport = Transport::new(target, dialer, &options).expect("a target");
    let transport = Arc::new(transport);
    let proxy = serve("proxy", None, move |request: Incoming| {
        let transport = transport.clone();
        async move { transport.send(request.map(Body::stream)).await.expect("an answer") }
    });
    load(proxy.address, requests / 10, connections);
    let (cpu, start) = (proxy.cpu(), Instant::now());
    load(proxy.address, requests, connections);
    let (cpu, took) = (proxy.cpu() - cpu, start.elapsed());
    let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
    println!("{mode}: {:.1} us of CPU a request, {:.0} requests a second", each(cpu), 1e6 / each(took));
}

/// A server on a thread of its own.
struct Served {
    address: SocketAddr,
    thread: String,
}

impl Served {
    fn cpu(&self) -> Duration {
        let text = std::fs::read_to_string(&self.thread).expect("the thread's accounting");
        let nanos = text.split(' ').next().and_then(|field| field.parse().ok()).expect("a number");
        Duration::from_nanos(nanos)
    }
}

fn acceptor(key: &rcgen::CertifiedKey<rcgen::KeyPair>, http2: bool) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            key.signing_key.serialize_der().try_into().expect("a key"),
        )
        .expect("a certificate and its key");
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    TlsAcceptor::from(Arc::new(config))
}

fn serve<F, R>(name: &str, tls: Option<TlsAcceptor>, answer: F) -> Served
where
    F: Fn(Incoming) -> R + Clone + Send + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let thread = std::fs::read_link("/proc/thread-self").expect("a thread");
            let thread = format!("/proc/{}/schedstat", thread.display());
            sender.send(Served { address: listener.local_addr().expect("bound"), thread }).expect("heard");
            while let Ok((tcp, _)) = listener.accept().await {
                tcp.set_nodelay(true).expect("a socket");
                let answer = answer.clone();
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let tls = tls.clone();
                tokio::spawn(async move {
                    let served = auto::Builder::new(TokioExecutor::new());
                    match tls {
                        Some(tls) => {
                            let stream = tls.accept(tcp).await.expect("a handshake");
                            served.serve_connection(TokioIo::new(stream), service).await
                        }
                        None => served.http1_only().serve_connection(TokioIo::new(tcp), service).await,
                    }
                });
            }
        });
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread");
    receiver.recv().expect("the server's address")
}

fn load(address: SocketAddr, requests: usize, connections: usize) {
    let left = Arc::new(AtomicUsize::new(requests));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..connections {
            clients.spawn(client(address, left.clone()));
        }
        clients.join_all().await;
    });
}

#[allow(clippy::disallowed_methods, reason = "the load is no part of what is measured")]
async fn client(address: SocketAddr, left: Arc<AtomicUsize>) {
    let tcp = TcpStream::connect(address).await.expect("a connection");
    tcp.set_nodelay(true).expect("a socket");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(tcp)).await.expect("a handshake");
    tokio::spawn(connection);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() =
            "/apis/example.io/v1/namespaces/default/things?limit=500".parse().expect("a URI");
        request.headers_mut().insert("host", "example.test".parse().expect("a value"));
        sender.ready().await.expect("an open connection");
        let answer = sender.send_request(request).await.expect("an answer");
        Body::stream(answer.into_body()).collect(1 << 30).await.expect("a body");
    }
}
