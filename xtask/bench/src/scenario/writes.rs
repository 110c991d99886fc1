//! Creates and updates, each acknowledged when it is on disk, beside etcd's put, which promises the same.

use super::rounds::{Contestant, count, interleave};
use super::{Bench, Scale};
use crate::load::Client;
use crate::peer::Putter;
use crate::process::Process;
use crate::report::Figure;
use crate::server::{Creator, Updater};

const NAMESPACE: &str = "writes";

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (server, etcd) = (bench.server("writes").await?, bench.etcd("writes").await?);
    server.namespace(NAMESPACE).await?;
    let mut figures = Vec::new();
    for clients in [1, 16, 64] {
        crate::progress(&format!("creates and updates by {}", count(clients, "client")));
        let (ours, peer) = (&server.process, &etcd.process);
        let creators = Creator::clients(&server.target, NAMESPACE, &format!("c{clients}"), clients).await?;
        let putters = Putter::clients(&etcd.target, &format!("/c{clients}/"), clients, false).await?;
        figures.extend(duel(bench.scale, "creates", (ours, creators), (peer, putters)).await?);
        let updaters = Updater::clients(&server.target, NAMESPACE, &format!("u{clients}"), clients).await?;
        let putters = Putter::clients(&etcd.target, &format!("/u{clients}/"), clients, true).await?;
        figures.extend(duel(bench.scale, "updates", (ours, updaters), (peer, putters)).await?);
    }
    Ok(figures)
}

async fn duel(
    scale: Scale,
    verb: &str,
    ours: (&Process, Vec<impl Client>),
    peer: (&Process, Vec<impl Client>),
) -> anyhow::Result<Vec<Figure>> {
    let what = format!("{verb}, {}", count(ours.1.len(), "client"));
    let mut ours = Contestant { process: ours.0, clients: ours.1 };
    let mut peer = Contestant { process: peer.0, clients: peer.1 };
    let outcome = interleave(scale, &mut ours, &mut [("etcd", &mut peer)]).await?;
    let rate = Figure::higher(format!("{what}: rate"), "1/s").aim_peer("etcd");
    let mut figures = vec![outcome.figure(rate, |round| round.rate)];
    figures.extend(outcome.latencies(&what));
    figures.push(outcome.figure(Figure::lower(format!("{what}: CPU of one"), "µs"), |round| round.cpu));
    Ok(figures)
}
