//! Connections that become something else on the way to a backend: only what both sides agreed on becomes a tunnel, and
//! whatever else is answered ends both connections.

use std::io::{self, Read as _, Write as _};

use detectviz_tests::{
    Answer, Backend, Client, Message, Seen, Server, WebSocket, Wire, enterprise, wait_for, wait_until,
};

use super::behind;
use crate::support::CONFIG_MAPS;

const GROUP: &str = "raw.example.com";
/// What a forger hopes that the backend reads as a request of its front proxy's.
const FORGED: &str = "GET /apis/raw.example.com/v1/stolen HTTP/1.1\r\nHost: x\r\nX-Remote-User: root\r\n\
                      X-Remote-Group: system:masters\r\n\r\n";

/// Answers by what the path ends in; what does not switch is refused with that code.
fn answer(seen: &mut Seen, wire: &mut Wire) -> io::Result<bool> {
    wire.bounded()?;
    let last = seen.path().rsplit('/').next().unwrap_or_default().to_owned();
    let switch = |protocol: &str, fields: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{fields}\r\n"
        )
    };
    match last.as_str() {
        // The first words of a tunnel in the same write as the head.
        "echo" => wire.send(&(switch("SPDY/3.1", "Set-Cookie: a=1\r\n") + "hello "))?,
        "socket" => {
            wire.send(&switch("websocket", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))?;
            return echo_messages(wire).map(|()| false);
        }
        "other" => wire.send(&switch("h2c", ""))?,
        "silent" => wire.send("HTTP/1.1 101 Switching Protocols\r\n\r\n")?,
        "redirect" => {
            let location = seen.header("x-canary").first().copied().unwrap_or_default();
            wire.send(&format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))?;
            return Ok(true);
        }
        code => {
            let code = code.parse().unwrap_or(200);
            wire.answer(code, "{}")?;
            return Ok(true);
        }
    }
    copy(seen, wire).map(|()| false)
}

/// Sends back what comes, until the client ends; then says so.
fn copy(seen: &mut Seen, wire: &mut Wire) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match wire.read(&mut buffer)? {
            0 => {
                wire.send("over")?;
                return wire.finish();
            }
            count => {
                seen.body.extend_from_slice(&buffer[..count]);
                wire.write_all(&buffer[..count])?;
                wire.flush()?;
            }
        }
    }
}

fn echo_messages(wire: &mut Wire) -> io::Result<()> {
    let mut socket = detectviz_tests::server_socket(wire);
    loop {
        match socket.read().map_err(io::Error::other)? {
            message @ (Message::Text(_) | Message::Binary(_)) => {
                socket.send(message).map_err(io::Error::other)?
            }
            Message::Close(_) => return socket.flush().or(Ok(())),
            _ => {}
        }
    }
}

fn with_backend(test: impl FnOnce(Server, Backend)) {
    enterprise(|builder| {
        let server =
            builder.config("[limits]\nshutdown_grace_seconds = 20\nmax_watches_per_user = 3\n").start();
        let backend = Backend::start(GROUP, answer);
        behind(&server.admin(), &backend);
        test(server, backend);
    });
}

fn spdy(client: &Client, last: &str) -> detectviz_tests::Request<'static> {
    let client: &'static Client = Box::leak(Box::new(client.clone()));
    client
        .request("POST", format!("/apis/{GROUP}/v1/namespaces/default/things/a/{last}"))
        .header("Connection", "Upgrade")
        .header("Upgrade", "SPDY/3.1")
        .header("X-Stream-Protocol-Version", "v4.channel.k8s.io")
}

/// Reads so many bytes.
fn read(connection: &mut detectviz_tests::Connection, count: usize) -> String {
    let mut bytes = vec![0; count];
    connection.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn metric(server: &Server, name: &str) -> u64 {
    let text = server.admin().get("/metrics").text();
    let series = format!("{name}{{name=\"v1.{GROUP}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("0");
    value.parse().unwrap()
}

#[test]
fn a_stream_goes_both_ways_from_the_first_byte_to_each_sides_end() {
    with_backend(|server, backend| {
        let (head, mut connection) = spdy(&server.admin(), "echo").open_with(b"early ").unwrap();
        assert_eq!((head.code, head.header("upgrade")), (101, Some("SPDY/3.1")), "{head}");
        assert_eq!(head.header("set-cookie"), None, "a backend speaks for itself alone");
        assert_eq!(read(&mut connection, 12), "hello early ");
        assert_eq!(metric(&server, "detectviz_aggregator_open_tunnels"), 1);
        connection.send(b"and more").unwrap();
        assert_eq!(read(&mut connection, 8), "and more");
        // The client's end reaches the backend, whose last words come all the same.
        connection.finish().unwrap();
        assert_eq!(connection.rest(), b"over");
        wait_for("the tunnel is closed", || {
            (metric(&server, "detectviz_aggregator_open_tunnels") == 0).then_some(())
        });
        wait_for("the backend's connection is closed", || (backend.seen().len() == 1).then_some(()));
        let seen = &backend.seen()[0];
        assert_eq!(seen.body, b"early and more");
        assert_eq!((seen.header("upgrade"), seen.header("connection")), (vec!["SPDY/3.1"], vec!["Upgrade"]));
        assert_eq!(seen.header("x-remote-user"), ["admin"]);
        assert_eq!(seen.header("x-stream-protocol-version"), ["v4.channel.k8s.io"]);
        assert_eq!(metric(&server, "detectviz_aggregator_sent_bytes_total"), 14);
        assert_eq!(metric(&server, "detectviz_aggregator_breaker_state"), 0);
        for certificate in ["backend", "client"] {
            let name = format!("detectviz_aggregator_{certificate}_certificate_expiry_timestamp_seconds");
            assert!(metric(&server, &name) > 1_700_000_000, "{certificate}");
        }
    });
}

#[test]
fn a_websocket_goes_through_and_its_token_does_not() {
    with_backend(|server, backend| {
        let admin = server.admin();
        let path = format!("/apis/{GROUP}/v1/namespaces/default/things/a/socket");
        let token = "base64url.bearer.authorization.k8s.io.c2VjcmV0";
        let request = admin.request("GET", &path).header("Sec-WebSocket-Protocol", &format!("{token}, chat"));
        let mut socket = WebSocket::open(&request).unwrap();
        for text in ["one", "two"] {
            socket.send(Message::Text(text.into())).unwrap();
            assert_eq!(socket.message().unwrap(), Message::Text(text.into()));
        }
        let large = Message::Binary(vec![7; 1 << 20].into());
        socket.send(large.clone()).unwrap();
        assert_eq!(socket.message().unwrap(), large);
        socket.send(Message::Close(None)).unwrap();
        socket.closed().unwrap();
        wait_for("the backend's connection is closed", || (!backend.seen().is_empty()).then_some(()));
        let seen = &backend.seen()[0];
        assert_eq!(seen.header("sec-websocket-protocol"), ["chat"]);
        assert_eq!(seen.header("authorization"), [""; 0]);
        let foreign = admin.request("GET", &path).websocket().header("Origin", "https://evil.example");
        foreign.send().refused(403, "Forbidden");
        assert_eq!(backend.seen().len(), 1, "a page of another origin reaches nothing");
    });
}

/// The answer to a request with `FORGED` behind it, all in one write; what follows must be the connection's end.
fn refused(request: &detectviz_tests::Request<'_>) -> Answer {
    let (head, mut connection) = request.open_with(FORGED.as_bytes()).unwrap();
    assert_eq!(head.header("connection"), Some("close"), "{head}");
    let rest = String::from_utf8(connection.rest()).unwrap();
    assert!(!rest.contains("HTTP/1.1"), "another answer came: {rest}");
    // The other end is closed: what is sent now reaches nobody.
    let _ = connection.send(FORGED.as_bytes());
    assert_eq!(connection.rest(), b"");
    head
}

/// CVE-2018-1002105.
#[test]
fn a_refused_upgrade_ends_both_connections() {
    with_backend(|server, backend| {
        let admin = server.admin();
        for (index, last) in ["200", "400", "403", "404", "426", "500", "503"].into_iter().enumerate() {
            let head = refused(&spdy(&admin, last));
            assert_eq!(head.code.to_string(), last);
            wait_for("the backend has seen it", || (backend.seen().len() == index + 1).then_some(()));
        }
        for (index, last) in ["other", "silent"].into_iter().enumerate() {
            assert_eq!(refused(&spdy(&admin, last)).code, 502, "{last}");
            wait_for("the backend has seen it", || (backend.seen().len() == index + 8).then_some(()));
        }
        let seen = backend.seen();
        assert_eq!(seen.len(), 9);
        assert!(seen.iter().all(|seen| !seen.head.contains("stolen") && seen.body.is_empty()), "{seen:?}");
        // Each had a connection of its own, and none is left.
        let numbers: std::collections::BTreeSet<_> = seen.iter().map(|seen| seen.connection).collect();
        assert_eq!(numbers.len(), 9);
        let have_ended = || (backend.open() + numbers.len() <= backend.connections()).then_some(());
        wait_for("none of them is left", have_ended);
        // What our own listener refuses ends as well.
        let own =
            admin.request("GET", CONFIG_MAPS).header("Connection", "Upgrade").header("Upgrade", "SPDY/3.1");
        assert_eq!(refused(&own).code, 200, "nobody has to heed it");
        assert_eq!(refused(&spdy(&server.anonymous(), "echo")).code, 403);
        assert_eq!(backend.seen().len(), 9);
    });
}

/// CVE-2018-1002102, CVE-2020-8559, CVE-2022-3172.
#[test]
fn a_redirect_of_an_upgrade_is_followed_by_nobody() {
    with_backend(|server, backend| {
        let canary = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        canary.set_nonblocking(true).unwrap();
        let location = format!("https://{}/", canary.local_addr().unwrap());
        let head = refused(&spdy(&server.admin(), "redirect").header("X-Canary", &location));
        assert_eq!((head.code, head.header("location")), (502, None));
        assert_eq!(backend.seen().len(), 1);
        assert_eq!(canary.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "somebody came");
    });
}

/// Another HTTP in a tunnel would carry requests whose identity nobody sets.
#[test]
fn no_tunnel_carries_http_or_tls() {
    with_backend(|server, backend| {
        let admin = server.admin();
        let ask = |protocol: &str| {
            let request = admin.request("GET", format!("/apis/{GROUP}/v1/namespaces/default/things/a/other"));
            let request = request.header("Connection", "Upgrade, HTTP2-Settings");
            refused(&request.header("HTTP2-Settings", "AAMAAABkAAQAAP__").header("Upgrade", protocol))
        };
        for protocol in ["h2c", "H2C", "HTTP/2.0", "TLS/1.3", "h2c, HTTP/2.0"] {
            // It is a plain request then, to which no 101 belongs.
            assert_eq!(ask(protocol).code, 502, "{protocol}");
        }
        wait_until("the backend has seen all", || match backend.seen().len() {
            5 => Ok(()),
            count => Err(count),
        });
        for seen in backend.seen() {
            let told = ["upgrade", "http2-settings"].map(|name| seen.header(name).len());
            assert_eq!((told, seen.body.len()), ([0, 0], 0), "{}", seen.head);
        }
    });
}

#[test]
fn what_cannot_be_a_tunnel_is_told_why() {
    with_backend(|server, backend| {
        let admin = server.admin();
        let with_body = spdy(&admin, "echo").body("text/plain", "body");
        with_body.send().refused(400, "BadRequest");
        let connect =
            admin.request("CONNECT", format!("/apis/{GROUP}/v1/namespaces/default/things")).try_send();
        assert!(connect.is_err() || connect.is_ok_and(|answer| answer.code >= 400));
        // Over HTTP/1.0 and without `Connection: Upgrade` it is a plain request.
        let plain = admin.request("GET", format!("/apis/{GROUP}/v1/namespaces/default/things/a/200"));
        plain.header("Upgrade", "SPDY/3.1").send().expect(200);
        assert_eq!(backend.seen().len(), 1);
        assert_eq!(backend.seen()[0].header("upgrade"), [""; 0]);
    });
}

#[test]
fn a_user_has_so_many_tunnels_and_gets_them_back() {
    with_backend(|server, _backend| {
        let admin = server.admin();
        let mut open: Vec<_> = (0..3).map(|_| spdy(&admin, "echo").open().unwrap()).collect();
        assert!(open.iter().all(|(head, _)| head.code == 101));
        spdy(&admin, "echo").send().refused(429, "TooManyRequests");
        open.pop();
        wait_for("there is a place again", || {
            (spdy(&admin, "echo").open().unwrap().0.code == 101).then_some(())
        });
    });
}

#[test]
fn a_stop_ends_tunnels_within_their_time() {
    with_backend(|mut server, backend| {
        let (_, mut connection) = spdy(&server.admin(), "echo").open().unwrap();
        assert_eq!(read(&mut connection, 6), "hello ");
        server.terminate();
        // It goes on for a little, and ends on both sides.
        connection.send(b"still").unwrap();
        assert_eq!(read(&mut connection, 5), "still");
        assert_eq!(connection.rest(), b"");
        assert_eq!(server.stop().code(), Some(0));
        wait_for("the backend's connection is closed", || (backend.seen().len() == 1).then_some(()));
    });
}
