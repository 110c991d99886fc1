//! Who the backend sees: the caller, once, whatever a client says about itself, in whatever way a request can say it
//! (CVE-2026-61682). What is looked at is what arrived on the wire.

use std::io;

use detectviz_tests::{Backend, Client, Http2, Reply, Seen, Server, Wire, enterprise, wait_until};

use super::behind;
use crate::auth::FORGERIES;

const GROUP: &str = "raw.example.com";
const THINGS: &str = "/apis/raw.example.com/v1/namespaces/default/things";
const GROUPS: [&str; 2] = ["system:masters", "system:authenticated"];
/// What else must not go further, or only we may say.
const OTHERS: [(&str, &str); 12] = [
    ("Authorization", "Bearer s3cret"),
    ("Cookie", "session=s3cret"),
    ("Forwarded", "for=127.0.0.1"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X_Forwarded_Host", "elsewhere"),
    ("X-Real-IP", "127.0.0.1"),
    ("Proxy-Authorization", "Basic eDp5"),
    ("Keep-Alive", "timeout=1"),
    ("TE", "gzip"),
    ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ("Detectviz-Hop", "elsewhere"),
    ("Traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
];

fn answer(seen: &mut Seen, wire: &mut Wire) -> io::Result<bool> {
    wire.read_body(seen)?;
    if seen.header("upgrade").is_empty() {
        wire.answer(200, "{}")?;
        return Ok(true);
    }
    wire.send("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")?;
    Ok(false)
}

fn with_backend(test: impl FnOnce(&Client, &Server, &Backend)) {
    enterprise(|builder| {
        let server = builder.config("[log]\nlevel = \"trace\"\n").start();
        let backend = Backend::start(GROUP, answer);
        let admin = server.admin();
        behind(&admin, &backend);
        test(&admin, &server, &backend);
        // CVE-2020-8564: no level of the log tells what was a secret.
        let told: Vec<_> = server.log().into_iter().filter(|line| line.contains("s3cret")).collect();
        assert!(told.is_empty(), "{told:#?}");
    });
}

/// The one request more that the backend has seen, and that it names the administrator once and nobody else.
fn seen_as_admin(backend: &Backend, count: &mut usize, what: &str) -> Seen {
    *count += 1;
    let seen = wait_until(what, || {
        let seen = backend.seen();
        if seen.len() == *count { Ok(seen) } else { Err(seen.len()) }
    });
    let seen = seen.into_iter().next_back().unwrap();
    let about_identity = |name: &String| {
        let name = name.replace('_', "-");
        ["x-remote-", "impersonate-", "x-forwarded-", "proxy-"].iter().any(|prefix| name.starts_with(prefix))
            || ["authorization", "cookie", "forwarded", "x-real-ip", "keep-alive"].contains(&&*name)
    };
    let mut names: Vec<String> = seen.names().into_iter().filter(about_identity).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-remote-group", "x-remote-group", "x-remote-user"], "{what}: {}", seen.head);
    assert_eq!(seen.header("x-remote-user"), ["admin"], "{what}: {}", seen.head);
    assert_eq!(seen.header("x-remote-group"), GROUPS, "{what}: {}", seen.head);
    assert_eq!(seen.header("host"), ["raw-example-com.default.svc"], "{what}");
    assert!(
        !seen.head.contains("s3cret") && seen.header("http2-settings").is_empty(),
        "{what}: {}",
        seen.head
    );
    assert!(!seen.trailers.iter().any(|line| line.to_lowercase().contains("remote")), "{what}: {seen:?}");
    seen
}

fn upgrade(client: &Client) -> detectviz_tests::Request<'_> {
    client
        .request("POST", format!("{THINGS}/a/x"))
        .header("Connection", "Upgrade")
        .header("Upgrade", "SPDY/3.1")
}

#[test]
fn every_spelling_over_http1_and_through_an_upgrade_says_nothing() {
    with_backend(|admin, _, backend| {
        let mut count = 0;
        for (name, value) in FORGERIES.iter().chain(&OTHERS) {
            let forging = admin.with(name, value).with(name, "another");
            forging.get(THINGS).expect(200);
            seen_as_admin(backend, &mut count, name);
            forging.with("Connection", &format!("keep-alive, {name}")).get(THINGS).expect(200);
            seen_as_admin(backend, &mut count, name);
            let (head, _connection) = upgrade(&forging).open().unwrap();
            assert_eq!(head.code, 101, "{name}: {head}");
            seen_as_admin(backend, &mut count, name);
        }
        let listed = "close, X-Remote-User, X-Remote-Group, Host, Detectviz-Hop";
        admin.with("Connection", listed).get(THINGS).expect(200);
        let seen = seen_as_admin(backend, &mut count, "what is set is listed");
        assert_eq!(seen.header("detectviz-hop").len(), 1);
        let (head, _connection) = upgrade(&admin.with("Connection", listed)).open().unwrap();
        assert_eq!(head.code, 101);
        seen_as_admin(backend, &mut count, "what is set is listed, with an upgrade");
    });
}

#[test]
fn every_spelling_over_http2_says_nothing() {
    with_backend(|admin, _, backend| {
        let (mut count, host) = (0, admin.host());
        let pseudo = [(":method", "POST"), (":scheme", "https"), (":path", THINGS), (":authority", &host)];
        for (name, value) in FORGERIES.iter().chain(&OTHERS) {
            let name = name.to_lowercase();
            let mut http2 = Http2::open(admin).unwrap();
            let fields: Vec<_> = pseudo.into_iter().chain([(&*name, *value), (&*name, "another")]).collect();
            let reply = http2.request(&fields, b"{}", &[]).unwrap();
            // What belongs to one connection makes the request no request.
            if ["keep-alive", "te"].contains(&&*name) {
                assert!(!matches!(reply, Reply::Answer { ok: true, .. }), "{name}: {reply:?}");
                continue;
            }
            assert!(matches!(reply, Reply::Answer { ok: true, .. }), "{name}: {reply:?}");
            seen_as_admin(backend, &mut count, &name);
            // As a trailer it is said behind everything that looks at headers.
            let mut http2 = Http2::open(admin).unwrap();
            let fields: Vec<_> =
                pseudo.into_iter().chain([("trailer", &*name), ("trailer", "sum")]).collect();
            let reply = http2.request(&fields, b"{}", &[(&name, value), ("sum", "1")]).unwrap();
            assert!(matches!(reply, Reply::Answer { ok: true, .. }), "{name}: {reply:?}");
            seen_as_admin(backend, &mut count, &name);
        }
    });
}

#[test]
fn a_trailer_says_nothing_about_its_sender() {
    with_backend(|admin, _, backend| {
        let mut count = 0;
        for (name, value) in FORGERIES.iter().chain(&OTHERS[..6]) {
            let text = format!(
                "POST {THINGS} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nTrailer: Sum, {name}\r\n\r\n\
                 2\r\n{{}}\r\n0\r\n{name}: {value}\r\nSum: 1\r\n\r\n",
                admin.host()
            );
            let mut connection = admin.connect().unwrap();
            connection.send(text.as_bytes()).unwrap();
            assert_eq!(connection.answer_code(), Some(200), "{name}");
            let seen = seen_as_admin(backend, &mut count, name);
            assert_eq!((seen.trailers, seen.body), (vec!["sum: 1".to_owned()], b"{}".to_vec()), "{name}");
            assert!(
                !seen.head.to_lowercase().contains(&format!(", {}", name.to_lowercase())),
                "{}",
                seen.head
            );
        }
    });
}

#[test]
fn a_folded_line_is_no_request() {
    with_backend(|admin, server, backend| {
        for folded in [
            "X: y\r\n X-Remote-User: root",
            "X-Remote-User:\r\n root",
            "X:\r\n\tX-Remote-Group: system:masters",
        ] {
            let text = format!("GET {THINGS} HTTP/1.1\r\nHost: {}\r\n{folded}\r\n\r\n", admin.host());
            let mut connection = admin.connect().unwrap();
            connection.send(text.as_bytes()).unwrap();
            assert_eq!(connection.answer_code(), Some(400), "{folded}");
        }
        // Nor does anything make somebody of nobody.
        for (name, value) in FORGERIES {
            server.anonymous().with(name, value).get(THINGS).refused(403, "Forbidden");
            assert_eq!(upgrade(&server.anonymous().with(name, value)).send().code, 403);
        }
        assert_eq!(backend.seen().len(), 0);
    });
}
