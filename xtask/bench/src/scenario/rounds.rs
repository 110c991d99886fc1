//! Turns: ours, the first peer, the second, ours again, so that whatever the machine does meanwhile hits all alike.

use std::pin::Pin;

use super::Scale;
use crate::load::{self, Client, Round};
use crate::process::Process;
use crate::report::{Figure, Series};

/// Clients and what they ask.
pub(super) struct Contestant<'a, C> {
    pub(super) process: &'a Process,
    pub(super) clients: Vec<C>,
}

type Turn<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Round>> + 'a>>;

/// Whatever can take a turn.
pub(super) trait Compete {
    fn turn(&mut self, time: std::time::Duration) -> Turn<'_>;
}

impl<C: Client> Compete for Contestant<'_, C> {
    fn turn(&mut self, time: std::time::Duration) -> Turn<'_> {
        Box::pin(load::round(self.process, &mut self.clients, time))
    }
}

/// What ours and each peer reached, a round each.
pub(super) struct Outcome {
    ours: Vec<Round>,
    peers: Vec<(&'static str, Vec<Round>)>,
}

/// Lets all take turns; the first one of each is short and not counted.
pub(super) async fn interleave(
    scale: Scale,
    ours: &mut dyn Compete,
    peers: &mut [(&'static str, &mut dyn Compete)],
) -> anyhow::Result<Outcome> {
    let names = peers.iter().map(|(name, _)| (*name, Vec::new()));
    let mut outcome = Outcome { ours: Vec::new(), peers: names.collect() };
    ours.turn(scale.turn / 4).await?;
    for (_, peer) in peers.iter_mut() {
        peer.turn(scale.turn / 4).await?;
    }
    for _ in 0..scale.rounds {
        outcome.ours.push(ours.turn(scale.turn).await?);
        for ((_, peer), (_, rounds)) in peers.iter_mut().zip(&mut outcome.peers) {
            rounds.push(peer.turn(scale.turn).await?);
        }
    }
    Ok(outcome)
}

impl Outcome {
    /// A figure whose value in each round `of` finds.
    pub(super) fn figure(&self, figure: Figure, of: impl Fn(&Round) -> f64) -> Figure {
        let series = |rounds: &[Round]| rounds.iter().map(&of).collect::<Series>();
        let figure = figure.reached(series(&self.ours));
        self.peers.iter().fold(figure, |figure, (name, rounds)| figure.beside(name, series(rounds)))
    }

    /// The two figures about latency, of calls that are called `what`.
    pub(super) fn latencies(&self, what: &str) -> [Figure; 2] {
        [0.5, 0.99].map(|quantile| {
            let name = format!("{what}: p{:.0}", quantile * 100.0);
            self.figure(Figure::lower(name, "ms"), |round| {
                round.latency.quantile(quantile).as_secs_f64() * 1e3
            })
        })
    }
}

/// A number of things, as people say it.
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
