//! Ready again after kill -9, with all objects; the files are in the page cache, as after a crash of the process alone.

use std::time::Duration;

use super::Bench;
use crate::peer::Etcd;
use crate::process::Process;
use crate::report::Figure;
use crate::server::Server;

/// The aim of issue 3 with 100,000 objects, in seconds.
const READY: f64 = 1.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What was seen at one kind of server, a round each: seconds, seconds, and MiB.
#[derive(Default)]
struct Restarts {
    ready: Vec<f64>,
    cpu: Vec<f64>,
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
        ours.saw(server.start, &server.process)?;
        etcd.process.kill().await?;
        etcd = Etcd::start(&folder.join("etcd")).await?;
        peer.saw(etcd.start, &etcd.process)?;
    }
    let figure = |name: &str, unit, ours: Vec<f64>, peer: Vec<f64>| {
        let figure = Figure::lower(format!("restart with {count} objects: {name}"), unit);
        figure.reached(ours.into()).beside("etcd", peer.into())
    };
    Ok(vec![
        figure("ready after", "s", ours.ready, peer.ready).aim_below(READY),
        figure("CPU until then", "s", ours.cpu, peer.cpu),
        figure("memory then", "MiB", ours.resident, peer.resident),
    ])
}

impl Restarts {
    fn saw(&mut self, ready: Duration, process: &Process) -> anyhow::Result<()> {
        self.ready.push(ready.as_secs_f64());
        self.cpu.push(process.cpu()?.as_secs_f64());
        self.resident.push(process.memory()?.resident / MIB);
        Ok(())
    }
}
