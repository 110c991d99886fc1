//! Writes that end in the middle, and power that goes away.

use std::os::unix::process::ExitStatusExt as _;

use detectviz_tests::{FaultyDisk, Load, Plan, Progress, Random, Server, Servers, editions, seed};

/// Runs rounds of a load in which `fault` ends the server, and starts it again each time.
fn rounds(count: usize, keeps: bool, fault: impl Fn(&mut Server, &FaultyDisk, &mut Random, &Progress<'_>)) {
    let seed = seed();
    let builder = Server::builder(editions()[0]).allow_log("cutting off an unfinished write");
    let Some((builder, disk)) = FaultyDisk::under(builder) else { return };
    let builder = if keeps { disk.remembering(builder) } else { builder };
    let (mut random, mut server) = (Random::new(seed), builder.start());
    let servers = Servers::new([server.admin()]);
    let mut load = Load::new(&servers, Plan::default(), seed);
    for round in 1..=count {
        let history = load.round(|progress| {
            progress.await_more(random.below(100));
            fault(&mut server, &disk, &mut random, progress);
            servers.down(0);
            server = server.setup().start();
            servers.up(0, server.admin());
            progress.await_more(1 + random.below(20));
        });
        eprintln!("round {round} of {count}: {:?}", history.check());
    }
}

#[test]
fn a_write_that_is_torn_anywhere_loses_nothing_that_was_acknowledged() {
    rounds(8, false, |server, disk, random, _| {
        let bytes = random.below(1500);
        disk.order(&format!("torn={bytes}"));
        assert_eq!(server.wait().signal(), Some(9), "no write was torn");
        disk.order("");
    });
}

#[test]
fn a_power_cut_under_load_loses_nothing_that_was_acknowledged() {
    rounds(8, true, |server, disk, _, _| {
        server.kill();
        disk.cut_power();
    });
}
