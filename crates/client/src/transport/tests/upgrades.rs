//! Connections that stop being HTTP.

use super::*;

#[tokio::test]
async fn an_upgrade_hands_over_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target =
        Target { address: Address::tcp("127.0.0.1", listener.local_addr().unwrap().port()), tls: None };
    let transport = Transport::new(target, dialer(), &TransportOptions::default()).unwrap();
    let backend = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        assert!(tcp.read(&mut [0; 1024]).await.unwrap() > 0);
        let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        tcp.write_all(head).await.unwrap();
        let mut said = [0; 4];
        tcp.read_exact(&mut said).await.unwrap();
        tcp.write_all(&said).await.unwrap();
    };
    let caller = async {
        let mut request = get("/");
        request.headers_mut().insert(header::CONNECTION, "Upgrade".parse().unwrap());
        request.headers_mut().insert(header::UPGRADE, "echo".parse().unwrap());
        let Ok(Upgraded::Switched(response, mut link)) = transport.upgrade(request).await else { panic!() };
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        link.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        link.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
    };
    tokio::join!(backend, caller);
}

async fn backend(listener: &TcpListener, answer: &[u8]) -> tokio::net::TcpStream {
    let (mut tcp, _) = listener.accept().await.unwrap();
    assert!(reuse::head_of_a_request(&mut tcp).await);
    tcp.write_all(answer).await.unwrap();
    tcp
}

fn upgrade() -> Request {
    let mut request = get("/exec");
    request.headers_mut().insert(header::CONNECTION, "Upgrade".parse().unwrap());
    request.headers_mut().insert(header::UPGRADE, "SPDY/3.1".parse().unwrap());
    request
}

async fn listening(max_connections: usize) -> (TcpListener, Transport) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target =
        Target { address: Address::tcp("127.0.0.1", listener.local_addr().unwrap().port()), tls: None };
    let options = TransportOptions { max_connections, ..TransportOptions::default() };
    (listener, Transport::new(target, dialer(), &options).unwrap())
}

#[tokio::test]
async fn what_comes_with_the_answers_head_is_the_tunnels() {
    let (listener, transport) = listening(2).await;
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nearly";
    let (mut tcp, upgraded) = tokio::join!(backend(&listener, answer), transport.upgrade(upgrade()));
    let Ok(Upgraded::Switched(head, mut tunnel)) = upgraded else { panic!("no tunnel") };
    assert_eq!(head.headers()[header::UPGRADE], "SPDY/3.1");
    tcp.write_all(b" and late").await.unwrap();
    drop(tcp);
    let mut all = String::new();
    tunnel.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "early and late");
}

#[tokio::test]
async fn a_refused_upgrade_ends_its_connection() {
    let (listener, transport) = listening(1).await;
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let (mut tcp, upgraded) = tokio::join!(backend(&listener, answer), transport.upgrade(upgrade()));
    let Ok(Upgraded::Refused(answer)) = upgraded else { panic!("a tunnel") };
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(answer).await, "no");
    assert_eq!(tcp.read(&mut [0; 8]).await.unwrap(), 0, "the connection should be closed");
    // The one place is free again, and taken by a connection of its own.
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (_tcp, answer) = tokio::join!(backend(&listener, ok), transport.send(get("/")));
    assert_eq!(text(answer.unwrap()).await, "ok");
}

#[tokio::test]
async fn an_upgrade_takes_no_connection_that_was_used_and_the_place_of_an_idle_one() {
    let (listener, transport) = listening(1).await;
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (mut first, answer) = tokio::join!(backend(&listener, ok), transport.send(get("/")));
    text(answer.unwrap()).await;
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
    let (_second, upgraded) = tokio::join!(backend(&listener, switched), transport.upgrade(upgrade()));
    assert!(matches!(upgraded, Ok(Upgraded::Switched(..))));
    assert_eq!(first.read(&mut [0; 8]).await.unwrap(), 0, "the idle one should be closed");
}

#[tokio::test]
async fn an_upgrade_that_nobody_answers_fails() {
    let (listener, transport) = listening(1).await;
    let (tcp, upgraded) =
        tokio::join!(async { drop(listener.accept().await.unwrap()) }, transport.upgrade(upgrade()));
    let () = tcp;
    assert_eq!(upgraded.err().unwrap().phase(), Phase::Send);
}

#[tokio::test]
async fn a_backend_that_switches_unasked_gets_no_second_request() {
    let (listener, transport) = listening(1).await;
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let (mut tcp, answer) = tokio::join!(backend(&listener, switched), transport.send(get("/")));
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    }
    assert_eq!(tcp.read(&mut [0; 8]).await.unwrap(), 0, "the connection should be closed");
}
