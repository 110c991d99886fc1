//! Syncs that are slow, and syncs that fail.

use std::sync::mpsc;

use detectviz_tests::{
    FaultyDisk, Load, Plan, Random, Server, Servers, Summary, editions, rounds, seed, wait_for, wait_until,
};

use super::{files, position, readiness};
use crate::support::{CONFIG_MAPS, config_map, create, names, version};

#[test]
fn a_write_waits_for_its_sync_and_nobody_else_does() {
    let Some((builder, disk)) = FaultyDisk::under(Server::builder(editions()[0])) else { return };
    let server = builder.start();
    let admin = server.admin();
    let before = version(&create(&admin, CONFIG_MAPS, &config_map("before", "1")));
    let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={before}"));
    // What the server writes by itself goes on; ours waits, and all that comes behind it.
    disk.order("hold=held-");
    let (sender, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for name in ["held-1", "held-2", "held-3"] {
            let (admin, sender) = (admin.clone(), sender.clone());
            scope.spawn(move || sender.send((name, admin.create(CONFIG_MAPS, &config_map(name, "1")))));
        }
        wait_for("a write is on its way to the disk", || {
            files(&server.setup().store_dir()).iter().find_map(|file| position(file, b"held-"))
        });
        for path in [CONFIG_MAPS.to_owned(), format!("{CONFIG_MAPS}?resourceVersion=0")] {
            assert_eq!(names(&admin.get(path).expect(200)), ["before"], "only what is durable is seen");
        }
        admin.get(format!("{CONFIG_MAPS}/held-1")).refused(404, "NotFound");
        let initial =
            format!("{CONFIG_MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
        assert_eq!(admin.watch(initial).expect("ADDED")["metadata"]["name"], "before");
        assert!(readiness(&admin).0, "a slow disk is no failure");
        assert!(answers.try_recv().is_err(), "a write was acknowledged before its sync");
        disk.order("");
        let acknowledged: Vec<_> = (0..3).map(|_| answers.recv().unwrap()).collect();
        let told: Vec<_> = (0..3).map(|_| watch.expect("ADDED")).collect();
        for (name, answer) in acknowledged {
            let object = answer.expect(201);
            assert!(told.contains(&object), "{name} is told as it was written");
        }
    });
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_a_restart() {
    let builder = Server::builder(editions()[0])
        .allow_log("store is read-only")
        .allow_log("write refused by the store");
    let Some((builder, disk)) = FaultyDisk::under(builder) else { return };
    let mut server = builder.allow_log("read-only since a disk error").start();
    let admin = server.admin();
    let kept = create(&admin, CONFIG_MAPS, &config_map("kept", "1"));
    let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", version(&kept)));
    disk.order("sync=fail");
    admin.create(CONFIG_MAPS, &config_map("lost", "1")).refused(507, "InsufficientStorage");
    // The next sync would work. It would say nothing of what the failed one left behind, so there is none.
    disk.order("");
    for name in ["late-1", "late-2"] {
        admin.create(CONFIG_MAPS, &config_map(name, "1")).refused(507, "InsufficientStorage");
    }
    admin.delete(format!("{CONFIG_MAPS}/kept")).refused(507, "InsufficientStorage");
    let (ready, said) = readiness(&admin);
    assert!(!ready && said.contains("[-]store"), "{said}");
    assert_eq!(admin.get(format!("{CONFIG_MAPS}/kept")).expect(200), kept);
    assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), ["kept"], "what was not acknowledged is not seen");
    server.stop();
    assert_eq!(watch.next(), None, "nothing of it was told");
    let server = server.setup().start();
    let admin = server.admin();
    let found = names(&admin.get(CONFIG_MAPS).expect(200));
    assert!(
        found == ["kept"] || found == ["kept", "lost"],
        "only what was under way may have happened: {found:?}"
    );
    assert!(version(&create(&admin, CONFIG_MAPS, &config_map("new", "1"))) > version(&kept));
}

/// Waits until a write is refused for the disk's sake.
fn await_refusal(server: &Server) {
    let (admin, mut numbers) = (server.admin(), 0..);
    wait_until("a write is refused", || {
        let name = format!("probe-{}", numbers.next().unwrap_or_default());
        match admin.create(CONFIG_MAPS, &config_map(&name, "1")) {
            answer if answer.code == 507 => Ok(answer),
            answer => Err(answer),
        }
    });
}

#[test]
fn a_load_survives_failed_syncs_and_writes() {
    let (seed, builder) = (seed(), Server::builder(editions()[0]));
    let builder = builder.allow_log("store is read-only").allow_log("write refused by the store");
    let builder = builder.allow_log("cutting off an unfinished write").allow_log("disk is full");
    let builder = builder.allow_log("disk has room again").allow_log("cannot make room");
    let Some((builder, disk)) = FaultyDisk::under(builder) else { return };
    let (mut random, mut server) = (Random::new(seed), builder.start());
    let servers = Servers::new([server.admin()]);
    let mut load = Load::new(&servers, Plan::default(), seed);
    let (mut sum, count) = (Summary::default(), rounds(4));
    for order in ["sync=fail", "write=fail", "write=full", "sync=kill"].into_iter().cycle().take(count) {
        let history = load.round(|progress| {
            progress.await_more(random.below(60));
            disk.order(order);
            match order {
                "sync=kill" => _ = server.wait(),
                _ => await_refusal(&server),
            }
            disk.order("");
            servers.down(0);
            server.kill();
            server = server.setup().start();
            servers.up(0, server.admin());
            progress.await_more(10);
        });
        sum += history.check();
    }
    sum.report("failed syncs and writes under load", seed, count);
}
