//! Several servers over one etcd, which comes and goes.

mod load;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use detectviz_tests::{
    Authority, Builder, Client, Etcd, EtcdLine, EtcdTls, Server, Watch, command, editions, wait_for,
    wait_until,
};
use serde_json::Value;

use crate::support::{CONFIG_MAPS, config_map, create, names, version};

/// What the log says while etcd is away: of the store, of a controller that writes, and of who led the controllers.
const AWAY: [&str; 4] = [
    "etcd does not answer",
    "cache feed is broken, retrying",
    "keep local APIService again",
    "no longer leads the controllers",
];

/// A server on this etcd, which may be away for a while.
fn on(etcd: &Etcd) -> Builder {
    let builder = Server::builder(editions()[0]).on_etcd(etcd);
    AWAY.into_iter().fold(builder, |builder, text| builder.allow_log(text))
}

/// Two servers that share an etcd and their certificates.
fn pair(etcd: &Etcd) -> [Server; 2] {
    let first = on(etcd).start();
    let second = on(etcd).pki_of(&first).start();
    [first, second]
}

/// The same user on both.
fn clients(servers: &[Server; 2]) -> [Client; 2] {
    [servers[0].admin(), servers[1].admin()]
}

#[test]
fn what_one_server_wrote_the_other_reads_at_once() {
    for line in [EtcdLine::Current, EtcdLine::Installed] {
        let etcd = Etcd::start(line);
        let servers = pair(&etcd);
        let [a, b] = clients(&servers);
        for number in 0..50 {
            let name = format!("n{number}");
            let (writer, reader) = if number % 2 == 0 { (&a, &b) } else { (&b, &a) };
            let created = create(writer, CONFIG_MAPS, &config_map(&name, "x"));
            let path = format!("{CONFIG_MAPS}/{name}");
            assert_eq!(reader.get(&path).expect(200), created);
            let list = reader.get(CONFIG_MAPS).expect(200);
            assert_eq!(names(&list).len(), number + 1);
            assert!(version(&list) >= version(&created));
        }
    }
}

#[test]
fn a_watch_goes_on_at_the_other_server() {
    let etcd = Etcd::start(EtcdLine::Current);
    let mut servers = pair(&etcd);
    let [a, b] = clients(&servers);
    let start = version(&a.get(CONFIG_MAPS).expect(200));
    let mut watch = a.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={start}"));
    create(&b, CONFIG_MAPS, &config_map("one", "x"));
    let seen = watch.expect("ADDED");
    assert_eq!(seen["metadata"]["name"], "one");
    servers[0].stop();
    for name in ["two", "three"] {
        create(&b, CONFIG_MAPS, &config_map(name, "x"));
    }
    let mut watch = b.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", version(&seen)));
    for name in ["two", "three"] {
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], name);
    }
    // A third server, which saw none of it happen, has the history too.
    let third = Server::builder(editions()[0]).on_etcd(&etcd).pki_of(&servers[1]).start();
    let mut watch = third.admin().watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={start}"));
    for name in ["one", "two", "three"] {
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], name);
    }
}

/// Whether the server says that it runs the controllers that write.
fn leads(server: &Server) -> bool {
    let metrics = server.admin().get("/metrics").text();
    metrics.contains("leader_election_master_status{name=\"detectviz-controllers\"} 1")
}

#[test]
fn one_server_leads_and_the_other_takes_over() {
    let etcd = Etcd::start(EtcdLine::Current);
    let [mut first, second] = pair(&etcd);
    let admin = second.admin();
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/detectviz-controllers";
    wait_for("the first leads", || leads(&first).then_some(()));
    assert!(!leads(&second));
    let holder = || admin.get(lease).expect(200)["spec"]["holderIdentity"].clone();
    let before = holder();
    first.stop();
    wait_for("the second takes over", || leads(&second).then_some(()));
    assert_ne!(holder(), before);
    // What only the leader does is done by the new one.
    let local = "/apis/apiregistration.k8s.io/v1/apiservices/v1.";
    let uid = admin.get(local).expect(200)["metadata"]["uid"].clone();
    admin.delete(local).expect(200);
    wait_for("the APIService is made again", || {
        let again = admin.get(local);
        (again.code == 200 && again.json()["metadata"]["uid"] != uid).then_some(())
    });
    // One that dies gives nothing up; nobody waits for it longer than its lease lasts.
    let third = on(&etcd).pki_of(&second).start();
    assert!(!leads(&third));
    let mut second = second;
    second.kill();
    create(&third.admin(), CONFIG_MAPS, &config_map("meanwhile", "x"));
    wait_for("the third takes over", || leads(&third).then_some(()));
}

#[test]
fn a_server_with_other_certificates_is_refused() {
    let etcd = Etcd::start(EtcdLine::Current);
    let first = Server::builder(editions()[0]).on_etcd(&etcd).start();
    let mut stranger = Server::builder(editions()[0]).on_etcd(&etcd).spawn();
    assert_ne!(stranger.code(), 0);
    let said = stranger.errors().join("\n");
    assert!(said.contains("client CA") && said.contains("--etcd-prefix"), "{said}");
    let apart = Server::builder(editions()[0]).on_etcd(&etcd).option("--etcd-prefix", "/apart").start();
    create(&first.admin(), CONFIG_MAPS, &config_map("one", "x"));
    assert!(names(&apart.admin().get(CONFIG_MAPS).expect(200)).is_empty(), "prefixes are apart");
}

#[test]
fn etcd_options_are_checked_together() {
    for (arguments, key) in [
        (&["--storage", "etcd"][..], "etcd.endpoints"),
        (&["--etcd-endpoints", "http://127.0.0.1:1"], "etcd.endpoints"),
        (&["--storage", "etcd", "--etcd-endpoints", "http://10.0.0.1:2379"], "use https"),
        (&["--storage", "etcd", "--etcd-endpoints", "https://a"], "etcd.ca_file"),
        (&["--etcd-prefix", "detectviz/"], "etcd.prefix"),
    ] {
        let output = command(editions()[0], &[&["serve"], arguments].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(key), "{arguments:?}: {said}");
    }
}

#[test]
fn an_etcd_that_cannot_be_reached_is_told_at_start() {
    let mut etcd = Etcd::start(EtcdLine::Current);
    etcd.kill();
    let builder = Server::builder(editions()[0]).on_etcd(&etcd).option("--etcd-request-timeout", "1");
    let mut server = builder.spawn();
    assert_ne!(server.code(), 0);
    let said = server.errors().join("\n");
    assert!(said.contains("open the store in etcd") && said.contains(&etcd.url()), "{said}");
}

#[test]
fn while_etcd_is_away_old_reads_go_on_and_the_rest_says_so() {
    let mut etcd = Etcd::start(EtcdLine::Current);
    let server = on(&etcd).option("--etcd-request-timeout", "1").start();
    let admin = server.admin();
    let path = format!("{CONFIG_MAPS}/one");
    let one = create(&admin, CONFIG_MAPS, &config_map("one", "x"));
    let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", version(&one)));
    for kill in [true, false] {
        if kill {
            etcd.kill()
        } else {
            etcd.pause()
        }
        assert_eq!(admin.get(format!("{path}?resourceVersion=0")).expect(200), one);
        let read = admin.get(&path);
        read.refused(503, "ServiceUnavailable");
        assert!(read.header("retry-after").is_some(), "{read}");
        let write = admin.create(CONFIG_MAPS, &config_map("two", "x"));
        assert!(matches!(write.code, 503 | 504), "{write}");
        assert_eq!(server.anonymous().get("/readyz").code, 500);
        assert_eq!(server.anonymous().get("/livez").code, 200);
        if kill {
            etcd.restart()
        } else {
            etcd.resume()
        }
        wait_until("the server is ready again", || {
            let ready = server.anonymous().get("/readyz");
            if ready.code == 200 && admin.get(&path).code == 200 { Ok(()) } else { Err(ready) }
        });
    }
    create(&admin, CONFIG_MAPS, &config_map("three", "x"));
    // The watch was never told of all this.
    let seen =
        std::iter::from_fn(|| watch.next()).find(|event| event["object"]["metadata"]["name"] == "three");
    assert_eq!(seen.unwrap()["type"], "ADDED");
}

/// Objects that a load creates, and what became of each.
#[derive(Default)]
struct Load {
    acknowledged: Mutex<BTreeMap<String, u64>>,
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    fn run(&self, client: &Client) {
        while !self.stop.load(Ordering::Relaxed) {
            let name = format!("n{}", self.next.fetch_add(1, Ordering::Relaxed));
            let answer = client.create(CONFIG_MAPS, &config_map(&name, &name));
            match answer.code {
                201 => drop(self.acknowledged.lock().unwrap().insert(name, version(&answer.json()))),
                503 | 504 => {}
                _ => panic!("{answer}"),
            }
        }
    }

    /// Waits until so many more are acknowledged.
    fn acknowledges(&self, more: usize) {
        let count = || self.acknowledged.lock().unwrap().len();
        let enough = count() + more;
        wait_for("creates are acknowledged", || (count() >= enough).then_some(()));
    }
}

/// The names and versions in a watch up to an object, each of which was added.
fn follow(mut watch: Watch, until: &str) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    loop {
        let object = watch.expect("ADDED");
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if name == until {
            return seen;
        }
        seen.push((name, version(&object)));
    }
}

#[test]
fn etcd_killed_under_load_loses_no_acknowledged_object_and_no_event() {
    for line in [EtcdLine::Current, EtcdLine::Installed] {
        let mut etcd = Etcd::start(line);
        let servers = pair(&etcd);
        let clients = clients(&servers);
        let start = version(&clients[0].get(CONFIG_MAPS).expect(200));
        let watches = clients
            .each_ref()
            .map(|client| client.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={start}")));
        let load = Load::default();
        std::thread::scope(|scope| {
            for client in clients.iter().cycle().take(8) {
                scope.spawn(|| load.run(client));
            }
            for _ in 0..3 {
                load.acknowledges(100);
                etcd.kill();
                etcd.restart();
            }
            load.acknowledges(100);
            load.stop.store(true, Ordering::Relaxed);
        });
        wait_for("etcd answers", || (clients[0].get(CONFIG_MAPS).code == 200).then_some(()));
        create(&clients[1], CONFIG_MAPS, &config_map("last", "x"));
        let [first, second] = watches.map(|watch| follow(watch, "last"));
        assert_eq!(first, second, "all watchers see the same history");
        assert!(first.is_sorted_by(|a, b| a.1 < b.1), "ordered and unique");
        check(&clients, &load.acknowledged.into_inner().unwrap(), &first);
    }
}

/// Checks that both servers list what the history says, and that all that was acknowledged is in it.
fn check(clients: &[Client; 2], acknowledged: &BTreeMap<String, u64>, history: &[(String, u64)]) {
    let history: BTreeMap<_, _> = history.iter().cloned().collect();
    for (name, version) in acknowledged {
        assert_eq!(history.get(name), Some(version), "{name} was acknowledged");
    }
    for client in clients {
        let list = client.get(CONFIG_MAPS).expect(200);
        let items = list["items"].as_array().unwrap().iter();
        let entry = |item: &Value| (item["metadata"]["name"].as_str().unwrap().to_owned(), version(item));
        let listed: BTreeMap<_, _> = items.map(entry).filter(|(name, _)| name != "last").collect();
        assert_eq!(listed, history);
    }
}

#[test]
fn etcd_is_spoken_to_with_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (server_ca, clients_ca) = (Authority::new("etcd"), Authority::new("clients"));
    let (certificate, key) = server_ca.server("127.0.0.1");
    let (client, client_key) = clients_ca.client("detectviz", None).pem();
    for (name, text) in [
        ("ca.crt", server_ca.pem()),
        ("clients.crt", clients_ca.pem()),
        ("server.crt", &certificate),
        ("server.key", &key),
        ("client.crt", &client),
        ("client.key", &client_key),
    ] {
        fs::write(path(name), text).unwrap();
    }
    let tls =
        EtcdTls { certificate: path("server.crt"), key: path("server.key"), client_ca: path("clients.crt") };
    let etcd = Etcd::with_tls(EtcdLine::Current, Some(&tls));
    let builder = |ca: &str| {
        let builder = Server::builder(editions()[0]).on_etcd(&etcd).option("--etcd-request-timeout", "2");
        let builder = builder.option("--etcd-cert-file", &path("client.crt").to_string_lossy());
        let builder = builder.option("--etcd-key-file", &path("client.key").to_string_lossy());
        builder.option("--etcd-ca-file", &path(ca).to_string_lossy())
    };
    let server = builder("ca.crt").start();
    create(&server.admin(), CONFIG_MAPS, &config_map("one", "x"));
    let mut wrong = builder("clients.crt").spawn();
    assert_ne!(wrong.code(), 0);
    let said = wrong.errors().join("\n");
    assert!(said.contains("certificate"), "{said}");
}
