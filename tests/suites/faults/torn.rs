//! Writes that end in the middle, and power that goes away.

use std::os::unix::process::ExitStatusExt as _;

use detectviz_tests::{FaultyDisk, Load, Plan, Progress, Random, Server, Servers, Summary, editions, seed};

/// Runs rounds of a load in which `fault` ends the server, and starts it again each time.
fn rounds(what: &str, keeps: bool, fault: impl Fn(&mut Server, &FaultyDisk, &mut Random, &Progress<'_>)) {
    let (seed, count) = (seed(), detectviz_tests::rounds(8));
    let builder = Server::builder(editions()[0]).allow_log("cutting off an unfinished write");
    let Some((builder, disk)) = FaultyDisk::under(builder) else { return };
    let builder = if keeps { disk.remembering(builder) } else { builder };
    let (mut random, mut server) = (Random::new(seed), builder.start());
    let servers = Servers::new([server.admin()]);
    let mut load = Load::new(&servers, Plan::default(), seed);
    let mut sum = Summary::default();
    for _ in 0..count {
        let history = load.round(|progress| {
            progress.await_more(random.below(100));
            fault(&mut server, &disk, &mut random, progress);
            servers.down(0);
            server = server.setup().start();
            servers.up(0, server.admin());
            progress.await_more(1 + random.below(20));
        });
        sum += history.check();
    }
    sum.report(what, seed, count);
}

#[test]
fn a_write_torn_anywhere_under_load_loses_nothing_that_was_acknowledged() {
    rounds("torn writes under load", false, |server, disk, random, _| {
        let bytes = random.below(1500);
        disk.order(&format!("torn={bytes}"));
        assert_eq!(server.wait().signal(), Some(9), "no write was torn");
        disk.order("");
    });
}

#[test]
fn a_power_cut_under_load_loses_nothing_that_was_acknowledged() {
    rounds("power cuts under load", true, |server, disk, _, _| {
        server.kill();
        disk.cut_power();
    });
}
