//! What was acknowledged is there, whatever happens to the process.

mod kill;

use detectviz_tests::{Server, editions, every_edition};

use crate::support::{CONFIG_MAPS, config_map, create, names};

#[test]
fn sigterm_ends_watches_cleanly_and_the_process_with_0() {
    every_edition(|edition| {
        let mut server = Server::builder(edition).runners().start();
        let admin = server.admin();
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true"));
        create(&admin, CONFIG_MAPS, &config_map("one", "x"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "one");
        server.terminate();
        assert_eq!(watch.next(), None);
        assert_eq!(server.stop().code(), Some(0));
        server.await_log("stopped");
        let again = server.setup().start();
        assert_eq!(names(&again.admin().get(CONFIG_MAPS).expect(200)), ["one"]);
    });
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut server = Server::builder(editions()[0]).start();
    let admin = server.admin();
    let (_, idle) = admin.request("GET", "/version").send_on(admin.connect().unwrap()).unwrap();
    assert!(idle.is_some(), "the connection is kept");
    // A client that never says anything.
    let _silent = std::net::TcpStream::connect(server.url().trim_start_matches("https://")).unwrap();
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_restart_keeps_keys_and_certificates() {
    let mut first = Server::builder(editions()[0]).start();
    let read = |server: &Server| {
        ["serving-ca.crt", "client-ca.crt", "front-proxy-ca.crt", "admin.crt", "serving.crt"]
            .map(|name| std::fs::read_to_string(server.pki(name)).unwrap())
    };
    let before = read(&first);
    first.stop();
    assert_eq!(read(&first.setup().start()), before);
}
