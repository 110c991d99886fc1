//! Watches: no event is lost, none comes twice, and each end is told from a cut.

mod slow;
mod table;
mod websocket;

use std::collections::BTreeSet;

use detectviz_tests::{Server, editions, variants};
use serde_json::json;

use crate::support::{CONFIG_MAPS, config_map, create, version};

#[test]
fn a_watch_resumes_behind_a_version_and_ends_with_the_last_state() {
    variants(|server| {
        let admin = server.admin();
        let first = create(&admin, CONFIG_MAPS, &config_map("one", "1"));
        let from = version(&first);
        let mut changed = first;
        changed["data"]["value"] = "2".into();
        let changed = admin.update(format!("{CONFIG_MAPS}/one"), &changed).expect(200);
        admin.delete(format!("{CONFIG_MAPS}/one")).expect(200);
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}"));
        assert_eq!(watch.expect("MODIFIED"), changed);
        let last = watch.expect("DELETED");
        assert_eq!(last["data"], json!({"value": "2"}));
        assert!(version(&last) > version(&changed), "a deletion is a change of its own");
        let second = create(&admin, CONFIG_MAPS, &config_map("two", "3"));
        assert_eq!(watch.expect("ADDED"), second);
    });
}

#[test]
fn a_watch_with_initial_events_says_where_they_end() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("one", "1"));
        create(&admin, CONFIG_MAPS, &config_map("two", "2"));
        let query =
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?{query}"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "one");
        let two = watch.expect("ADDED");
        let bookmark = watch.expect("BOOKMARK");
        assert_eq!(bookmark["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
        assert_eq!((&bookmark["kind"], version(&bookmark) >= version(&two)), (&json!("ConfigMap"), true));
        create(&admin, CONFIG_MAPS, &config_map("three", "3"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "three");
    });
}

#[test]
fn a_watch_follows_its_selection() {
    variants(|server| {
        let admin = server.admin();
        let mut object = create(&admin, CONFIG_MAPS, &config_map("one", "1"));
        let from = version(&object);
        let query = format!("watch=true&resourceVersion={from}&labelSelector=shown");
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?{query}"));
        let path = format!("{CONFIG_MAPS}/one");
        object["metadata"]["labels"] = json!({"shown": "yes"});
        let mut object = admin.update(&path, &object).expect(200);
        assert_eq!(watch.expect("ADDED"), object, "what enters the selection is new to the watch");
        object["metadata"]["labels"] = json!({});
        let hidden = admin.update(&path, &object).expect(200);
        let gone = watch.expect("DELETED");
        assert_eq!(gone["metadata"]["labels"], json!({"shown": "yes"}));
        assert_eq!(version(&gone), version(&hidden));
    });
}

#[test]
fn versions_that_nobody_has_are_refused() {
    variants(|server| {
        let admin = server.admin();
        let now = version(&create(&admin, CONFIG_MAPS, &config_map("one", "1")));
        let future = now + 1_000_000;
        let refused = admin.get(format!("{CONFIG_MAPS}?resourceVersion={future}")).refused(504, "Timeout");
        assert!(refused["message"].as_str().unwrap().contains("Too large resource version"), "{refused}");
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={future}"));
        assert_eq!(watch.expect("ERROR")["reason"], "Timeout");
        admin.get(format!("{CONFIG_MAPS}?resourceVersion=abc")).refused(400, "BadRequest");
        let exact = |version| format!("{CONFIG_MAPS}?resourceVersion={version}&resourceVersionMatch=Exact");
        admin.get(exact(future)).refused(504, "Timeout");
        assert_eq!(admin.get(exact(1)).expect(200)["items"], json!([]), "what was there at that version");
    });
}

#[test]
fn a_watch_goes_on_across_a_restart() {
    let mut server = Server::builder(editions()[0]).start();
    let old = version(&create(&server.admin(), CONFIG_MAPS, &config_map("one", "1")));
    create(&server.admin(), CONFIG_MAPS, &config_map("two", "2"));
    server.kill();
    let server = server.setup().start();
    create(&server.admin(), CONFIG_MAPS, &config_map("three", "3"));
    let mut watch = server.admin().watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={old}"));
    for name in ["two", "three"] {
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], name);
    }
}

#[test]
fn a_watch_ends_when_its_time_is_over() {
    variants(|server| {
        let mut watch = server.admin().watch(format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1"));
        assert_eq!(watch.next(), None);
    });
}

#[test]
fn a_watch_under_load_sees_every_change_once_and_in_order() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    variants(|server| {
        let admin = server.admin();
        let from = version(&admin.get(CONFIG_MAPS).expect(200));
        let query = format!("watch=true&resourceVersion={from}");
        let mut early = admin.watch(format!("{CONFIG_MAPS}?{query}"));
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let admin = &admin;
                scope.spawn(move || {
                    for number in 0..EACH {
                        create(admin, CONFIG_MAPS, &config_map(&format!("w{writer}-{number}"), "x"));
                    }
                });
            }
        });
        // One that resumes behind all of them is told the same.
        let mut late = admin.watch(format!("{CONFIG_MAPS}?{query}"));
        let mut names = BTreeSet::new();
        let mut last = from;
        for _ in 0..WRITERS * EACH {
            let object = early.expect("ADDED");
            assert!(version(&object) > last, "{object} came after version {last}");
            last = version(&object);
            assert!(names.insert(object["metadata"]["name"].to_string()), "{object} came twice");
            assert_eq!(late.expect("ADDED"), object);
        }
    });
}

#[test]
fn a_watch_of_one_name_shows_nothing_else() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("one", "1"));
        create(&admin, CONFIG_MAPS, &config_map("two", "2"));
        let mut watch = admin.watch("/api/v1/watch/namespaces/default/configmaps/two");
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "two");
        create(&admin, CONFIG_MAPS, &config_map("three", "3"));
        admin.delete(format!("{CONFIG_MAPS}/two")).expect(200);
        assert_eq!(watch.expect("DELETED")["metadata"]["name"], "two");
        let one = admin.get(format!("{CONFIG_MAPS}/one?watch=true")).expect(200);
        assert_eq!(
            one["kind"], "ConfigMap",
            "a watch parameter on one object is a plain get, as upstream has it"
        );
    });
}
