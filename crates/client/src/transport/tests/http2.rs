//! Backends that speak HTTP/2.

use super::*;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;

/// A backend that speaks HTTP/2 over TLS, with so many streams a connection, and says goodbye when it is told to.
struct Many {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    goodbye: watch::Sender<usize>,
    /// How many bytes of endless answers were sent.
    endless: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Many {
    async fn start(serving: &Ca, streams: u32) -> Self {
        let mut config = server_config(serving, serving);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (count, (goodbye, told)) = (accepted.clone(), watch::channel(0));
        let endless = Arc::<AtomicUsize>::default();
        let sent = endless.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(converse(acceptor.clone(), tcp, streams, (told.clone(), sent.clone())));
            }
        });
        Self { address, accepted, goodbye, endless, _tasks: tasks }
    }

    fn transport(&self, serving: &Ca, http2: bool) -> Transport {
        let address = Address::tcp("127.0.0.1", self.address.port());
        let options = TransportOptions { http2, ..TransportOptions::default() };
        Transport::new(Target { address, tls: Some(trusting(serving)) }, dialer(), &options).unwrap()
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn converse(
    acceptor: TlsAcceptor,
    tcp: tokio::net::TcpStream,
    streams: u32,
    (mut told, sent): (watch::Receiver<usize>, Arc<AtomicUsize>),
) {
    let Ok(stream) = acceptor.accept(tcp).await else { return };
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let answer = echo_or_endless(request, sent.clone());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(streams);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    told.mark_unchanged();
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = told.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn echo_or_endless(request: hyper::Request<hyper::body::Incoming>, sent: Arc<AtomicUsize>) -> Response {
    assert!(!request.headers().contains_key(header::HOST), "the host is in the URI");
    let authority = request.uri().authority().unwrap().to_string();
    let body = match request.uri().path() {
        "/endless" => Body::stream(Endless(sent)),
        _ => Body::stream(request.into_body()),
    };
    hyper::Response::builder().header("x-host", authority).body(body).unwrap()
}

fn held() -> (mpsc::Sender<Bytes>, Request) {
    let (sender, body) = mpsc::channel(1);
    let mut request = get("/watch?x");
    *request.method_mut() = Method::POST;
    *request.body_mut() = Body::stream(Fed(body));
    request.headers_mut().insert(header::HOST, "svc.ns.svc".parse().unwrap());
    (sender, request)
}

#[tokio::test]
async fn many_answers_share_connections_which_are_no_more_than_needed() {
    let serving = ca("serving");
    let server = Many::start(&serving, 4).await;
    let transport = Arc::new(server.transport(&serving, true));
    // The first answer brings the backend's settings.
    text(transport.send(get("/")).await.unwrap()).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let (sender, request) = held();
        sender.send(Bytes::from_static(b"ping")).await.unwrap();
        let mut response = transport.send(request).await.unwrap();
        assert_eq!(response.headers()["x-host"], "svc.ns.svc");
        assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "ping");
        open.push((sender, response));
    }
    assert_eq!(server.accepted(), 3, "10 of 4 each");
    open.clear();
    text(transport.send(get("/")).await.unwrap()).await;
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn requests_that_come_together_open_one_connection() {
    let serving = ca("serving");
    let server = Many::start(&serving, 100).await;
    let transport = Arc::new(server.transport(&serving, true));
    let mut all = JoinSet::new();
    for _ in 0..50 {
        let transport = transport.clone();
        all.spawn(async move { text(transport.send(get("/")).await.unwrap()).await });
    }
    assert_eq!(all.join_all().await.len(), 50);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_goodbye_ends_no_answer_and_loses_no_request() {
    let serving = ca("serving");
    let server = Many::start(&serving, 100).await;
    let transport = server.transport(&serving, true);
    let (sender, request) = held();
    let mut watch = transport.send(request).await.unwrap();
    server.goodbye.send(1).unwrap();
    while server.accepted() == 1 {
        text(transport.send(get("/")).await.unwrap()).await;
    }
    sender.send(Bytes::from_static(b"still")).await.unwrap();
    assert_eq!(watch.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "still");
    drop(sender);
    assert_eq!(text(watch).await, "");
}

#[tokio::test]
async fn http2_is_spoken_only_by_those_who_ask_for_it_with_those_who_take_it() {
    let serving = ca("serving");
    let modern = Many::start(&serving, 100).await;
    let failed = modern.transport(&serving, false).send(get("/")).await.err().unwrap();
    assert_eq!(failed.phase(), Phase::Tls, "nothing in common: {failed:?}");
    assert!(failed.request.is_some());
    let old = Server::start(Some(server_config(&serving, &serving))).await;
    let address = Address::tcp("127.0.0.1", old.address.port());
    let options = TransportOptions { http2: true, ..TransportOptions::default() };
    let transport =
        Transport::new(Target { address, tls: Some(trusting(&serving)) }, dialer(), &options).unwrap();
    for _ in 0..3 {
        assert_eq!(text(transport.send(get("/a")).await.unwrap()).await, "/a");
    }
    assert_eq!(old.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let serving = ca("serving");
    let server = Many::start(&serving, 100).await;
    let body = WithTrailers(vec![Frame::trailers(trailers()), Frame::data(Bytes::from_static(b"a"))]);
    let mut request = get("/");
    *request.method_mut() = Method::POST;
    *request.body_mut() = Body::stream(body);
    let mut answer = server.transport(&serving, true).send(request).await.unwrap().into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
    assert_eq!(answer.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers());
}

struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const PIECE: Bytes = Bytes::from_static(&[0; 4096]);
        self.0.fetch_add(PIECE.len(), Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(PIECE))))
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_silence_no_other_on_their_connection() {
    const UNREAD: usize = 100;
    let serving = ca("serving");
    let server = Many::start(&serving, 200).await;
    let transport = server.transport(&serving, true);
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        unread.push(transport.send(get("/endless")).await.unwrap());
    }
    let all_sent = async {
        while server.endless.load(Ordering::SeqCst) < UNREAD * (100 << 10) {
            tokio::task::yield_now().await;
        }
        text(transport.send(get("/")).await.unwrap()).await
    };
    tokio::time::timeout(Duration::from_secs(60), all_sent)
        .await
        .expect("each has its share, and more is left");
    assert_eq!(server.accepted(), 1);
}
