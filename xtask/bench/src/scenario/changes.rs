//! What it costs that the server keeps who set what: each way to change an object with managedFields, beside the plain update
//! of an object without, of the same size.

use super::Bench;
use super::rounds::{Contestant, count, interleave};
use crate::managed::{Change, Changer};
use crate::report::Figure;
use crate::server::Server;

const KIB: usize = crate::managed::SIZE / 1024;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    measure(bench, "changes", &[Change::Update, Change::Merge, Change::Strategic]).await
}

pub(super) async fn run_apply(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    measure(bench, "apply", &[Change::Apply]).await
}

async fn measure(bench: &Bench, name: &str, changes: &[Change]) -> anyhow::Result<Vec<Figure>> {
    let server = bench.server(name).await?;
    let mut figures = Vec::new();
    for clients in [1, 16] {
        for change in changes {
            crate::progress(&format!("{} by {}", change.name(), count(clients, "client")));
            figures.extend(duel(bench, &server, *change, clients).await?);
        }
    }
    Ok(figures)
}

async fn duel(bench: &Bench, server: &Server, change: Change, clients: usize) -> anyhow::Result<Vec<Figure>> {
    // Each duel has objects of its own, so that none begins with what another left.
    let namespace = format!("{change:?}-{clients}").to_lowercase();
    server.namespace(&namespace).await?;
    let of = async |change| {
        let clients = Changer::clients(&server.target, &namespace, change, clients).await?;
        anyhow::Ok(Contestant { process: &server.process, clients })
    };
    let (mut ours, mut plain) = (of(change).await?, of(Change::Plain).await?);
    let outcome = interleave(bench.scale, &mut ours, &mut [(Change::Plain.name(), &mut plain)]).await?;
    let what = format!("{} of {KIB} KiB, {}", change.name(), count(clients, "client"));
    let mut figures = vec![
        outcome.figure(Figure::higher(format!("{what}: rate"), "1/s"), |round| round.rate),
        outcome.figure(Figure::lower(format!("{what}: CPU of one"), "µs"), |round| round.cpu),
    ];
    figures.extend(outcome.latencies(&what));
    Ok(figures)
}
