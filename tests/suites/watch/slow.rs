//! A client that does not read: it is told so when it comes back, and nobody else notices.

use detectviz_tests::{Client, Server, Transport, Watch, editions, wait_until};
use serde_json::Value;

use crate::support::{CONFIG_MAPS, config_map, create, version};

/// Bytes of one object: enough of them fill every buffer on the way, and the window.
const BYTES: usize = 200_000;
const CHANGES: usize = 250;

fn server() -> Server {
    Server::builder(editions()[0]).config("[limits]\ncache_window_bytes = 1048576\n").start()
}

/// A value of the metrics page.
fn metric(admin: &Client, name: &str) -> u64 {
    let text = admin.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

const TERMINATED: &str = r#"apiserver_terminated_watchers_total{group="",resource="configmaps"}"#;
const RUNNING: &str = r#"apiserver_longrunning_requests{verb="WATCH",group="",version="v1",resource="configmaps",scope="namespace"}"#;

fn change(admin: &Client, object: &mut Value, number: usize) {
    object["data"]["value"] = format!("{number:06}{}", "x".repeat(BYTES)).into();
    *object = admin.update(format!("{CONFIG_MAPS}/one"), object).expect(200);
}

/// The versions that a watch shows, and the error that ends it.
fn read(watch: Watch) -> (Vec<u64>, Option<Value>) {
    let (mut versions, mut end) = (Vec::new(), None);
    for event in watch {
        match event["type"].as_str() {
            Some("ERROR") => end = Some(event["object"].clone()),
            _ => versions.push(version(&event["object"])),
        }
    }
    (versions, end)
}

#[test]
fn a_client_that_does_not_read_is_ended_cleanly_and_slows_nobody() {
    let server = server();
    let admin = server.admin();
    let mut object = create(&admin, CONFIG_MAPS, &config_map("one", "1"));
    let from = version(&object);
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}");
    for transport in [Transport::Http1, Transport::WebSocket, Transport::Http2] {
        let terminated = metric(&admin, TERMINATED);
        let path = path.replace(&from.to_string(), &version(&object).to_string());
        let slow = admin.small_buffer().watch_over(transport, &path);
        let fast = admin.watch_over(transport, &path);
        let fast =
            std::thread::spawn(move || fast.take(CHANGES).map(|event| version(&event["object"])).collect());
        let mut written = Vec::new();
        for number in 0..CHANGES {
            change(&admin, &mut object, number);
            written.push(version(&object));
        }
        let seen: Vec<u64> = fast.join().unwrap();
        assert_eq!(seen, written, "{transport:?}: who reads sees all");
        let (versions, end) = read(slow);
        let end = end.unwrap_or_else(|| panic!("{transport:?}: no error after {} events", versions.len()));
        assert_eq!((&end["code"], &end["reason"]), (&410.into(), &"Expired".into()), "{end}");
        let message = end["message"].as_str().unwrap();
        let last = versions.last().copied().unwrap_or(from);
        assert!(message.starts_with("too old resource version: ") && versions.len() < CHANGES, "{message}");
        assert_eq!(
            versions,
            written[..versions.len()],
            "what it did see was in order and complete to {last}"
        );
        assert_eq!(metric(&admin, TERMINATED), terminated + 1);
    }
    assert_eq!(metric(&admin, RUNNING), 0);
}

#[test]
fn a_version_before_the_window_is_expired() {
    let server = server();
    let admin = server.admin();
    let mut object = create(&admin, CONFIG_MAPS, &config_map("one", "1"));
    let from = version(&object);
    for number in 0..150 {
        change(&admin, &mut object, number);
    }
    for transport in Transport::ALL {
        let mut watch =
            admin.watch_over(transport, format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}"));
        let status = watch.expect("ERROR");
        assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &410.into()));
        let message = status["message"].as_str().unwrap();
        let oldest = message.strip_prefix(&format!("too old resource version: {from} (")).unwrap();
        let oldest: u64 = oldest.strip_suffix(')').unwrap().parse().unwrap();
        assert_eq!(watch.next(), None);
        let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={oldest}");
        let resumed: Vec<u64> =
            admin.watch_over(transport, path).take(100).map(|event| version(&event["object"])).collect();
        assert_eq!(
            resumed,
            (oldest + 1..=oldest + 100).collect::<Vec<_>>(),
            "100 are kept, whatever they weigh"
        );
    }
}

#[test]
fn a_client_that_vanishes_gives_its_place_back() {
    let config = "[limits]\nmax_watches_per_user = 3\n";
    let server = Server::builder(editions()[0]).config(config).start();
    let admin = server.admin();
    let path = format!("{CONFIG_MAPS}?watch=true");
    create(&admin, CONFIG_MAPS, &config_map("one", "1"));
    for _ in 0..3 {
        let mut watches = Transport::ALL.map(|transport| admin.watch_over(transport, &path));
        watches.iter_mut().for_each(|watch| drop(watch.expect("ADDED")));
        admin.get(&path).refused(429, "TooManyRequests");
        drop(watches);
        wait_until("all places are given back", || match metric(&admin, RUNNING) {
            0 => Ok(()),
            held => Err(held),
        });
    }
}
