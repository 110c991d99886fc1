//! The sampler owns the series: it takes a snapshot a tick, and what changed since the last one is a sample.

use std::collections::BTreeSet;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::log;
use crate::sample::{Sample, Snapshot};
use crate::series::Series;

/// The variable for the time between samples, in milliseconds. Hosts pass a plugin's settings as `GF_PLUGIN_KEY`.
const INTERVAL: &str = "GF_PLUGIN_SAMPLE_INTERVAL_MS";

/// An hour of seconds.
const CAPACITY: usize = 3_600;

/// Between the first two snapshots: long enough for a few ticks of the kernel's clock to go by.
const FIRST_GAP: Duration = Duration::from_millis(100);

/// So many paths may be measured, whatever data sources ask for.
const MAX_DISKS: usize = 16;

/// The path that is always measured.
const ROOT: &str = "/";

/// Takes samples of this machine.
#[derive(Debug)]
pub(crate) struct Sampler {
    pub(crate) interval: Duration,
    pub(crate) series: Series,
    disks: Mutex<BTreeSet<Arc<str>>>,
    faults: Mutex<Vec<String>>,
    taken: AtomicU64,
}

/// Reads the time between samples from the environment: 1 s when not set.
pub(crate) fn interval_from_env() -> anyhow::Result<Duration> {
    let Some(value) = env::var_os(INTERVAL) else { return Ok(Duration::from_secs(1)) };
    match value.to_str().and_then(|value| value.parse().ok()) {
        Some(ms @ 100..=60_000) => Ok(Duration::from_millis(ms)),
        _ => bail!("read {INTERVAL}={}: must be milliseconds from 100 to 60000", value.display()),
    }
}

impl Sampler {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            series: Series::new(CAPACITY),
            disks: Mutex::new(BTreeSet::from([Arc::from(ROOT)])),
            faults: Mutex::default(),
            taken: AtomicU64::new(0),
        }
    }

    /// Takes the first sample, so that the first query has data, and returns the snapshot to go on from.
    pub(crate) async fn prime(&self) -> anyhow::Result<Snapshot> {
        let first = self.read().await?;
        sleep(FIRST_GAP).await;
        self.step(&first).await
    }

    /// Takes a sample every interval. Never ends but by an error, or by being dropped.
    pub(crate) async fn run(&self, mut latest: Snapshot) -> anyhow::Result<()> {
        let mut ticks = interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            latest = self.step(&latest).await?;
        }
    }

    /// Measures these paths as well from the next sample on, as far as there is room for them.
    pub(crate) fn measure(&self, paths: &[String]) {
        let mut disks = lock(&self.disks);
        for path in paths {
            if disks.len() < MAX_DISKS {
                disks.insert(Arc::from(path.as_str()));
            }
        }
    }

    /// Returns what the last snapshot could not read.
    pub(crate) fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }

    /// Returns how many samples were ever taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    async fn step(&self, before: &Snapshot) -> anyhow::Result<Snapshot> {
        let now = self.read().await?;
        self.series.push(Sample::between(before, &now));
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.note(&now.faults);
        Ok(now)
    }

    /// Reads on a thread that may block: a path may be on a dead network mount.
    async fn read(&self) -> anyhow::Result<Snapshot> {
        let disks = lock(&self.disks).clone();
        tokio::task::spawn_blocking(move || Snapshot::read(&disks)).await.context("take a snapshot")
    }

    /// Keeps the faults, and logs them when they are others than before.
    fn note(&self, faults: &[String]) {
        let mut known = lock(&self.faults);
        if *known != faults {
            log::warn("what can be read changed", &json!({"unreadable": faults}));
            known.clear();
            known.extend_from_slice(faults);
        }
    }
}

/// A panic cannot leave these sets half changed, so a poisoned lock is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn primed_sampler_has_a_sample_and_knows_what_it_cannot_read() {
        let sampler = Sampler::new(Duration::from_secs(1));
        sampler.measure(&["/no-such-folder".to_owned()]);
        sampler.prime().await.unwrap();
        assert_eq!((sampler.taken(), sampler.series.extent().0), (1, 1));
        let faults = sampler.faults();
        assert!(faults.iter().any(|fault| fault.contains("/no-such-folder")), "{faults:?}");
    }

    #[test]
    fn measured_paths_are_bounded() {
        let sampler = Sampler::new(Duration::from_secs(1));
        sampler.measure(&(0..100).map(|n| format!("/{n}")).collect::<Vec<_>>());
        assert_eq!(lock(&sampler.disks).len(), MAX_DISKS);
    }
}
