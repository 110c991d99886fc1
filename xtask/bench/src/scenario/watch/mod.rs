//! Many watchers of one changing object: how late each change arrives, and what a watcher and a connection cost.

mod fan;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::{Method, Response};
use hyper::body::Incoming;
use tokio::time::MissedTickBehavior;

use self::fan::Fan;
use super::Bench;
use crate::load::{Client, Connection, Histogram, Protocol, Target};
use crate::peer::{Etcd, Putter, Ranger};
use crate::process::Process;
use crate::report::{Figure, Series};
use crate::server::{Getter, Updater, collection};

/// Aims of issue 3: the lag that 99 of 100 events stay below, in milliseconds, and memory of a watcher, in KiB.
const LAG: f64 = 10.0;
const WATCHER: f64 = 10.0;
/// Changes a second.
const RATE: u32 = 50;
/// Connections that are opened to see what one costs.
const CONNECTIONS: usize = 200;
/// How long memory may take to settle before it is read.
const REST: Duration = Duration::from_millis(300);
const NAMESPACE: &str = "watch";

/// One contestant: who writes, and those who see it.
struct Side<'a, C> {
    process: &'a Process,
    writer: C,
    written: usize,
    fan: Fan,
    cost: Cost,
}

/// Memory in KiB.
#[derive(Clone, Copy)]
struct Cost {
    connection: f64,
    watcher: f64,
}

/// What one turn showed.
struct Turn {
    from_send: Histogram,
    from_answer: Histogram,
    /// Microseconds of CPU an event and watcher.
    cpu: f64,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (server, etcd) = (bench.server("watch").await?, bench.etcd("watch").await?);
    crate::progress("open connections and watches");
    server.namespace(NAMESPACE).await?;
    let writer = Updater::new(&server.target, NAMESPACE, "one").await?;
    let path = format!("{}?watch=true&allowWatchBookmarks=true", collection(NAMESPACE));
    let watch = async |to: &mut Connection| to.ask(Method::GET, &path, None).await;
    let mut ours = Side::open(bench, (&server.process, &server.target), writer, watch).await?;
    let path = format!("{}/one", collection(NAMESPACE));
    let connect = async || Getter::clients(&server.target, Protocol::Http2, &path, CONNECTIONS).await;
    // After the watches: memory that closed connections gave back would hide what watches take.
    ours.cost.connection = connection_cost(&server.process, connect).await?;

    let writer = Putter::clients(&etcd.target, "/watch/", 1, true).await?.pop().context("make a writer")?;
    let watch = async |to: &mut Connection| Etcd::watch(to, "/watch/").await;
    let mut peer = Side::open(bench, (&etcd.process, &etcd.target), writer, watch).await?;
    let connect = async || Ranger::clients(&etcd.target, "/watch/0", CONNECTIONS).await;
    peer.cost.connection = connection_cost(&etcd.process, connect).await?;

    let (mut our_turns, mut peer_turns) = (Vec::new(), Vec::new());
    for round in 1..=bench.scale.rounds {
        crate::progress(&format!("{} watchers, round {round} of {}", ours.fan.len(), bench.scale.rounds));
        our_turns.push(ours.turn(bench.scale.turn).await?);
        peer_turns.push(peer.turn(bench.scale.turn).await?);
    }
    Ok(figures(ours.fan.len(), (&our_turns, ours.cost), (&peer_turns, peer.cost)))
}

/// The memory that one more connection costs the server, in KiB, once something was asked over it.
async fn connection_cost<C: Client>(
    process: &Process,
    connect: impl AsyncFn() -> anyhow::Result<Vec<C>>,
) -> anyhow::Result<f64> {
    // What the server takes for the first ones, and keeps, is not the price of the next.
    let _first = asked(connect().await?).await?;
    let before = process.memory()?.anonymous;
    let next = asked(connect().await?).await?;
    Ok((process.memory()?.anonymous - before) / 1024.0 / next.len() as f64)
}

async fn asked<C: Client>(mut clients: Vec<C>) -> anyhow::Result<Vec<C>> {
    for client in &mut clients {
        client.call().await?;
    }
    tokio::time::sleep(REST).await;
    Ok(clients)
}

impl<'a, C: Client> Side<'a, C> {
    /// Opens all watches, and returns once each has seen a change.
    async fn open(
        bench: &Bench,
        (process, target): (&'a Process, &Target),
        writer: C,
        watch: impl AsyncFn(&mut Connection) -> anyhow::Result<Response<Incoming>>,
    ) -> anyhow::Result<Self> {
        let (connections, each) = bench.scale.watchers;
        let connections = target.connections(Protocol::Http2, connections).await?;
        tokio::time::sleep(REST).await;
        let before = process.memory()?.anonymous;
        let fan = Fan::open(connections, each, watch).await?;
        let cost = Cost { connection: 0.0, watcher: 0.0 };
        let mut own = Self { process, writer, written: 0, fan, cost };
        own.turn(Duration::ZERO).await?;
        tokio::time::sleep(REST).await;
        own.cost.watcher = (process.memory()?.anonymous - before) / 1024.0 / own.fan.len() as f64;
        Ok(own)
    }

    /// Writes at [`RATE`] for `time`, at least once, and waits until every watcher has seen all of it.
    async fn turn(&mut self, time: Duration) -> anyhow::Result<Turn> {
        let (first, cpu, began) = (self.written + 1, self.process.cpu()?, Instant::now());
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        while sent.is_empty() || began.elapsed() < time {
            ticks.tick().await;
            sent.push(Instant::now());
            self.writer.call().await?;
            answered.push(Instant::now());
            self.written += 1;
        }
        self.fan.reached(self.written).await?;
        let cpu = self.process.cpu()?.saturating_sub(cpu);
        let mut turn = Turn { from_send: Histogram::default(), from_answer: Histogram::default(), cpu: 0.0 };
        for (sequence, at) in self.fan.take() {
            let Some(index) = sequence.checked_sub(first) else { continue };
            turn.from_send.record(at.saturating_duration_since(sent[index]));
            turn.from_answer.record(at.saturating_duration_since(answered[index]));
        }
        turn.cpu = cpu.as_secs_f64() * 1e6 / turn.from_send.count() as f64;
        Ok(turn)
    }
}

fn figures(watchers: usize, ours: (&[Turn], Cost), etcd: (&[Turn], Cost)) -> Vec<Figure> {
    let turns = |figure: Figure, of: &dyn Fn(&Turn) -> f64| {
        let series = |turns: &[Turn]| turns.iter().map(of).collect::<Series>();
        figure.reached(series(ours.0)).beside("etcd", series(etcd.0))
    };
    let cost = |name: &str, of: fn(Cost) -> f64| {
        let figure = Figure::lower(name.to_owned(), "KiB");
        figure.reached(Series::from(vec![of(ours.1)])).beside("etcd", Series::from(vec![of(etcd.1)]))
    };
    let what = format!("{watchers} watchers, {RATE} events/s each");
    let lag = |kind: &str| Figure::lower(format!("{what}: lag from {kind}"), "ms");
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    vec![
        turns(lag("write sent, p50"), &|turn| millis(turn.from_send.quantile(0.5))),
        turns(lag("write sent, p99").aim_below(LAG), &|turn| millis(turn.from_send.quantile(0.99))),
        turns(lag("write sent, max"), &|turn| millis(turn.from_send.max())),
        turns(lag("answer, p99"), &|turn| millis(turn.from_answer.quantile(0.99))),
        turns(Figure::lower(format!("{what}: CPU of one event"), "µs"), &|turn| turn.cpu),
        cost("memory of a watcher on a shared connection", |cost| cost.watcher).aim_below(WATCHER),
        cost("memory of an idle TLS connection", |cost| cost.connection),
    ]
}
