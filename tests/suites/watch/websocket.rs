//! Watches over WebSocket: the same request, the same checks, the same events, a message each.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use detectviz_tests::{Message, Server, WebSocket, editions, wait_until};
use serde_json::Value;

use crate::support::{CONFIG_MAPS, config_map, create, names};

fn server() -> Server {
    Server::builder(editions()[0]).start()
}

fn watch() -> String {
    format!("{CONFIG_MAPS}?watch=true")
}

#[test]
fn a_subprotocol_says_what_messages_are() {
    let server = server();
    let admin = server.admin();
    let one = create(&admin, CONFIG_MAPS, &config_map("one", "1"));
    for (offered, chosen) in [
        (None, None),
        (Some("binary.k8s.io"), Some("binary.k8s.io")),
        (Some("other, base64.binary.k8s.io"), Some("base64.binary.k8s.io")),
        (Some("single"), Some("single")),
        (Some("neither, nor"), None),
    ] {
        let request = admin.request("GET", watch());
        let request = match offered {
            Some(offered) => request.header("Sec-WebSocket-Protocol", offered),
            None => request,
        };
        let mut socket = WebSocket::open(&request).unwrap();
        assert_eq!(socket.protocol.as_deref(), chosen);
        let bytes = match (chosen, socket.message().unwrap()) {
            (Some("binary.k8s.io"), Message::Binary(bytes)) => bytes.to_vec(),
            (Some("base64.binary.k8s.io"), Message::Text(text)) => STANDARD.decode(text.as_str()).unwrap(),
            (None | Some("single"), Message::Text(text)) => text.as_str().as_bytes().to_vec(),
            (_, other) => panic!("{offered:?}: {other:?}"),
        };
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&event["type"], &event["object"]), (&"ADDED".into(), &one));
    }
}

#[test]
fn a_refused_handshake_is_a_plain_status() {
    let server = server();
    let admin = server.admin();
    let request = || admin.request("GET", watch()).websocket();
    server.anonymous().request("GET", watch()).websocket().send().refused(403, "Forbidden");
    request().header("Origin", "https://evil.example").send().refused(403, "Forbidden");
    let plain = admin.request("GET", watch()).header("Connection", "Upgrade").header("Upgrade", "websocket");
    plain.clone().send().refused(400, "BadRequest");
    let old = plain.clone().header("Sec-WebSocket-Version", "8").header("Sec-WebSocket-Key", "x");
    old.send().refused(400, "BadRequest");
    plain
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "x")
        .send()
        .refused(400, "BadRequest");
    // On anything else it is ignored, as upstream does.
    let list = admin.request("GET", CONFIG_MAPS).websocket().send().expect(200);
    assert_eq!(list["kind"], "ConfigMapList");
}

#[test]
fn a_page_of_this_server_and_a_token_among_the_subprotocols_are_let_in() {
    let builder = Server::builder(editions()[0]);
    let tokens = builder.folder().join("tokens.csv");
    std::fs::write(&tokens, "secret,someone,1,\"system:masters\"\n").unwrap();
    let server = builder.config(&format!("[auth]\ntoken_file = {:?}\n", tokens.to_string_lossy())).start();
    create(&server.admin(), CONFIG_MAPS, &config_map("one", "1"));
    let host = server.url().trim_start_matches("https://").to_owned();
    let admin = server.admin();
    let same = admin.request("GET", watch()).header("Origin", &format!("https://{host}"));
    assert!(WebSocket::open(&same).unwrap().message().unwrap().is_text());

    let token = format!("base64url.bearer.authorization.k8s.io.{}", URL_SAFE_NO_PAD.encode("secret"));
    let nobody = server.anonymous();
    let request =
        |protocols: &str| nobody.request("GET", watch()).header("Sec-WebSocket-Protocol", protocols);
    let mut socket = WebSocket::open(&request(&format!("{token}, binary.k8s.io"))).unwrap();
    assert_eq!(socket.protocol.as_deref(), Some("binary.k8s.io"), "the token is never said back");
    assert!(socket.message().unwrap().is_binary());
    request(&token).websocket().send().refused(403, "Forbidden");
    let wrong = token.replace(&URL_SAFE_NO_PAD.encode("secret"), &URL_SAFE_NO_PAD.encode("wrong"));
    request(&format!("{wrong}, binary.k8s.io")).websocket().send().refused(401, "Unauthorized");
}

#[test]
fn what_the_client_says_is_ignored_and_bounded() {
    let server = server();
    let admin = server.admin();
    let mut socket = WebSocket::open(&admin.request("GET", watch())).unwrap();
    socket.send(Message::Text("hello".into())).unwrap();
    socket.send(Message::Ping("are you there".into())).unwrap();
    create(&admin, CONFIG_MAPS, &config_map("one", "1"));
    assert!(socket.message().unwrap().is_text(), "it goes on");
    socket.send(Message::Binary(vec![0; 1 << 20].into())).ok();
    assert!(socket.closed().is_err(), "too much ends it");
    let mut socket = WebSocket::open(&admin.request("GET", watch())).unwrap();
    assert!(socket.message().unwrap().is_text());
    socket.send(Message::Close(None)).unwrap();
    assert!(socket.closed().is_ok());
    assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), ["one"]);
}

#[test]
fn an_end_is_said_with_a_close() {
    let mut server = server();
    let admin = server.admin();
    create(&admin, CONFIG_MAPS, &config_map("one", "1"));
    let timed = admin.request("GET", format!("{}&timeoutSeconds=1", watch()));
    let mut timed = WebSocket::open(&timed).unwrap();
    assert_eq!(u16::from(timed.closed().unwrap().unwrap().code), 1000);
    let mut open = WebSocket::open(&admin.request("GET", watch())).unwrap();
    assert!(open.message().unwrap().is_text());
    server.terminate();
    assert_eq!(u16::from(open.closed().unwrap().unwrap().code), 1001, "the server goes away");
    drop(open);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_websocket_counts_among_connections_and_watches() {
    let config = "[limits]\nmax_connections = 3\nmax_watches_per_user = 1\n";
    let server = Server::builder(editions()[0]).config(config).start();
    let admin = server.admin();
    create(&admin, CONFIG_MAPS, &config_map("one", "1"));
    let mut socket = WebSocket::open(&admin.request("GET", watch())).unwrap();
    assert!(socket.message().unwrap().is_text());
    admin.request("GET", watch()).websocket().send().refused(429, "TooManyRequests");
    let mut metrics = admin.get("/metrics").text();
    let running = r#"apiserver_longrunning_requests{verb="WATCH",group="",version="v1",resource="configmaps",scope="namespace"} "#;
    assert!(metrics.contains(&format!("{running}1")), "{metrics}");
    drop(socket);
    wait_until("the place is given back", || {
        metrics = admin.get("/metrics").text();
        if metrics.contains(&format!("{running}0")) { Ok(()) } else { Err("it is held") }
    });
    assert!(WebSocket::open(&admin.request("GET", watch())).unwrap().message().unwrap().is_text());
}
