//! What the server costs before anybody uses it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::Bench;
use crate::peer::{Etcd, etcd_binary};
use crate::report::{Figure, Series};
use crate::server::Server;

const MIB: f64 = 1024.0 * 1024.0;
/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_millis(500);

/// What was seen of empty servers, a round each: milliseconds, and MiB.
#[derive(Default)]
struct Starts {
    first: Vec<f64>,
    second: Vec<f64>,
    resident: Vec<f64>,
    anonymous: Vec<f64>,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (mut ours, mut peer) = (Starts::default(), Starts::default());
    for round in 1..=bench.scale.rounds {
        crate::progress(&format!("starts, round {round} of {}", bench.scale.rounds));
        let folder = bench.folder().join(format!("footprint-{round}"));
        for times in [&mut ours.first, &mut ours.second] {
            let mut server = Server::start(&bench.binary, &folder.join("detectviz")).await?;
            times.push(server.start.as_secs_f64() * 1e3);
            tokio::time::sleep(REST).await;
            let memory = server.process.memory()?;
            ours.resident.push(memory.resident / MIB);
            ours.anonymous.push(memory.anonymous / MIB);
            server.process.kill().await?;
        }
        for times in [&mut peer.first, &mut peer.second] {
            let mut etcd = Etcd::start(&folder.join("etcd")).await?;
            times.push(etcd.start.as_secs_f64() * 1e3);
            tokio::time::sleep(REST).await;
            let memory = etcd.process.memory()?;
            peer.resident.push(memory.resident / MIB);
            peer.anonymous.push(memory.anonymous / MIB);
            etcd.process.kill().await?;
        }
    }
    let figure = |name: &str, unit, ours: &[f64], peer: &[f64]| {
        let figure = Figure::lower(name.to_owned(), unit).reached(Series::from(ours.to_vec()));
        figure.beside("etcd", Series::from(peer.to_vec()))
    };
    Ok(vec![
        figure("first start, with new keys and certificates: ready after", "ms", &ours.first, &peer.first),
        figure("start of an empty server: ready after", "ms", &ours.second, &peer.second),
        figure("idle: resident memory", "MiB", &ours.resident, &peer.resident),
        figure("idle: anonymous memory", "MiB", &ours.anonymous, &peer.anonymous),
        figure("binary", "MiB", &[size(&bench.binary)?], &[size(etcd_binary()?)?]),
    ])
}

fn size(binary: &Path) -> anyhow::Result<f64> {
    let file = std::fs::metadata(binary).with_context(|| format!("look at {}", binary.display()))?;
    Ok(file.len() as f64 / MIB)
}
