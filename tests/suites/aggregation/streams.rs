//! Bodies in both directions at once, what stands behind them, and their end when nobody listens any more.

use std::io::{self, Read as _};

use detectviz_tests::{Backend, Connection, Http2, Reply, Seen, Server, Wire, enterprise, wait_for};

use super::behind;

const GROUP: &str = "raw.example.com";
const ROOT: &str = "/apis/raw.example.com/v1/namespaces/default/things";

fn answer(seen: &mut Seen, wire: &mut Wire) -> io::Result<bool> {
    wire.bounded()?;
    match seen.path().rsplit('/').next().unwrap_or_default() {
        // Each chunk is answered before the next one comes.
        "echo" => {
            wire.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum, Set-Cookie, X-Remote-User\r\n\
                 Warning: 299 - \"old\"\r\n\r\n",
            )?;
            while let Some(chunk) = wire.chunk(seen)? {
                let text = String::from_utf8_lossy(&chunk).into_owned();
                wire.send(&format!("{:x}\r\n{text}\r\n", text.len()))?;
            }
            wire.send("0\r\nSum: 2\r\nSet-Cookie: a=1\r\nX-Remote-User: root\r\n\r\n")?;
        }
        "welcome" => {
            wire.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            wire.read_body(seen)?;
            wire.answer(200, "{}")?;
        }
        "unwelcome" => {
            wire.send("HTTP/1.1 413 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")?;
            // Whatever comes all the same.
            let _ = wire.read_to_end(&mut seen.body);
            return Ok(false);
        }
        "mute" => {
            wire.read_body(seen)?;
            wire.answer(200, "{}")?;
        }
        // No answer; the end of the connection is the end of the request.
        _ => {
            let ended = wire.read_to_end(&mut seen.body);
            seen.trailers.push(format!("ended: {}", ended.is_ok() || seen.body.is_empty()));
            return Ok(false);
        }
    }
    Ok(true)
}

fn with_backend(test: impl FnOnce(Server, Backend)) {
    enterprise(|builder| {
        let server = builder.start();
        let backend = Backend::start(GROUP, answer);
        behind(&server.admin(), &backend);
        test(server, backend);
    });
}

/// Sends the head of a POST and leaves the rest to the test.
fn post(server: &Server, last: &str, fields: &str) -> Connection {
    let admin = server.admin();
    let text = format!("POST {ROOT}/a/{last} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", admin.host());
    let mut connection = admin.connect().unwrap();
    connection.send(text.as_bytes()).unwrap();
    connection
}

#[test]
fn bodies_go_both_ways_at_once_and_harmless_trailers_follow_them() {
    with_backend(|server, backend| {
        let fields = "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: Count, X-Remote-User\r\n";
        let mut connection = post(&server, "echo", fields);
        let mut trailers = Vec::new();
        for text in ["one", "two", "three"] {
            connection.send(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).unwrap();
            if text == "one" {
                assert_eq!(connection.answer_code(), Some(200));
            }
            assert_eq!(connection.chunk(&mut trailers).unwrap().unwrap(), text.as_bytes());
        }
        connection.send(b"0\r\nCount: 3\r\nX-Remote-User: root\r\n\r\n").unwrap();
        assert_eq!(connection.chunk(&mut trailers).unwrap(), None);
        assert_eq!(trailers, ["sum: 2"]);
        wait_for("the backend has seen it all", || (backend.seen().len() == 1).then_some(()));
        let seen = &backend.seen()[0];
        assert_eq!((&*seen.body, &*seen.trailers), (&b"onetwothree"[..], &["count: 3".to_owned()][..]));
        assert_eq!(seen.header("te"), ["trailers"]);
    });
}

#[test]
fn a_body_is_not_asked_for_before_the_backend_wants_it() {
    with_backend(|server, backend| {
        let fields = "Expect: 100-continue\r\nContent-Length: 5\r\n";
        for (last, count) in [("welcome", 1), ("mute", 2)] {
            let mut connection = post(&server, last, fields);
            assert_eq!(connection.answer_code(), Some(100), "{last}");
            connection.send(b"hello").unwrap();
            assert_eq!(connection.answer_code(), Some(200), "{last}");
            wait_for("the backend has seen it", || (backend.seen().len() == count).then_some(()));
            assert_eq!(backend.seen()[count - 1].body, b"hello", "{last}");
        }
        let mut connection = post(&server, "unwelcome", fields);
        assert_eq!(connection.answer_code(), Some(413));
        connection.rest();
        wait_for("the backend has seen it", || (backend.seen().len() == 3).then_some(()));
        assert_eq!(backend.seen()[2].body, b"");
        // Who is refused here is not asked for a body either.
        let nobody = server.anonymous();
        let text = format!("POST {ROOT} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", nobody.host());
        let mut connection = nobody.connect().unwrap();
        connection.send(text.as_bytes()).unwrap();
        assert_eq!(connection.answer_code(), Some(403));
    });
}

#[test]
fn a_client_that_goes_takes_its_request_with_it() {
    with_backend(|server, backend| {
        let admin = server.admin();
        let watch = || {
            let mut connection = admin.connect().unwrap();
            let text = format!("GET {ROOT}?watch=true HTTP/1.1\r\nHost: {}\r\n\r\n", admin.host());
            connection.send(text.as_bytes()).unwrap();
            connection
        };
        for (count, connection) in [(1, post(&server, "hang", "Content-Length: 0\r\n")), (2, watch())] {
            wait_for("the backend is asked", || (backend.asked() >= count).then_some(()));
            drop(connection);
        }
        wait_for("the backend's connections end", || (backend.seen().len() == 2).then_some(()));
    });
}

#[test]
fn http2_reaches_a_backend_that_speaks_http1() {
    with_backend(|server, backend| {
        let admin = server.admin();
        let (host, path) = (admin.host(), format!("{ROOT}/a/mute"));
        let fields = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", &*path),
            (":authority", &*host),
            ("trailer", "sum"),
        ];
        let mut http2 = Http2::open(&admin).unwrap();
        for count in 1..=3 {
            let reply = http2.request(&fields, b"hello", &[("sum", "1"), ("x-remote-user", "root")]).unwrap();
            assert_eq!(reply, Reply::Answer { ok: true, body: b"{}".to_vec() });
            let seen = &backend.seen()[count - 1];
            assert_eq!((&*seen.body, &*seen.trailers), (&b"hello"[..], &["sum: 1".to_owned()][..]));
        }
    });
}
