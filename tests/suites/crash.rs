//! What was acknowledged is there, whatever happens to the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use detectviz_tests::{Client, Server, editions, every_edition, wait_for};
use serde_json::Value;

use crate::support::{CONFIG_MAPS, config_map, create, names, version};

/// Objects in one round, and the connections over which they come.
const CREATES: usize = 1000;
const CONNECTIONS: usize = 25;
/// After how many acknowledgements the server is killed, a different moment each round.
const ROUNDS: [usize; 3] = [40, 350, 700];

/// What was acknowledged: the version, by name.
#[derive(Default)]
struct Acknowledged(Mutex<BTreeMap<String, u64>>);

impl Acknowledged {
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Creates objects on one connection until the server is gone.
fn create_until_gone(client: &Client, round: usize, next: &AtomicUsize, acknowledged: &Acknowledged) {
    let mut connection = client.connect().ok();
    while let Some(open) = connection.take() {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= CREATES {
            return;
        }
        let name = format!("r{round}-{number}");
        let request = client.request("POST", CONFIG_MAPS).json(&config_map(&name, &name));
        let Ok((answer, kept)) = request.send_on(open) else { return };
        let object = answer.expect(201);
        acknowledged.0.lock().unwrap().insert(name, version(&object));
        connection = kept;
    }
}

/// Kills the server in the middle of many creates; gives what it had acknowledged, and how many were sent at most.
fn killed_under_load(server: &mut Server, round: usize, after: usize) -> (BTreeMap<String, u64>, usize) {
    let (acknowledged, next) = (Acknowledged::default(), AtomicUsize::new(0));
    let admin = server.admin();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| create_until_gone(&admin, round, &next, &acknowledged));
        }
        wait_for("enough creates are acknowledged", || (acknowledged.len() >= after).then_some(()));
        server.kill();
    });
    let acknowledged = acknowledged.0.into_inner().unwrap();
    assert!(acknowledged.len() < CREATES, "the server was killed after the load, not under it");
    (acknowledged, next.into_inner())
}

/// Checks that what was acknowledged is in `list`, once and as it was, with nothing that nobody sent; gives all of it.
fn accounted_for(
    list: &Value,
    acknowledged: &BTreeMap<String, u64>,
    sent: &BTreeSet<String>,
) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for item in list["items"].as_array().unwrap() {
        let name = item["metadata"]["name"].as_str().unwrap().to_owned();
        assert_eq!(item["data"]["value"], name, "an object is not as it was sent");
        assert!(
            acknowledged.contains_key(&name) || sent.contains(&name),
            "nobody sent {name} since the last round"
        );
        assert_eq!(found.insert(name, version(item)), None, "an object is there twice");
    }
    for (name, version) in acknowledged {
        assert_eq!(found.get(name), Some(version), "{name} was acknowledged");
    }
    found
}

#[test]
fn kill_9_under_load_loses_no_acknowledged_object() {
    let mut server = Server::builder(editions()[0]).start();
    let mut known = BTreeMap::new();
    for (round, after) in ROUNDS.into_iter().enumerate() {
        let (mut acknowledged, sent) = killed_under_load(&mut server, round, after);
        known.append(&mut acknowledged);
        server = server.setup().start();
        let list = server.admin().get(CONFIG_MAPS).expect(200);
        let sent = (0..sent).map(|number| format!("r{round}-{number}")).collect();
        // One under way when the server died may be there, and is from then on.
        known = accounted_for(&list, &known, &sent);
        let newest = *known.values().max().unwrap();
        let name = format!("after-{round}");
        let next = version(&create(&server.admin(), CONFIG_MAPS, &config_map(&name, &name)));
        assert!(newest <= version(&list) && newest < next, "the revision went back");
        known.insert(name, next);
    }
}

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
