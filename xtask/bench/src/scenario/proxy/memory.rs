//! What a client's connection that rests costs a proxy, and a stream through it that rests: a watch without events. The
//! proxies are started anew for each protocol, so that nothing that was given back hides what is taken.

use std::time::Duration;

use http::{Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::super::Bench;
use super::{BODIES, Contest};
use crate::load::{Connection, Protocol, Target};
use crate::peer::Backend;
use crate::process::Process;
use crate::report::{Figure, Series};

/// How long memory may take to settle before it is read.
const REST: Duration = Duration::from_millis(500);
/// Connections before the first look: what is taken for the first ones is not the price of the next.
const WARM: usize = 16;

/// Memory in KiB.
#[derive(Default)]
struct Costs {
    idle: Vec<f64>,
    stream: Vec<f64>,
}

pub(super) async fn run(bench: &Bench, protocol: Protocol) -> anyhow::Result<Vec<Figure>> {
    let what = format!("memory of connections over {}", protocol.name());
    if !bench.wants(&what) {
        return Ok(Vec::new());
    }
    let (mut ours, mut nginx) = (Costs::default(), Costs::default());
    for round in 1..=bench.scale.rounds.min(3) {
        crate::progress(&format!("{what}, round {round}"));
        let name = format!("memory-{}-{round}", protocol.name().replace('/', "-"));
        let contest = Contest::prepare(bench, &name).await?;
        let count = bench.scale.proxied;
        ours.look(&contest.server.process, &contest.server.target, protocol, count).await?;
        if let Some(peer) = &contest.nginx {
            nginx.look(&peer.process, &peer.target, protocol, count).await?;
        }
    }
    let figure = |what: &str, ours: Vec<f64>, nginx: Vec<f64>| {
        let figure = Figure::lower(format!("proxy, {}: memory of {what}", protocol.name()), "KiB");
        figure.reached(Series::from(ours)).beside("nginx", Series::from(nginx))
    };
    Ok(vec![
        figure("a connection at rest", ours.idle, nginx.idle),
        figure("a watch at rest, its connection to the backend included", ours.stream, nginx.stream),
    ])
}

impl Costs {
    /// Opens connections, then a watch on each.
    async fn look(
        &mut self,
        process: &Process,
        target: &Target,
        protocol: Protocol,
        count: usize,
    ) -> anyhow::Result<()> {
        let warm = used(target, protocol, WARM).await?;
        let before = at_rest(process).await?;
        let mut connections = used(target, protocol, count).await?;
        let idle = at_rest(process).await?;
        let mut watches: Vec<Response<Incoming>> = Vec::new();
        for connection in &mut connections {
            let mut answer = connection.ask(Method::GET, &Backend::watch(), None).await?;
            anyhow::ensure!(answer.frame().await.is_some(), "a watch ended before its first event");
            watches.push(answer);
        }
        let streaming = at_rest(process).await?;
        drop((warm, watches));
        let share = |bytes: f64| bytes / 1024.0 / count as f64;
        self.idle.push(share(idle - before));
        self.stream.push(share(streaming - idle));
        Ok(())
    }
}

async fn at_rest(process: &Process) -> anyhow::Result<f64> {
    tokio::time::sleep(REST).await;
    process.anonymous()
}

/// Connections over which something was asked.
async fn used(target: &Target, protocol: Protocol, count: usize) -> anyhow::Result<Vec<Connection>> {
    let mut connections = target.connections(protocol, count).await?;
    let (size, _) = BODIES[0];
    for connection in &mut connections {
        connection.fetch(Method::GET, &Backend::object(size), None).await?;
    }
    Ok(connections)
}
