//! What is sent and what is answered.

use super::*;

#[tokio::test]
async fn only_path_and_query_of_the_uri_count() {
    let server = Server::start(None).await;
    let transport = server.transport(None);
    for uri in ["/a", "https://169.254.169.254/a", "http://elsewhere.test:1/a"] {
        let mut request = get(uri);
        *request.version_mut() = Version::HTTP_2;
        let response = transport.send(request).await.unwrap();
        assert_eq!(response.headers()["x-host"], server.address.to_string());
        assert_eq!(text(response).await, "/a");
    }
    assert_eq!(server.accepted.load(Ordering::SeqCst), 1, "a connection must be reused");
}

#[tokio::test]
async fn a_redirect_is_handed_back() {
    let server = Server::start(None).await;
    let response = server.transport(None).send(get("/redirect")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let server = Server::start(None).await;
    let (sender, body) = mpsc::channel(1);
    let mut request = get("/echo");
    *request.method_mut() = Method::POST;
    *request.body_mut() = Body::stream(Fed(body));
    sender.send(Bytes::from_static(b"one")).await.unwrap();
    let mut response = server.transport(None).send(request).await.unwrap().into_body();
    // The answer's first part is here while the request is not finished.
    assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    sender.send(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    drop(sender);
    assert!(response.frame().await.is_none());
}

#[tokio::test]
async fn each_failure_to_connect_has_its_phase() {
    let policy = Arc::new(DialPolicy::new());
    let server = Server::start(None).await;
    policy.deny_listener(server.address);
    let phase = async |host: &str, port: u16| {
        let target = Target { address: Address::tcp(host, port), tls: None };
        let dialer = Dialer::new(policy.clone(), Duration::from_secs(20));
        let transport = Transport::new(target, dialer, &TransportOptions::default()).unwrap();
        transport.send(get("/")).await.err().unwrap().error
    };
    let refused = phase("127.0.0.1", server.address.port()).await;
    assert_eq!(refused.phase(), Phase::Policy);
    assert!(refused.report().contains(&Refused::OwnListener(server.address).to_string()));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(phase("127.0.0.1", free).await.phase(), Phase::Connect);
    // A server that hangs up instead of answering.
    let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = rude.local_addr().unwrap().port();
    let (error, _) = tokio::join!(phase("127.0.0.1", port), async { drop(rude.accept().await.unwrap()) });
    assert_eq!(error.phase(), Phase::Send);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_not_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target =
        Target { address: Address::tcp("127.0.0.1", listener.local_addr().unwrap().port()), tls: None };
    let transport = Transport::new(target, dialer(), &TransportOptions::default()).unwrap();
    let short = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        assert!(tcp.read(&mut [0; 1024]).await.unwrap() > 0);
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    };
    let (response, ()) = tokio::join!(transport.send(get("/")), short);
    assert!(response.unwrap().into_body().collect(9).await.is_err());
}

#[tokio::test]
async fn a_unix_socket_is_a_backend() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backend.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, 0).await;
        }
    });
    let target = Target { address: Address::Unix(path), tls: None };
    let transport = Transport::new(target, dialer(), &TransportOptions::default()).unwrap();
    for _ in 0..2 {
        let response = transport.send(get("/a")).await.unwrap();
        assert_eq!(response.headers()["x-host"], "localhost");
        assert_eq!(text(response).await, "/a");
    }
    let nobody = Address::Unix(folder.path().join("nobody.sock"));
    let transport =
        Transport::new(Target { address: nobody, tls: None }, dialer(), &TransportOptions::default())
            .unwrap();
    let failed = transport.send(get("/")).await.err().unwrap();
    assert_eq!(failed.phase(), Phase::Connect);
    assert!(failed.error.report().starts_with("connect to unix:"), "{}", failed.error.report());
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let server = Server::start(None).await;
    let body = WithTrailers(vec![Frame::trailers(trailers()), Frame::data(Bytes::from_static(b"a"))]);
    let mut request = get("/echo");
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(header::TRAILER, "x-trail".parse().unwrap());
    request.headers_mut().insert(header::TE, "trailers".parse().unwrap());
    *request.body_mut() = Body::stream(body);
    let mut answer = server.transport(None).send(request).await.unwrap().into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
    assert_eq!(answer.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers());
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let server = Server::start(None).await;
    let transport = server.transport(None);
    for _ in 0..3 {
        let mut request = get("/a");
        *request.method_mut() = Method::HEAD;
        let response = transport.send(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "2");
        assert_eq!(text(response).await, "");
    }
    assert_eq!(server.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_large_answer_is_whole() {
    let server = Server::start(None).await;
    let transport = server.transport(None);
    let large = Bytes::from(vec![7; 5 << 20]);
    for _ in 0..2 {
        let mut request = get("/echo");
        *request.method_mut() = Method::POST;
        *request.body_mut() = Body::full(large.clone());
        let answer = transport.send(request).await.unwrap();
        assert_eq!(answer.into_body().collect(large.len()).await.unwrap(), large);
    }
}
