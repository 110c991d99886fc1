//! The load generator: clients that each wait for their answer before they ask again, so that their number is the
//! concurrency. Raw HTTP, and nothing of the server's own crates, so that a fault of theirs cannot hide.

mod connection;
mod histogram;
mod tls;

pub(crate) use connection::{Connection, Protocol, RequestBody, Target};
pub(crate) use histogram::Histogram;
pub(crate) use tls::{Credentials, provider};

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::process::Process;

/// Something that asks one question after another.
pub(crate) trait Client: Send + 'static {
    /// Asks once and takes the whole answer.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What came of one round of load.
pub(crate) struct Round {
    /// Answers a second.
    pub(crate) rate: f64,
    /// From question to answer.
    pub(crate) latency: Histogram,
    /// CPU that the asked process used, in microseconds an answer.
    pub(crate) cpu: f64,
}

/// Lets all clients ask for `time`, and measures what `process` used meanwhile.
///
/// # Errors
/// The first failed call; a rate with failures in it would be a rate of something else.
pub(crate) async fn round<C: Client>(
    process: &Process,
    clients: &mut Vec<C>,
    time: Duration,
) -> anyhow::Result<Round> {
    let (began, cpu) = (Instant::now(), process.cpu()?);
    let end = began + time;
    let mut tasks = JoinSet::new();
    for client in clients.drain(..) {
        tasks.spawn(ask(client, move |_| Instant::now() < end));
    }
    let latency = gather(tasks, clients).await?;
    let cpu = process.cpu()?.saturating_sub(cpu);
    let rate = latency.count() as f64 / began.elapsed().as_secs_f64();
    Ok(Round { rate, cpu: cpu.as_secs_f64() * 1e6 / latency.count() as f64, latency })
}

/// Lets all clients together ask `calls` times.
///
/// # Errors
/// The first failed call.
pub(crate) async fn fill<C: Client>(clients: Vec<C>, calls: u64) -> anyhow::Result<()> {
    let (count, mut tasks) = (clients.len() as u64, JoinSet::new());
    for (index, client) in (0..).zip(clients) {
        let share = calls / count + u64::from(index < calls % count);
        tasks.spawn(ask(client, move |asked| asked < share));
    }
    gather(tasks, &mut Vec::new()).await.map(drop)
}

async fn ask<C: Client>(mut client: C, more: impl Fn(u64) -> bool) -> anyhow::Result<(C, Histogram)> {
    let mut latency = Histogram::default();
    while more(latency.count()) {
        let began = Instant::now();
        client.call().await?;
        latency.record(began.elapsed());
    }
    Ok((client, latency))
}

async fn gather<C: Client>(
    mut tasks: JoinSet<anyhow::Result<(C, Histogram)>>,
    clients: &mut Vec<C>,
) -> anyhow::Result<Histogram> {
    let mut all = Histogram::default();
    while let Some(ended) = tasks.join_next().await {
        let (client, latency) = ended.context("run a client")??;
        all.add(&latency);
        clients.push(client);
    }
    Ok(all)
}
