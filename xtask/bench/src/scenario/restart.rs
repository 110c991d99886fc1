//! Ready again after kill -9, with all objects; the files are in the page cache, as after a crash of the process alone.

use super::Bench;
use crate::peer::Etcd;
use crate::report::{Figure, Series};
use crate::server::Server;

/// The aim of issue 3 with 100,000 objects, in seconds.
const READY: f64 = 1.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What was seen at one kind of server, a round each.
#[derive(Default)]
struct Restarts {
    seconds: Vec<f64>,
    resident: Vec<f64>,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.scale.kept;
    crate::progress(&format!("make {count} objects"));
    let (mut server, mut etcd) = (bench.server("restart").await?, bench.etcd("restart").await?);
    server.fill("restart", count).await?;
    etcd.fill("/restart/", count).await?;
    let folder = bench.folder().join("restart");
    let (mut ours, mut peer) = (Restarts::default(), Restarts::default());
    for round in 1..=bench.scale.rounds {
        crate::progress(&format!("restarts, round {round} of {}", bench.scale.rounds));
        server.process.kill().await?;
        server = Server::start(&bench.binary, &folder.join("detectviz")).await?;
        ours.saw(server.start.as_secs_f64(), server.process.memory()?.resident);
        etcd.process.kill().await?;
        etcd = Etcd::start(&folder.join("etcd")).await?;
        peer.saw(etcd.start.as_secs_f64(), etcd.process.memory()?.resident);
    }
    let what = format!("restart with {count} objects");
    let ready = Figure::lower(format!("{what}: ready after"), "s").aim_below(READY);
    let resident = Figure::lower(format!("{what}: memory then"), "MiB");
    Ok(vec![
        ready.reached(Series::from(ours.seconds)).beside("etcd", Series::from(peer.seconds)),
        resident.reached(Series::from(ours.resident)).beside("etcd", Series::from(peer.resident)),
    ])
}

impl Restarts {
    fn saw(&mut self, seconds: f64, resident: f64) {
        self.seconds.push(seconds);
        self.resident.push(resident / MIB);
    }
}
