//! Two servers on one etcd under load, while any of the three is killed, stopped or restarted: to the clients of both it is
//! one store with one order of events.

use detectviz_tests::{Etcd, EtcdLine, Load, Plan, Random, Servers, Summary, rounds, seed};

use super::{clients, pair};

#[test]
fn two_servers_tell_one_history_whatever_is_killed() {
    let (seed, rounds) = (seed(), rounds(6));
    let mut sum = Summary::default();
    for line in [EtcdLine::Current, EtcdLine::Installed] {
        let mut random = Random::new(seed);
        let mut etcd = Etcd::start(line);
        let mut pair = pair(&etcd);
        let servers = Servers::new(clients(&pair));
        let mut load = Load::new(&servers, Plan::default(), seed);
        for round in 0..rounds {
            let history = load.round(|progress| {
                progress.await_more(random.below(100));
                match round % 3 {
                    0 => {
                        etcd.kill();
                        etcd.restart();
                    }
                    1 => {
                        let down = random.below(2);
                        servers.down(down);
                        pair[down].kill();
                        progress.await_more(20);
                        pair[down] = pair[down].setup().start();
                        servers.up(down, pair[down].admin());
                    }
                    _ => {
                        etcd.pause();
                        etcd.resume();
                    }
                }
                progress.await_more(1 + random.below(50));
            });
            sum += history.check();
        }
    }
    sum.report("two servers on one etcd, any of them killed", seed, rounds * 2);
    assert!(sum.unknown > 0 && sum.resumed > 0, "nothing was under way when something was killed: {sum:?}");
}
