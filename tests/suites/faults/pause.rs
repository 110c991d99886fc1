//! The process is stopped and goes on: a client sees nothing but a long wait.

use detectviz_tests::{Load, Plan, Random, Server, Servers, editions, rounds, seed};

use crate::support::{CONFIG_MAPS, config_map, create};

#[test]
fn a_stopped_process_goes_on_where_it_was() {
    let server = Server::builder(editions()[0]).start();
    let admin = server.admin();
    let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true"));
    let mut connection = admin.connect().unwrap();
    let create_on = |connection, name: &str| {
        let (answer, kept) =
            admin.request("POST", CONFIG_MAPS).json(&config_map(name, "1")).send_on(connection).unwrap();
        answer.expect(201);
        kept.unwrap()
    };
    for round in 0..3 {
        connection = create_on(connection, &format!("before-{round}"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], format!("before-{round}"));
        server.pause();
        let name = format!("during-{round}");
        connection = std::thread::scope(|scope| {
            let sent = scope.spawn(|| create_on(connection, &name));
            server.resume();
            sent.join().unwrap()
        });
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], name);
        admin.get(format!("{CONFIG_MAPS}/{name}")).expect(200);
    }
    create(&admin, CONFIG_MAPS, &config_map("last", "1"));
    assert_eq!(watch.expect("ADDED")["metadata"]["name"], "last");
}

#[test]
fn a_load_does_not_notice_that_the_process_was_stopped() {
    let (seed, server) = (seed(), Server::builder(editions()[0]).start());
    let (mut random, count) = (Random::new(seed), rounds(8));
    let servers = Servers::new([server.admin()]);
    let mut load = Load::new(&servers, Plan::default(), seed);
    let history = load.round(|progress| {
        for _ in 0..count {
            progress.await_more(1 + random.below(40));
            server.pause();
            server.resume();
        }
        progress.await_more(10);
    });
    let seen = history.check();
    seen.report("stops and goes under load", seed, count);
    assert_eq!((seen.unknown, seen.resumed), (0, 0), "no connection was lost: {seen:?}");
}
