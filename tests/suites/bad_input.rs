//! Input that is wrong: each has a clear answer with the right code, nothing is lost, and the server goes on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use detectviz_tests::{Answer, Client, Running, Server, editions, every_edition, variants};
use serde_json::json;

use crate::support::{CONFIG_MAPS, config_map, create, names};

/// Ends with this exit code, saying all of these, and never that it is ready.
fn ends_with(mut process: Running, code: i32, says: &[&str]) {
    let ended = process.code();
    let errors = process.errors().join("\n");
    assert_eq!(ended, code, "{errors}");
    for text in says {
        assert!(errors.contains(text), "{text:?} is not in:\n{errors}");
    }
    assert_eq!(process.output(), Vec::<String>::new());
}

#[test]
fn all_mistakes_of_the_configuration_are_told_at_once() {
    every_edition(|edition| {
        let config = "secure_prot = 1\nstorage = \"floppy\"\n[feature_toggles]\nkubernetesAgregator = true\n";
        let server = Server::builder(edition).config(config).option("--bind-address", "everywhere");
        ends_with(
            server.spawn(),
            2,
            &[
                "4 mistakes in the configuration",
                "secure_prot (from ",
                "config.toml:1): unknown option; did you mean \"secure_port\"?",
                "config.toml:2): \"floppy\" is not allowed",
                "allowed: embedded, memory or etcd",
                "config.toml:4)",
                "kubernetesAggregator",
                "bind_address (from flag --bind-address): \"everywhere\" is not allowed",
            ],
        );
        assert!(!server.data_dir().exists(), "a mistake in the configuration leaves nothing behind");
        let broken = Server::builder(edition).config("storage = \n");
        ends_with(broken.spawn(), 2, &["config.toml", "not valid TOML"]);
        let flag = Server::builder(edition).option("--toggle", "kubernetesAggregator");
        ends_with(
            flag.spawn(),
            2,
            &["feature_toggles.kubernetesaggregator (from flag --toggle)", "true or false"],
        );
    });
}

#[test]
fn a_port_in_use_is_named() {
    every_edition(|edition| {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let server = Server::builder(edition).option("--secure-port", &port.to_string());
        ends_with(server.spawn(), 1, &[&format!("listen on 127.0.0.1:{port}"), "in use"]);
    });
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    every_edition(|edition| {
        let server = Server::builder(edition);
        // Below a file, nobody can make a folder, root included.
        std::fs::write(server.data_dir(), "a file").unwrap();
        ends_with(server.spawn(), 1, &["make the data folder", "--data-dir"]);
        let nested = Server::builder(edition);
        let file = nested.folder().join("file");
        std::fs::write(&file, "").unwrap();
        let below = nested.option("--data-dir", &file.join("data").to_string_lossy());
        ends_with(below.spawn(), 1, &["make the data folder"]);
    });
}

#[test]
fn a_data_folder_is_one_processes_and_of_one_format() {
    every_edition(|edition| {
        let mut server = Server::builder(edition).start();
        let setup = server.setup();
        ends_with(setup.spawn(), 1, &["another process uses this data folder"]);
        create(&server.admin(), CONFIG_MAPS, &config_map("one", "x"));
        server.stop();
        let format = setup.data_dir().join("format");
        let known = std::fs::read(&format).unwrap();
        std::fs::write(&format, "detectviz-data 999\n").unwrap();
        ends_with(setup.spawn(), 1, &["format \"detectviz-data 999\" is not known"]);
        std::fs::write(&format, known).unwrap();
        let again = setup.start();
        assert_eq!(names(&again.admin().get(CONFIG_MAPS).expect(200)), ["one"]);
    });
}

#[test]
fn an_unreadable_token_file_tells_lines_and_no_token() {
    let server = Server::builder(editions()[0]);
    let file = server.folder().join("tokens.csv");
    std::fs::write(&file, "geheim\nalso-geheim,\n").unwrap();
    let server = server.config(&format!("[auth]\ntoken_file = {file:?}\n"));
    let mut process = server.spawn();
    assert_eq!(process.code(), 1);
    let errors = process.errors().join("\n");
    assert!(errors.contains("line 1") && errors.contains("line 2") && !errors.contains("geheim"), "{errors}");
}

/// Sends a body to a collection and to an object.
fn bodies(admin: &Client, kind: &str, body: &[u8]) -> [Answer; 2] {
    [("POST", CONFIG_MAPS.to_owned()), ("PUT", format!("{CONFIG_MAPS}/kept"))]
        .map(|(method, path)| admin.request(method, path).body(kind, body).send())
}

#[test]
fn bad_requests_have_their_codes_and_lose_nothing() {
    variants(|server| {
        let admin = server.admin();
        let kept = create(&admin, CONFIG_MAPS, &config_map("kept", "x"));
        bad_bodies(&admin);
        bad_paths(&admin);
        bad_methods_and_types(&admin);
        assert_eq!(admin.get(format!("{CONFIG_MAPS}/kept")).expect(200), kept);
        assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), ["kept"]);
        assert_eq!(server.anonymous().get("/readyz").code, 200);
    });
}

fn bad_bodies(admin: &Client) {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["", "{", "nonsense", "[]", "null", "\"text\"", "{} {}", "{\"a\": 1e999999}", "\u{0}", &deep]
    {
        for answer in bodies(admin, "application/json", body.as_bytes()) {
            answer.refused(400, "BadRequest");
        }
    }
    for answer in bodies(admin, "application/json", b"{\"kind\": \"\xff\"}") {
        answer.refused(400, "BadRequest");
    }
    let large = config_map("kept", &"x".repeat(10 * 1024 * 1024)).to_string();
    for answer in bodies(admin, "application/json", large.as_bytes()) {
        answer.refused(413, "RequestEntityTooLarge");
    }
    for answer in bodies(admin, "application/vnd.kubernetes.protobuf", b"{}") {
        answer.refused(400, "BadRequest");
    }
    let patch = |kind: &str, body: &str| {
        admin.request("PATCH", format!("{CONFIG_MAPS}/kept")).body(kind, body).send()
    };
    patch("application/json-patch+json", "{}").refused(400, "BadRequest");
    patch("application/merge-patch+json", "[").refused(400, "BadRequest");
    patch("application/json-patch+json", r#"[{"op":"replace","path":"/kind","value":"Secret"}]"#)
        .refused(422, "Invalid");
    let absent = r#"[{"op":"remove","path":"/data/none"}]"#;
    patch("application/json-patch+json", absent).refused(422, "Invalid");
}

fn bad_paths(admin: &Client) {
    for path in [
        "//api/v1",
        "/api//v1",
        "/api/v1/namespaces/",
        "/version//",
        "/./api",
        "/api/v1/./namespaces",
        "/api/v1/../v1",
        "/api/v1/namespaces/%2e%2e/configmaps",
        "/api/v1/namespaces/default/configmaps/%2E",
        "/api/v1/namespaces/a%2Fb/configmaps",
        "/api/v1/namespaces/default/configmaps/kept%2f..",
        "/api/v1/namespaces/default/configmaps/kept%00",
        "/api/v1/%zz",
        "/api/v1/%ff",
        "/apis//v1/x",
        "/livez//ping",
        "/apis/g%2Fx/v1",
        "/apis/g/v1/namespaces/n/things/t/proxy/x%2F..%2Fy",
    ] {
        admin.get(path).refused(400, "BadRequest");
    }
    for path in [
        "/nothing",
        "/api/v1/namespaces/default/namespaces",
        "/api/v1/namespaces/default/namespaces/kube-system",
        "/api/v2",
        "/api/v1/nothing",
        "/apis/nothing.example.com/v1/things",
        "/api/v1/namespaces/default/configmaps/kept/nothing",
        "/api/v1/namespaces/default/configmaps/kept/status",
        "/api/v1/namespaces/default/configmaps/kept/a/b",
        // A namespaced resource without its namespace, and the other way round.
        "/api/v1/configmaps/kept",
        "/apis/apiregistration.k8s.io/v1/namespaces/default/apiservices",
        "/apis/apiregistration.k8s.io/v1/namespaces/default/apiservices/v1.",
    ] {
        admin.get(path).refused(404, "NotFound");
    }
    admin.create("/api/v1/configmaps", &config_map("lost", "x")).refused(404, "NotFound");
    admin.create("/api/v1/namespaces/none/configmaps", &config_map("lost", "x")).refused(404, "NotFound");
    let mut elsewhere = config_map("lost", "x");
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    admin.create(CONFIG_MAPS, &elsewhere).refused(400, "BadRequest");
}

fn bad_methods_and_types(admin: &Client) {
    let kept = format!("{CONFIG_MAPS}/kept");
    for (method, path) in [
        ("POST", kept.as_str()),
        ("PUT", CONFIG_MAPS),
        ("PATCH", CONFIG_MAPS),
        ("TRACE", CONFIG_MAPS),
        ("BREW", &kept),
        ("POST", "/version"),
        ("DELETE", "/api/v1"),
        ("PUT", "/livez"),
    ] {
        admin.request(method, path).body("application/json", "{}").send().refused(405, "MethodNotAllowed");
    }
    for kind in ["text/plain", "application/cbor", "application/x-www-form-urlencoded", "nonsense"] {
        for answer in bodies(admin, kind, config_map("kept", "y").to_string().as_bytes()) {
            answer.refused(415, "UnsupportedMediaType");
        }
    }
    admin.request("PATCH", &kept).body("application/json", "{}").send().refused(415, "UnsupportedMediaType");
    for accept in ["image/png", "text/html", "application/json;as=Nonsense;g=x;v=v1"] {
        admin.request("GET", &kept).header("Accept", accept).send().refused(406, "NotAcceptable");
    }
}

#[test]
fn bytes_that_are_no_request_end_one_connection_and_no_other() {
    variants(|server| {
        let admin = server.admin();
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true"));
        for bytes in [
            b"nonsense\r\n\r\n".as_slice(),
            b"GET /api/v1 HTTP/9.9\r\n\r\n",
            b"GET /version HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            b"GET /ver\0sion HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /version HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            &[0x16; 1000],
        ] {
            let mut connection = admin.connect().unwrap();
            // The server may close before it has read all.
            let _ = connection.send(bytes);
            let code = connection.answer_code();
            assert!(code.is_none_or(|code| (400..500).contains(&code)), "{bytes:?} gave {code:?}");
        }
        let huge = "x".repeat(200_000);
        let answer = admin.with("X-Huge", &huge).request("GET", "/version").try_send();
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.code == 431));
        create(&admin, CONFIG_MAPS, &config_map("one", "x"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "one");
    });
}

/// A patch whose operations nest a document into itself, and a body that is nested as deep as a parser allows: either
/// would end the process, or leave an object that nobody can read any more.
#[test]
fn nothing_is_nested_without_end() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("kept", "x"));
        let copies = (0..19).map(|power| {
            let path = format!("/x{}", "/a".repeat(1 << power));
            json!({"op": "copy", "from": "/x", "path": path})
        });
        let operations: Vec<_> =
            [json!({"op": "add", "path": "/x", "value": {}})].into_iter().chain(copies).collect();
        let patch = admin.request("PATCH", format!("{CONFIG_MAPS}/kept"));
        let body = serde_json::to_vec(&operations).unwrap();
        patch.body("application/json-patch+json", body).send().refused(413, "RequestEntityTooLarge");

        let deep = (0..110).fold(json!("end"), |inner, _| json!({"a": inner}));
        let source = json!({
            "apiVersion": "datasource.detectviz.io/v0alpha1", "kind": "DataSource",
            "metadata": {"name": "deep"}, "spec": {"type": "x", "jsonData": deep},
        });
        let sources = "/apis/datasource.detectviz.io/v0alpha1/namespaces/default/datasources";
        admin.create(sources, &source).refused(400, "BadRequest");
        for (open, close) in [("[", "]"), ("{a: ", " }")] {
            let body = chained_anchors(open, close);
            for answer in bodies(&admin, "application/yaml", body.as_bytes()) {
                answer.refused(400, "BadRequest");
            }
        }
        assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), ["kept"]);
    });
}

/// YAML of 10 KB whose aliases, each a hundred levels deeper than the one before it, stand for 4,800 levels.
fn chained_anchors(open: &str, close: &str) -> String {
    let nested = |inner: &str| open.repeat(120) + inner + &close.repeat(120);
    let links = (1..40).map(|n| format!("- &l{n} {}\n", nested(&format!("*l{}", n - 1))));
    format!("x:\n- &l0 {}\n", nested("x")) + &links.collect::<String>()
}

#[test]
fn plain_http_is_answered_in_its_own_words() {
    variants(|server| {
        let mut plain = TcpStream::connect(server.url().trim_start_matches("https://")).unwrap();
        plain.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        plain.take(1000).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 400 ") && answer.contains("HTTPS server"), "{answer}");
        assert_eq!(server.anonymous().get("/readyz").code, 200);
    });
}
