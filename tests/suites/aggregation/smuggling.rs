//! Requests whose end two readers could see at different places: the backend sees exactly the one that this server read,
//! framed anew, or none at all.

use std::collections::BTreeSet;
use std::io;

use detectviz_tests::{
    Backend, Client, Http2, Random, Reply, Seen, Server, Wire, enterprise, seed, wait_until,
};

use super::behind;

const GROUP: &str = "raw.example.com";
const THINGS: &str = "/apis/raw.example.com/v1/namespaces/default/things";

fn with_backend(test: impl FnOnce(Server, Backend)) {
    enterprise(|builder| {
        let server = builder.start();
        let backend = Backend::start(GROUP, answer);
        behind(&server.admin(), &backend);
        test(server, backend);
    });
}

fn answer(seen: &mut Seen, wire: &mut Wire) -> io::Result<bool> {
    wire.read_body(seen)?;
    wire.answer(200, "{}")?;
    Ok(true)
}

/// What is hidden in each of them. It would be forwarded if it came by itself, so that its absence shows something.
fn hidden() -> String {
    format!("GET {THINGS}/stolen HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

/// The heads' middles and what follows them, with `HIDDEN` where the hidden request stands. Each is answered or cut.
const AMBIGUOUS: &[(&str, &str)] = &[
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\nHIDDEN"),
    ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("X: y\0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
    ("Content-Length: 5\r\nContent-Length: 0\r\n", "HIDDEN"),
    ("Content-Length: 0\r\nContent-Length: 5\r\n", "HIDDEN"),
    ("Content-Length: 0, 5\r\n", "HIDDEN"),
    ("Content-Length: +0\r\n", "HIDDEN"),
    ("Content-Length: -1\r\n", "HIDDEN"),
    ("Content-Length: 0x0\r\n", "HIDDEN"),
    ("Content-Length: 0 0\r\n", "HIDDEN"),
    ("Content-Length: 18446744073709551616\r\n", "HIDDEN"),
    ("Content-Length : 0\r\n", "HIDDEN"),
    ("Content-Length:\r\n 0\r\n", "HIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "0x0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "+0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "-1\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "3\r\nhello\r\n0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "5;a=\"\r\nhello\r\n0;b\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "5;a\nhello\r\n0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "5\nhello\n0\n\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "5\rXhello\r\n0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "ffffffffffffffff5\r\nhello\r\n0\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 5\r\nX-Remote-User: root\r\n\r\nHIDDEN"),
    ("Transfer-Encoding: chunked\r\n", "0\r\nX: y\nHIDDEN"),
    ("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN"),
];

/// The request of that number, with what is hidden behind it.
fn raw(client: &Client, case: usize, middle: &str, behind: &str) -> Vec<u8> {
    let host = client.host();
    let text = format!("POST {THINGS} HTTP/1.1\r\nHost: {host}\r\nX-Case: {case}\r\n{middle}\r\n{behind}");
    text.replace("HIDDEN", &hidden()).into_bytes()
}

/// Sends it and waits until the server has closed the connection; gives its answers.
fn send(client: &Client, bytes: &[u8]) -> String {
    let mut connection = client.connect().unwrap();
    // A cut may come while it is sent.
    let _ = connection.send(bytes);
    String::from_utf8_lossy(&connection.rest()).into_owned()
}

/// Checks all that the backend has seen: of each case at most one request, of one framing, and nothing that was hidden.
fn check(backend: &Backend, cases: &[String]) {
    wait_until("the backend is done", || {
        let (asked, seen) = (backend.asked(), backend.seen().len());
        if asked == seen { Ok(()) } else { Err(format!("{asked} asked, {seen} seen")) }
    });
    let mut found = BTreeSet::new();
    for seen in backend.seen() {
        let case = seen.header("x-case");
        let number = case.first().and_then(|case| case.parse::<usize>().ok());
        let what = number.and_then(|number| cases.get(number)).unwrap_or_else(|| panic!("{seen:#?}"));
        assert!(case.len() == 1 && found.insert(number), "{what:?} came twice: {seen:#?}");
        assert_eq!(seen.path(), THINGS, "{what:?}");
        let framings = seen.header("content-length").len() + seen.header("transfer-encoding").len();
        assert!(framings <= 1, "{what:?}: {}", seen.head);
        assert_eq!(seen.header("x-remote-user"), ["admin"], "{what:?}");
        assert!(!String::from_utf8_lossy(&seen.body).contains("stolen"), "{what:?}: {seen:#?}");
        assert!(
            !seen.trailers.iter().any(|line| line.to_lowercase().contains("remote")),
            "{what:?}: {seen:#?}"
        );
    }
}

#[test]
fn an_ambiguous_request_is_one_or_none() {
    with_backend(|server, backend| {
        let admin = server.admin();
        let mut cases = Vec::new();
        for (middle, behind) in AMBIGUOUS {
            let answers = send(&admin, &raw(&admin, cases.len(), middle, behind));
            let what = format!("{middle}|{behind}|{answers}");
            assert!(
                answers.matches("HTTP/1.1 ").count() <= 1 || answers.starts_with("HTTP/1.1 100"),
                "{what:?}"
            );
            cases.push(what);
        }
        check(&backend, &cases);
        // The way of hiding is right: what is not hidden arrives.
        let count = backend.seen().len();
        let plain = raw(&admin, 0, "Content-Length: 0\r\n", "HIDDEN");
        assert_eq!(send(&admin, &plain).matches("HTTP/1.1 200").count(), 2);
        wait_until("the backend has seen both", || match backend.seen().len() - count {
            2 => Ok(()),
            more => Err(more),
        });
    });
}

/// Any mixture of the same pieces.
#[test]
fn no_mixture_of_framings_hides_a_request() {
    let heads = [
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 5\n",
        "content-length:5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "transfer-encoding:\tchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "X: y\r\n ",
        "X: y\r",
        "Connection: Transfer-Encoding\r\n",
        "Connection: Content-Length\r\n",
        "Trailer: Content-Length\r\n",
    ];
    let bodies =
        ["hello", "0\r\n\r\n", "5\r\nhello\r\n", "5;x\nhello\r\n", "0\n\n", "\r\n", "00\r\nX: y\r\n\r\n"];
    with_backend(|server, backend| {
        let admin = server.admin();
        let mut random = Random::new(seed());
        let mut cases = Vec::new();
        for case in 0..300 {
            let mut pick = |from: &[&str], most: usize| -> String {
                (0..random.below(most)).map(|_| *random.pick(from)).collect()
            };
            // It ends with this request in every reading, so that what is hidden can only be a mistake.
            let middle = format!("Connection: close\r\n{}", pick(&heads, 5));
            let body = pick(&bodies, 4) + "HIDDEN";
            let bytes = raw(&admin, case, &middle, &body);
            let mut connection = admin.connect().unwrap();
            let _ = connection.send(&bytes).and_then(|()| connection.finish());
            let answers = String::from_utf8_lossy(&connection.rest()).into_owned();
            cases.push(format!("{middle}|{body}|{answers}"));
        }
        check(&backend, &cases);
    });
}

const PSEUDO: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "https"), (":path", THINGS)];

/// The pseudo headers with `more` behind them.
fn fields<'a>(authority: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    PSEUDO.iter().chain(&[(":authority", authority)]).chain(more).copied().collect()
}

#[test]
fn http2_carries_nothing_that_http1_could_misread() {
    with_backend(|server, backend| {
        let admin = server.admin();
        let host = admin.host();
        let send = |fields: &[(&str, &str)], body: &[u8]| {
            Http2::open(&admin).unwrap().request(fields, body, &[]).unwrap()
        };
        assert_eq!(send(&fields(&host, &[]), b""), Reply::Answer { ok: true, body: b"{}".to_vec() });
        wait_until("the backend is done", || if backend.seen().len() == 1 { Ok(()) } else { Err("nothing") });
        let count = 1;
        let refused: [&[(&str, &str)]; 13] = [
            &[("connection", "close")],
            &[("transfer-encoding", "chunked")],
            &[("upgrade", "websocket")],
            &[("keep-alive", "1")],
            &[("proxy-connection", "close")],
            &[("te", "gzip")],
            &[("X-Remote-User", "root")],
            &[("x: y\r\nx-remote-user", "root")],
            &[("x", "y\r\nx-remote-user: root")],
            &[("x", "y\0")],
            &[(":path", "/apis/raw.example.com/v1/stolen")],
            &[("content-length", "5"), ("content-length", "6")],
            &[("host", "other.example")],
        ];
        admin.with("Host", "other.example").get(THINGS).refused(400, "BadRequest");
        for more in refused {
            let reply = send(&fields(&host, more), b"");
            assert!(!matches!(reply, Reply::Answer { ok: true, .. }), "{more:?}: {reply:?}");
            assert_eq!(backend.asked(), count, "{more:?}");
        }
        for path in
            [format!("{THINGS} HTTP/1.1\r\nX-Remote-User: root\r\n\r\nGET /stolen"), "stolen".to_owned()]
        {
            let bad = [(":method", "GET"), (":scheme", "https"), (":path", &*path), (":authority", &*host)];
            let reply = send(&bad, b"");
            assert!(!matches!(reply, Reply::Answer { ok: true, .. }), "{path}: {reply:?}");
            assert_eq!(backend.asked(), count, "{path}");
        }
        // A body of another length than was said is none; the backend may have its beginning, and nothing behind it.
        let short = fields(&host, &[("content-length", "4")]);
        let reply = send(&short, hidden().as_bytes());
        assert!(!matches!(reply, Reply::Answer { ok: true, .. }), "{reply:?}");
        let seen = backend.seen();
        assert!(seen.iter().all(|seen| seen.path() == THINGS), "{seen:#?}");
    });
}
