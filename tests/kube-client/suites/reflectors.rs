//! Reflectors of every sort, through restarts and under load: each ends with exactly what the store has.

use std::collections::BTreeSet;

use detectviz_tests::{Builder, Client, Server, wait_until};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Config;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::load::{Load, NAMESPACES};
use crate::seen::{Follower, State, keyed};
use crate::support::{client, config_map_json, every_durable, runtime};

/// Small, so that an initial list takes many pages.
const PAGE: u32 = 7;
/// What is there before anybody looks.
const SEEDS: usize = 40;
const ENDS: [End; 4] = [End::Terminated, End::Killed, End::Killed, End::Terminated];

/// How a server ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Terminated,
    Killed,
}

/// Each way to follow config maps.
fn all(runtime: &Runtime, client: &kube::Client) -> Vec<Follower> {
    type Meta = PartialObjectMeta<ConfigMap>;
    let (listing, streaming) = (Config::default().page_size(PAGE), Config::default().streaming_lists());
    let full = |name: &str, config: Config| Follower::start::<ConfigMap>(runtime, client, name, config);
    let meta = |name: &str, config: Config| Follower::start::<Meta>(runtime, client, name, config);
    vec![
        full("listing", listing.clone()),
        full("listing any version", listing.clone().any_semantic()),
        full("listing without bookmarks", listing.clone().disable_bookmarks()),
        full("listing one label", listing.clone().labels("color=red")),
        full("streaming", streaming.clone()),
        full("streaming a set of labels", streaming.clone().labels("color in (red,green),!hidden")),
        meta("listing metadata", listing.labels("color")),
        meta("streaming metadata", streaming),
    ]
}

/// Some that begin while a server is about to end, so that its end meets their first list.
fn late(runtime: &Runtime, client: &kube::Client, end: End) -> Vec<Follower> {
    let start = |name: &str, config: Config| {
        Follower::start::<ConfigMap>(runtime, client, format!("{name}, before it was {end:?}"), config)
    };
    vec![
        start("listing", Config::default().page_size(PAGE)),
        start("streaming", Config::default().streaming_lists().labels("color!=blue")),
    ]
}

#[test]
fn reflectors_end_with_the_stores_state_through_restarts_under_load() {
    every_durable(|builder| {
        let (runtime, mut server) = (runtime(), builder.start());
        seed(&server.admin());
        let (client, again) = (runtime.block_on(client(&server)), at_its_port(&server));
        let followers = all(&runtime, &client);
        await_initial_states(&followers);
        let (load, writer, mut latecomers) = (Load::default(), server.admin(), Vec::new());
        load.run(&writer, || {
            for (index, end) in ENDS.into_iter().enumerate() {
                load.reached((index + 1) * Load::TOTAL / (ENDS.len() + 1));
                latecomers.extend(late(&runtime, &client, end));
                restart(&mut server, &again, end);
            }
        });
        await_state(&server.admin(), followers.iter().chain(&latecomers));
        for follower in &followers {
            judge(follower);
        }
        // None may have missed what another saw, though the state is the same in the end.
        let whole = followers.iter().filter(|follower| follower.selector.is_empty());
        let counts: BTreeSet<_> = whole.map(|follower| follower.journal(|journal| journal.changes)).collect();
        assert_eq!(counts.len(), 1, "{counts:?}");
    });
}

fn seed(admin: &Client) {
    for namespace in NAMESPACES.into_iter().filter(|namespace| *namespace != "default") {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        admin.create("/api/v1/namespaces", &object).expect(201);
    }
    for number in 0..SEEDS {
        let name = format!("seed-{number}");
        admin.create("/api/v1/namespaces/one/configmaps", &config_map_json(&name, "x")).expect(201);
    }
}

/// The server again: over the same data, and where its clients look for it.
fn at_its_port(server: &Server) -> Builder {
    let port = server.url().rsplit(':').next().expect("a URL has a port");
    server.setup().option("--secure-port", port)
}

fn restart(server: &mut Server, again: &Builder, end: End) {
    match end {
        End::Terminated => assert_eq!(server.stop().code(), Some(0)),
        End::Killed => server.kill(),
    }
    *server = again.clone().start();
}

fn await_initial_states(followers: &[Follower]) {
    for follower in followers {
        let complete = || follower.journal(|journal| (journal.complete > 0).then_some(()).ok_or("no state"));
        wait_until(&format!("{} has its first state", follower.name), complete);
    }
}

/// Waits until each has exactly what a list says, with the same versions.
fn await_state<'a>(admin: &Client, followers: impl Iterator<Item = &'a Follower>) {
    let list = |selector: &str| -> State {
        let selector = selector.replace('=', "%3D").replace(' ', "%20");
        let list = admin.get(format!("/api/v1/configmaps?labelSelector={selector}")).expect(200);
        list["items"].as_array().into_iter().flatten().map(keyed).collect()
    };
    let everything = list("");
    assert!(everything.len() > SEEDS, "the load left nothing to compare");
    for follower in followers {
        wait_until(&format!("{} shows the store's state", follower.name), || follower.compare(list));
        // And on the way no change came twice, or behind a later one.
        follower.journal(|journal| assert_eq!(journal.disorder, Vec::<String>::new(), "{}", follower.name));
    }
    assert_eq!(list(""), everything, "nothing was written in between");
}

/// One that was there from the beginning resumes its watch each time, and never has to list again.
fn judge(follower: &Follower) {
    follower.journal(|journal| {
        eprintln!("{}: {} changes, faults {:?}", follower.name, journal.changes, journal.faults);
        assert_eq!(
            (journal.begun, journal.complete),
            (1, 1),
            "{} listed again: {:?}",
            follower.name,
            journal.faults
        );
        assert!(journal.changes > Load::TOTAL / 20, "{} saw little of the load", follower.name);
    });
}

#[test]
fn a_reflector_over_an_object_that_is_not_there_sees_it_come_and_go() {
    detectviz_tests::variants(|server| {
        let (runtime, admin) = (runtime(), server.admin());
        let client = runtime.block_on(client(&server));
        let config = Config::default().fields("metadata.name=one").streaming_lists();
        let one = Follower::start::<ConfigMap>(&runtime, &client, "one", config);
        await_initial_states(std::slice::from_ref(&one));
        let path = "/api/v1/namespaces/default/configmaps";
        admin.create(path, &config_map_json("other", "x")).expect(201);
        let stored: Value = admin.create(path, &config_map_json("one", "x")).expect(201);
        let state = |_: &str| State::from([keyed(&stored)]);
        wait_until("it has come", || one.compare(state));
        admin.delete(format!("{path}/one")).expect(200);
        wait_until("it has gone", || one.compare(|_| State::new()));
        one.journal(|journal| assert_eq!((journal.begun, journal.changes), (1, 2)));
    });
}
