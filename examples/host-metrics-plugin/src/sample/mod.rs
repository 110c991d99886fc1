//! A sample is what changed between two snapshots of the kernel's counters, as a list of points a metric.
//!
//! Each metric has a file of its own here: how to read the kernel's text, and which points follow from it.
//! Source of the texts: proc(5).

mod cpu;
pub(crate) mod disk;
mod load;
mod memory;
mod network;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::Serialize;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Metric {
    Cpu,
    Memory,
    Disk,
    Load,
    Network,
}

impl Metric {
    pub(crate) const ALL: [Self; 5] = [Self::Cpu, Self::Memory, Self::Disk, Self::Load, Self::Network];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Load => "load",
            Self::Network => "network",
        }
    }

    /// Returns the metric of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Returns what a sample may hold of this metric.
    pub(crate) fn quantities(self) -> &'static [Quantity] {
        match self {
            Self::Cpu => &cpu::QUANTITIES,
            Self::Memory => &memory::QUANTITIES,
            Self::Disk => &disk::QUANTITIES,
            Self::Load => &load::QUANTITIES,
            Self::Network => &network::QUANTITIES,
        }
    }
}

/// A measured quantity.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Quantity {
    /// Its name in the answer.
    pub(crate) name: &'static str,
    /// Its unit, by Grafana's id.
    pub(crate) unit: &'static str,
    /// The label that tells its series apart; empty when there is but one.
    pub(crate) label: &'static str,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) quantity: &'static Quantity,
    /// The value of the quantity's label.
    pub(crate) label: Arc<str>,
    pub(crate) value: f64,
}

impl Point {
    fn new(quantity: &'static Quantity, label: &Arc<str>, value: f64) -> Self {
        Self { quantity, label: Arc::clone(label), value }
    }

    /// Returns the point of a quantity that has one series only.
    fn single(quantity: &'static Quantity, value: f64) -> Self {
        Self { quantity, label: Arc::from(""), value }
    }
}

/// The kernel's counters at one moment. What could not be read is `None` or empty, and in `faults`.
#[derive(Debug)]
pub(crate) struct Snapshot {
    instant: Instant,
    time_ms: i64,
    cpu: Option<cpu::Times>,
    memory: Option<memory::Memory>,
    load: Option<load::Load>,
    devices: disk::Devices,
    filesystems: Vec<(Arc<str>, disk::Usage)>,
    interfaces: network::Interfaces,
    /// What could not be read, and why.
    pub(crate) faults: Vec<String>,
}

impl Snapshot {
    /// Reads everything now; `disks` are the paths whose filesystems are measured. Blocks.
    pub(crate) fn read(disks: &BTreeSet<Arc<str>>) -> Self {
        let mut faults = Vec::new();
        Self {
            cpu: read("/proc/stat", cpu::parse, &mut faults),
            memory: read("/proc/meminfo", memory::parse, &mut faults),
            load: read("/proc/loadavg", load::parse, &mut faults),
            devices: read("/proc/diskstats", disk::parse, &mut faults).unwrap_or_default(),
            filesystems: disk::usages(disks, &mut faults),
            interfaces: read("/proc/net/dev", network::parse, &mut faults).unwrap_or_default(),
            instant: Instant::now(),
            time_ms: epoch_ms(),
            faults,
        }
    }
}

/// Reads and parses one file, or says in `faults` why not.
fn read<T>(path: &str, parse: impl FnOnce(&str) -> Option<T>, faults: &mut Vec<String>) -> Option<T> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    let parsed = text.and_then(|text| parse(&text).ok_or_else(|| "not in the form of proc(5)".to_owned()));
    parsed.map_err(|reason| faults.push(format!("read {path}: {reason}"))).ok()
}

/// Now, in epoch milliseconds; 0 on a clock before 1970.
pub(crate) fn epoch_ms() -> i64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// What was measured at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Epoch milliseconds.
    pub(crate) time_ms: i64,
    /// The points of each metric, in the order of [`Metric::ALL`].
    points: [Vec<Point>; 5],
}

impl Sample {
    /// Returns the state at `now` and the rates since `before`.
    pub(crate) fn between(before: &Snapshot, now: &Snapshot) -> Self {
        let seconds = now.instant.duration_since(before.instant).as_secs_f64();
        let points = [
            before.cpu.zip(now.cpu).map(|(before, now)| cpu::points(before, now)).unwrap_or_default(),
            now.memory.map(memory::points).unwrap_or_default(),
            disk::points(&now.filesystems, &before.devices, &now.devices, seconds),
            now.load.map(load::points).unwrap_or_default(),
            network::points(&before.interfaces, &now.interfaces, seconds),
        ];
        Self { time_ms: now.time_ms, points }
    }

    /// Returns the points of one metric.
    pub(crate) fn points(&self, metric: Metric) -> &[Point] {
        &self.points[metric as usize]
    }

    #[cfg(test)]
    pub(crate) fn of_load(time_ms: i64, values: &[f64]) -> Self {
        let points = load::QUANTITIES.iter().zip(values).map(|(q, value)| Point::single(q, *value)).collect();
        let mut sample = Self { time_ms, points: Default::default() };
        sample.points[Metric::Load as usize] = points;
        sample
    }
}

/// The rate of a counter per second; none if it went back, as it does when its device is a new one.
fn rate(before: u64, now: u64, seconds: f64) -> Option<f64> {
    let delta = now.checked_sub(before)?;
    (seconds > 0.0).then(|| delta as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_by_their_names_and_index_the_points() {
        for (index, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
            assert_eq!(metric as usize, index);
        }
        assert_eq!(Metric::from_name("gpu"), None);
    }

    #[test]
    fn a_counter_that_went_back_has_no_rate() {
        assert_eq!(rate(100, 300, 2.0), Some(100.0));
        assert_eq!(rate(300, 100, 2.0), None);
        assert_eq!(rate(100, 300, 0.0), None);
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_and_not_a_failure() {
        let mut faults = Vec::new();
        assert_eq!(read("/proc/no-such-file", load::parse, &mut faults), None);
        assert_eq!(read("/proc/self/comm", load::parse, &mut faults), None);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("read /proc/no-such-file: "), "{faults:?}");
    }

    #[test]
    fn this_machine_gives_points_of_its_own() {
        let disks = BTreeSet::from([Arc::from("/")]);
        let (before, now) = (Snapshot::read(&disks), Snapshot::read(&disks));
        let sample = Sample::between(&before, &now);
        for metric in [Metric::Memory, Metric::Disk, Metric::Load] {
            assert!(!sample.points(metric).is_empty(), "{metric:?}: {:?}", now.faults);
        }
    }
}
