//! kill -9 under load, again and again over one data folder, so that the log of one round is replayed in all later ones.

use detectviz_tests::{Load, Plan, Random, Server, Servers, Summary, editions, rounds, seed};

#[test]
fn kill_9_under_load_loses_no_acknowledged_object() {
    let (seed, rounds) = (seed(), rounds(20));
    let mut random = Random::new(seed);
    let mut server = Server::builder(editions()[0]).allow_log("cutting off an unfinished write").start();
    let servers = Servers::new([server.admin()]);
    let mut load = Load::new(&servers, Plan::default(), seed);
    let mut sum = Summary::default();
    for _ in 0..rounds {
        let history = load.round(|progress| {
            progress.await_more(random.below(250));
            servers.down(0);
            server.kill();
            server = server.setup().start();
            servers.up(0, server.admin());
            progress.await_more(1 + random.below(50));
        });
        sum += history.check();
    }
    sum.report("kill -9 under load", seed, rounds);
    assert!(
        sum.unknown > 0 && sum.resumed >= rounds,
        "nothing was under way when the server was killed: {sum:?}"
    );
}
