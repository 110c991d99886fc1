//! Which connections are used again, and how many there are.

use super::*;

/// A backend that says exactly what it is told to say: the first connection gets the first line-up of answers.
struct Scripted {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    ended: mpsc::Receiver<()>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Each connection answers as many requests as there are `answers`, then hangs up.
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (count, (sender, ended)) = (accepted.clone(), mpsc::channel(64));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let sender = sender.clone();
                connections.spawn(async move {
                    for answer in answers {
                        if !head_of_a_request(&mut tcp).await {
                            break;
                        }
                        tcp.write_all(answer.as_bytes()).await.unwrap();
                    }
                    drop(tcp);
                    let _ = sender.send(()).await;
                });
            }
        });
        Self { address, accepted, ended, _tasks: tasks }
    }

    fn transport(&self, options: &TransportOptions) -> Transport {
        let target = Target { address: Address::tcp("127.0.0.1", self.address.port()), tls: None };
        Transport::new(target, dialer(), options).unwrap()
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Reads until a request's head is whole; says whether there was one.
pub(super) async fn head_of_a_request(tcp: &mut tokio::net::TcpStream) -> bool {
    let (mut seen, mut piece) = (Vec::new(), [0; 1024]);
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        match tcp.read(&mut piece).await {
            Ok(n) if n > 0 => seen.extend_from_slice(&piece[..n]),
            _ => return false,
        }
    }
    true
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trail: er\r\n\r\n";

fn post(body: Body) -> Request {
    let mut request = get("/");
    *request.method_mut() = Method::POST;
    *request.body_mut() = body;
    request
}

fn few(max_connections: usize) -> TransportOptions {
    TransportOptions { max_connections, ..TransportOptions::default() }
}

#[tokio::test]
async fn all_kept_connections_may_be_closed_at_once() {
    const MANY: usize = 3 * MAX_ATTEMPTS;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target =
        Target { address: Address::tcp("127.0.0.1", listener.local_addr().unwrap().port()), tls: None };
    let options = TransportOptions { max_idle: MANY, ..TransportOptions::default() };
    let transport = Transport::new(target, dialer(), &options).unwrap();
    let take = async || {
        let (mut tcp, _) = listener.accept().await.unwrap();
        assert!(head_of_a_request(&mut tcp).await);
        tcp
    };
    let answers = futures_util::future::join_all((0..MANY).map(|_| transport.send(get("/"))));
    let backend = async {
        let mut taken = Vec::new();
        for _ in 0..MANY {
            taken.push(take().await);
        }
        for tcp in &mut taken {
            tcp.write_all(OK.as_bytes()).await.unwrap();
        }
        taken
    };
    let (answers, taken) = tokio::join!(answers, backend);
    for answer in answers {
        assert_eq!(text(answer.unwrap()).await, "ok");
    }
    drop(taken);
    let next = async {
        take().await.write_all(OK.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = transport.send(post(Body::full("x"))) => answer,
        () = next => unreachable!("it waits for ever"),
    };
    assert_eq!(text(answer.unwrap()).await, "ok");
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_the_framing() {
    for answers in [&[OK; 4], &[CHUNKED; 4], &["HTTP/1.1 204 No Content\r\n\r\n"; 4]] {
        let server = Scripted::start(answers).await;
        let transport = server.transport(&TransportOptions::default());
        for _ in 0..2 {
            text(transport.send(get("/")).await.unwrap()).await;
            text(transport.send(post(Body::full("x"))).await.unwrap()).await;
        }
        assert_eq!(server.accepted(), 1, "{answers:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_read_ends_its_connection() {
    let server = Scripted::start(&[CHUNKED, OK]).await;
    let transport = server.transport(&TransportOptions::default());
    drop(transport.send(get("/")).await.unwrap());
    text(transport.send(get("/")).await.unwrap()).await;
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn an_answer_that_came_whole_needs_its_connection_no_longer() {
    let server = Scripted::start(&[OK; 3]).await;
    let transport = server.transport(&few(1));
    let held = transport.send(get("/")).await.unwrap();
    assert_eq!(held.body().ready(), Some("ok".len()));
    drop(transport.send(get("/")).await.unwrap());
    text(transport.send(get("/")).await.unwrap()).await;
    assert_eq!((text(held).await, server.accepted()), ("ok".into(), 1));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_noticed_even_by_a_request_that_may_not_be_repeated() {
    let mut server = Scripted::start(&[OK]).await;
    let transport = server.transport(&TransportOptions::default());
    for round in 1..=20 {
        let body = if round % 2 == 0 { Body::empty() } else { Body::full("x") };
        text(transport.send(post(body)).await.unwrap()).await;
        server.ended.recv().await.unwrap();
        assert_eq!(server.accepted(), round);
    }
}

#[tokio::test]
async fn what_comes_behind_an_answer_is_nobodys_answer() {
    let poisoned =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let server = Scripted::start(Box::leak(Box::new([poisoned, OK]))).await;
    let transport = server.transport(&TransportOptions::default());
    for round in 1..=3 {
        assert_eq!(text(transport.send(get("/")).await.unwrap()).await, "ok");
        assert_eq!(server.accepted(), round, "the connection should not be used again");
    }
}

#[tokio::test]
async fn what_comes_late_behind_an_answer_without_a_body_is_nobodys_answer() {
    // A body that must not be there: some servers send one to HEAD, and with 204 or 304.
    let cases = [
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (Method::DELETE, "HTTP/1.1 204 No Content\r\n\r\n"),
    ];
    for (method, head) in cases {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((go, gone), (wrote, written)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let backend = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let mut piece = [0; 1024];
            let (mut first, _) = listener.accept().unwrap();
            assert!(first.read(&mut piece).unwrap() > 0);
            first.write_all(head.as_bytes()).unwrap();
            gone.recv().unwrap();
            first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").unwrap();
            wrote.send(()).unwrap();
            let (mut second, _) = listener.accept().unwrap();
            assert!(second.read(&mut piece).unwrap() > 0);
            second.write_all(OK.as_bytes()).unwrap();
        });
        let target = Target { address: Address::tcp("127.0.0.1", port), tls: None };
        let transport = Transport::new(target, dialer(), &TransportOptions::default()).unwrap();
        let mut request = get("/");
        *request.method_mut() = method.clone();
        text(transport.send(request).await.unwrap()).await;
        // The runtime, which is this thread, has no chance to hear of what is there.
        go.send(()).unwrap();
        written.recv().unwrap();
        assert_eq!(text(transport.send(get("/")).await.unwrap()).await, "ok", "{method}");
        backend.join().unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_framed_in_two_ways_is_none() {
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!";
    let server = Scripted::start(Box::leak(Box::new([both]))).await;
    let failed = server.transport(&few(1)).send(get("/")).await.err().unwrap();
    assert_eq!(failed.phase(), Phase::Send);
    assert!(failed.request.is_none(), "it was sent");
}

#[tokio::test]
async fn who_waits_gets_the_connection_that_becomes_free() {
    let server = Scripted::start(&[OK; 64]).await;
    let transport = Arc::new(server.transport(&few(2)));
    let mut all = JoinSet::new();
    for _ in 0..32 {
        let transport = transport.clone();
        all.spawn(async move { text(transport.send(get("/")).await.unwrap()).await });
    }
    assert_eq!(all.join_all().await, vec!["ok"; 32]);
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn those_who_gave_up_waiting_cost_nobody_a_place() {
    let server = Scripted::start(&[CHUNKED; 64]).await;
    let transport = server.transport(&few(1));
    let held = transport.send(get("/")).await.unwrap();
    for _ in 0..100 {
        let waiting = transport.send(get("/"));
        assert!(tokio::time::timeout(Duration::ZERO, waiting).await.is_err());
    }
    let (answer, body) = tokio::join!(transport.send(get("/")), text(held));
    assert_eq!((body, text(answer.unwrap()).await), ("ok".into(), "ok".into()));
}

#[tokio::test]
async fn connections_are_bounded_and_come_back() {
    let server = Server::start(None).await;
    let options = TransportOptions { connect_timeout: Duration::from_millis(50), ..few(1) };
    let target = Target { address: Address::tcp("127.0.0.1", server.address.port()), tls: None };
    let transport = Transport::new(target, dialer(), &options).unwrap();
    let (_open, body) = mpsc::channel(1);
    let mut request = post(Body::stream(Fed(body)));
    *request.uri_mut() = "/echo".parse().unwrap();
    let held = transport.send(request).await.unwrap();
    let failed = transport.send(get("/")).await.err().unwrap();
    assert!(matches!(failed.error, TransportError::Busy { .. }), "{failed:?}");
    assert!(failed.request.is_some(), "it can be sent elsewhere");
    drop(held);
    while transport.send(get("/")).await.is_err() {}
}

#[tokio::test]
async fn what_was_not_sent_comes_back_as_it_was() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let target = Target { address: Address::tcp("127.0.0.1", free), tls: None };
    let transport = Transport::new(target, dialer(), &TransportOptions::default()).unwrap();
    let mut request = post(Body::full("body"));
    *request.uri_mut() = "/a?b".parse().unwrap();
    let back = transport.send(request).await.err().unwrap().request.unwrap();
    assert_eq!((back.method(), back.uri().to_string()), (&Method::POST, "/a?b".to_owned()));
    assert_eq!(back.into_body().collect(9).await.unwrap(), "body");
}

#[tokio::test]
async fn an_upload_that_was_answered_early_is_given_up_with_its_connection() {
    let mut server =
        Scripted::start(&["HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"]).await;
    let transport = server.transport(&few(1));
    let (open, body) = mpsc::channel(1);
    let answer = transport.send(post(Body::stream(Fed(body)))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(answer).await, "no");
    server.ended.recv().await.unwrap();
    open.closed().await;
    text(transport.send(get("/")).await.unwrap()).await;
}

#[tokio::test]
async fn idle_connections_are_let_go() {
    let mut server = Scripted::start(&[OK, OK]).await;
    let options = TransportOptions { idle_timeout: Duration::from_millis(10), ..few(1) };
    let transport = server.transport(&options);
    text(transport.send(get("/")).await.unwrap()).await;
    tokio::time::timeout(Duration::from_secs(60), server.ended.recv()).await.unwrap().unwrap();
    text(transport.send(get("/")).await.unwrap()).await;
    assert_eq!(server.accepted(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_mixed_up_while_connections_come_and_go() {
    let server = Server::start(None).await;
    let target = Target { address: Address::tcp("127.0.0.1", server.address.port()), tls: None };
    let transport = Arc::new(Transport::new(target, dialer(), &few(8)).unwrap());
    let mut all = JoinSet::new();
    for client in 0..32 {
        let transport = transport.clone();
        all.spawn(async move {
            for round in 0..50 {
                let said = format!("/{client}/{round}");
                let mut request = if round % 3 == 0 { post(Body::full(said.clone())) } else { get(&said) };
                match round % 3 {
                    0 => *request.uri_mut() = "/echo".parse().unwrap(),
                    1 => *request.uri_mut() = format!("/close{said}").parse().unwrap(),
                    _ => {}
                }
                let answer = transport.send(request).await.unwrap();
                if round % 7 == 6 {
                    drop(answer);
                } else {
                    assert!(text(answer).await.ends_with(said.as_bytes()));
                }
            }
        });
    }
    all.join_all().await;
}

#[tokio::test]
async fn a_connection_to_a_name_is_not_used_for_ever() {
    for (host, connections) in [("localhost", 3), ("127.0.0.1", 1)] {
        let server = Server::start(None).await;
        let target = Target { address: Address::tcp(host, server.address.port()), tls: None };
        let options = TransportOptions { max_age: Duration::ZERO, ..TransportOptions::default() };
        let transport = Transport::new(target, dialer(), &options).unwrap();
        for _ in 0..3 {
            text(transport.send(get("/")).await.unwrap()).await;
        }
        assert_eq!(server.accepted.load(Ordering::SeqCst), connections, "{host}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_backend_says_is_read_or_refused(said in said_by_a_backend()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let target = Target { address: Address::tcp("127.0.0.1", port), tls: None };
            let transport = Transport::new(target, dialer(), &few(1)).unwrap();
            let backend = async {
                loop {
                    let (mut tcp, _) = listener.accept().await.unwrap();
                    head_of_a_request(&mut tcp).await;
                    let _ = tcp.write_all(&said).await;
                }
            };
            let caller = async {
                for _ in 0..2 {
                    if let Ok(answer) = transport.send(get("/")).await {
                        let _ = answer.into_body().collect(1 << 20).await;
                    }
                }
            };
            tokio::select! {
                () = backend => {}
                () = caller => {}
            }
        });
    }
}

/// Bytes, some of which look like an answer.
fn said_by_a_backend() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec()),
        Just(b"HTTP/1.0 100 Continue\r\n\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Connection: close\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"5\r\nabcde\r\n0\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..16),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                   HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let server = Scripted::start(Box::leak(Box::new([interim, interim]))).await;
    let transport = server.transport(&few(1));
    for _ in 0..2 {
        let mut request = post(Body::full("x"));
        request.headers_mut().insert(header::EXPECT, "100-continue".parse().unwrap());
        let answer = transport.send(request).await.unwrap();
        assert_eq!((answer.status(), text(answer).await), (StatusCode::OK, "ok".into()));
    }
    assert_eq!(server.accepted(), 1);
}
