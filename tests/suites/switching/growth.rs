//! What a hundred flips leave behind: nothing.

use detectviz_tests::{Server, switchable, wait_until};

use super::{FLIGHTS, await_code, await_query, toggles, with_both};

/// How much memory may be held back by an allocator that was just busy, in KiB.
const SLACK_KIB: u64 = 24 * 1024;

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

/// Resident memory in KiB, and threads.
fn resident_and_threads(server: &Server) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    };
    (number("VmRSS:"), number("Threads:"))
}

#[test]
fn a_hundred_flips_leave_nothing_behind() {
    switchable(|builder| {
        let (server, _example, plugins) = with_both(builder);
        let admin = server.admin();
        let flip = || {
            server.reconfigure(&toggles(false, false));
            server.hangup();
            await_code(&admin, FLIGHTS, 404);
            await_query(&admin, 404);
            server.reconfigure(&toggles(true, true));
            server.hangup();
            await_code(&admin, FLIGHTS, 200);
            await_query(&admin, 200);
        };
        (0..20).for_each(|_| flip());
        let (open, (resident, threads)) = (descriptors(&server), resident_and_threads(&server));
        (0..80).for_each(|_| flip());
        // Connections to what was switched off end when they are noticed to be unused.
        wait_until("no more is open than after 20 flips", || match descriptors(&server) {
            now if now <= open + 8 => Ok(()),
            now => Err(format!("{now} instead of {open}")),
        });
        let (resident_now, threads_now) = resident_and_threads(&server);
        eprintln!(
            "after 20 flips {open} descriptors, {threads} threads, {resident} KiB; after 100 {} descriptors, {threads_now} threads, {resident_now} KiB",
            descriptors(&server)
        );
        assert!(resident_now <= resident + SLACK_KIB, "{resident} KiB became {resident_now} KiB");
        // The runtime has some threads for files, which come and go.
        assert!(threads_now <= threads + 16, "{threads} threads became {threads_now}");
        assert_eq!(plugins.processes().len(), 1);
    });
}

/// Without objects nothing is written at a flip: what would grow here is the server's own.
#[test]
fn flips_that_write_nothing_take_no_memory() {
    switchable(|builder| {
        let server = builder.config(&toggles(false, false)).start();
        let told = |text: &str| server.log().iter().filter(|line| line.contains(text)).count();
        let mut flips = 0;
        let mut flip = || {
            flips += 1;
            for (on, text) in [(true, ": started "), (false, ": switched off ")] {
                server.reconfigure(&toggles(on, on));
                server.hangup();
                wait_until("both are switched", || match told(text) {
                    times if times >= 2 * flips => Ok(()),
                    times => Err(format!("{times} lines")),
                });
            }
        };
        (0..50).for_each(|_| flip());
        let (open, (resident, _)) = (descriptors(&server), resident_and_threads(&server));
        (0..100).for_each(|_| flip());
        let (resident_now, _) = resident_and_threads(&server);
        eprintln!("after 50 flips {resident} KiB, after 150 {resident_now} KiB");
        assert!(resident_now <= resident + 4 * 1024, "{resident} KiB became {resident_now} KiB");
        assert!(descriptors(&server) <= open + 2, "{open} descriptors became {}", descriptors(&server));
    });
}
