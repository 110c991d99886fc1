//! Faults that trusted stores had, played against this one. Each is named by what went wrong there; the numbers are of
//! etcd's issues.

use std::sync::atomic::{AtomicBool, Ordering};

use detectviz_tests::{Load, Plan, Server, Servers, editions, seed};
use serde_json::Value;

use super::versions;
use crate::support::{CONFIG_MAPS, config_map, create, version};

/// 19179 and its like: a watch from a version that did not exist yet was given what happened before it.
#[test]
fn a_watch_from_the_future_is_told_nothing_of_the_past() {
    let server = Server::builder(editions()[0]).start();
    let admin = server.admin();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..).take_while(|_| !done.load(Ordering::SeqCst)) {
                create(&admin, CONFIG_MAPS, &config_map(&format!("o-{number}"), "1"));
            }
        });
        for ahead in (0..20).map(|number| number % 5) {
            let from = version(&admin.get(CONFIG_MAPS).expect(200)) + ahead;
            let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}&timeoutSeconds=1");
            // It may be refused, or wait; an old event is the fault.
            if let Some(event) = admin.watch(path).find(|event| event["type"] != "BOOKMARK") {
                let is_new = || version(&event["object"]) > from;
                assert!(event["type"] == "ERROR" || is_new(), "from {from}: {event}");
            }
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// 15271: after a restart, a watch that went on was told again what it knew.
#[test]
fn a_watch_that_goes_on_after_a_restart_is_told_nothing_twice() {
    let mut server = Server::builder(editions()[0]).start();
    let mut last = create(&server.admin(), CONFIG_MAPS, &config_map("one", "0"));
    for round in 1..4 {
        server.kill();
        server = server.setup().start();
        let admin = server.admin();
        let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", version(&last));
        let mut watches = [admin.watch(&path), admin.watch(path + "&allowWatchBookmarks=true")];
        last["data"]["value"] = round.to_string().into();
        last = admin.update(format!("{CONFIG_MAPS}/one"), &last).expect(200);
        for watch in &mut watches {
            assert_eq!(watch.expect("MODIFIED"), last);
        }
    }
}

/// 15220: a progress notification overtook an event. Here bookmarks that end the initial events do not, under load.
#[test]
fn a_bookmark_overtakes_no_event() {
    let (seed, server) = (seed(), Server::builder(editions()[0]).start());
    let admin = server.admin();
    let mut load = Load::new(&Servers::new([server.admin()]), Plan::default(), seed);
    let history = load.round(|progress| {
        for _ in 0..25 {
            let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
            let mut watch = admin.watch(format!("{CONFIG_MAPS}?{query}"));
            let initial: Vec<Value> = watch.by_ref().take_while(|event| event["type"] != "BOOKMARK").collect();
            // The bookmark itself was taken; what comes next is behind it.
            let newest = initial.iter().map(|event| version(&event["object"])).max().unwrap_or_default();
            let next = version(&watch.next().unwrap()["object"]);
            assert!(next > newest, "{next} after {newest}");
            let told = initial.iter().map(|event| {
                let object = &event["object"];
                (object["metadata"]["name"].as_str().unwrap().to_owned(), version(object))
            });
            let told: std::collections::BTreeMap<_, _> = told.collect();
            let exact = format!("{CONFIG_MAPS}?resourceVersion={}&resourceVersionMatch=Exact", next - 1);
            assert_eq!(told, versions(&admin.get(exact).expect(200)), "at {}", next - 1);
            progress.await_more(3);
        }
    });
    history.check();
}

/// 13766 and 18667: a crash between two steps of putting old data together left a store that was not what was written.
#[test]
fn a_crash_while_data_is_put_together_loses_nothing() {
    let Some((builder, disk)) = detectviz_tests::FaultyDisk::under(Server::builder(editions()[0])) else {
        return;
    };
    let mut server = builder.start();
    let mut expected = std::collections::BTreeMap::new();
    let mut kills = 0;
    for (round, order) in ["rename=kill", "remove=kill", "sync=kill"].into_iter().enumerate() {
        for number in 0..20 {
            let name = format!("o-{round}-{number}");
            expected.insert(
                name.clone(),
                version(&create(&server.admin(), CONFIG_MAPS, &super::large(&name, 900))),
            );
        }
        disk.order(order);
        kills += usize::from(server.stop().code().is_none());
        disk.order("");
        server = server.setup().start();
        assert_eq!(versions(&server.admin().get(CONFIG_MAPS).expect(200)), expected, "{order}");
    }
    assert!(kills > 0, "nothing was put together");
}
