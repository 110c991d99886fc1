//! Two things go by the name of disk: filesystems, which fill up (`statvfs`), and devices, which are read and
//! written (`/proc/diskstats`). Filesystems are told apart by path, devices by name.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Point, Quantity, rate};

pub(crate) static QUANTITIES: [Quantity; 6] = [
    Quantity { name: "used_percent", unit: "percent", label: PATH },
    Quantity { name: "used", unit: "bytes", label: PATH },
    Quantity { name: "available", unit: "bytes", label: PATH },
    Quantity { name: "size", unit: "bytes", label: PATH },
    Quantity { name: "read", unit: "Bps", label: "device" },
    Quantity { name: "written", unit: "Bps", label: "device" },
];

/// The label of a filesystem's quantities.
pub(crate) const PATH: &str = "path";

/// The kernel counts in sectors of this size, whatever the device's own.
const SECTOR: u64 = 512;

/// More devices than this are not kept: the series of an hour must fit in memory.
const MAX_DEVICES: usize = 32;

/// Bytes read and written since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transferred {
    read: u64,
    written: u64,
}

pub(super) type Devices = BTreeMap<Arc<str>, Transferred>;

/// Reads the whole devices that have ever been used; their partitions would count everything twice.
pub(super) fn parse(text: &str) -> Option<Devices> {
    parse_where(text, |device| Path::new("/sys/block").join(device).exists())
}

fn parse_where(text: &str, is_whole: impl Fn(&str) -> bool) -> Option<Devices> {
    let lines: Option<Vec<_>> = text.lines().map(parse_line).collect();
    let used = lines?.into_iter().filter(|(_, bytes)| bytes.read + bytes.written > 0);
    let whole = used.filter(|(device, _)| is_whole(device));
    Some(whole.take(MAX_DEVICES).map(|(device, bytes)| (Arc::from(device), bytes)).collect())
}

/// Fields: major, minor, name, reads, merged, sectors read, ms, writes, merged, sectors written, …
fn parse_line(line: &str) -> Option<(&str, Transferred)> {
    let mut words = line.split_ascii_whitespace().skip(2);
    let device = words.next()?;
    let read: u64 = words.nth(2)?.parse().ok()?;
    let written: u64 = words.nth(3)?.parse().ok()?;
    Some((device, Transferred { read: read.saturating_mul(SECTOR), written: written.saturating_mul(SECTOR) }))
}

/// How full a filesystem is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    size: u64,
    used: u64,
    /// What a user without privileges may still write: less than what is free.
    available: u64,
}

/// Measures the filesystem that holds `path`. Blocks, on a dead network mount for long.
pub(crate) fn usage(path: &str) -> io::Result<Usage> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Usage {
        size: bytes(stat.f_blocks),
        used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
        available: bytes(stat.f_bavail),
    })
}

/// Measures all `paths`, and says in `faults` which could not be.
pub(super) fn usages(paths: &BTreeSet<Arc<str>>, faults: &mut Vec<String>) -> Vec<(Arc<str>, Usage)> {
    let mut usages = Vec::with_capacity(paths.len());
    for path in paths {
        match usage(path) {
            Ok(usage) => usages.push((Arc::clone(path), usage)),
            Err(error) => faults.push(format!("measure disk {path}: {error}")),
        }
    }
    usages
}

pub(super) fn points(
    filesystems: &[(Arc<str>, Usage)],
    before: &Devices,
    now: &Devices,
    seconds: f64,
) -> Vec<Point> {
    let usage = filesystems.iter().flat_map(|(path, usage)| usage_points(path, *usage));
    let common = now.iter().filter_map(|(device, now)| Some((device, before.get(device)?, now)));
    usage
        .chain(common.flat_map(|(device, before, now)| rate_points(device, *before, *now, seconds)))
        .collect()
}

/// Percent as df(1) counts them: of what users can have, not of the size.
fn usage_points(path: &Arc<str>, usage: Usage) -> [Point; 4] {
    let reach = (usage.used + usage.available).max(1) as f64;
    let values =
        [100.0 * usage.used as f64 / reach, usage.used as f64, usage.available as f64, usage.size as f64];
    std::array::from_fn(|index| Point::new(&QUANTITIES[index], path, values[index]))
}

fn rate_points(
    device: &Arc<str>,
    before: Transferred,
    now: Transferred,
    seconds: f64,
) -> impl Iterator<Item = Point> {
    let rates = [rate(before.read, now.read, seconds), rate(before.written, now.written, seconds)];
    let device = Arc::clone(device);
    QUANTITIES[4..]
        .iter()
        .zip(rates)
        .filter_map(move |(quantity, rate)| Some(Point::new(quantity, &device, rate?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n\
         254       0 vda 10 1 100 5 20 2 40 9 0 3 14 0 0 0 0 0 0\n\
         254       1 vda1 9 1 90 5 20 2 40 9 0 3 14\n";

    fn devices(text: &str) -> Devices {
        parse_where(text, |device| !device.ends_with('1')).unwrap()
    }

    #[test]
    fn reads_whole_used_devices_in_bytes() {
        let expected = Transferred { read: 100 * 512, written: 40 * 512 };
        assert_eq!(devices(TEXT), Devices::from([(Arc::from("vda"), expected)]));
    }

    #[test]
    fn refuses_a_line_that_is_too_short_or_has_words_for_numbers() {
        assert_eq!(parse_where("254 0 vda 10 1 100\n", |_| true), None);
        assert_eq!(parse_where("254 0 vda 10 1 many 5 20 2 40 9\n", |_| true), None);
    }

    #[test]
    fn rates_are_per_second_and_need_both_moments() {
        let later = devices(&TEXT.replace("10 1 100 5", "11 1 104 5"));
        let rates = points(&[], &devices(TEXT), &later, 2.0);
        let values: Vec<_> = rates.iter().map(|p| (p.quantity.name, &*p.label, p.value)).collect();
        assert_eq!(values, [("read", "vda", 1024.0), ("written", "vda", 0.0)]);
        assert!(points(&[], &Devices::new(), &later, 2.0).is_empty());
    }

    #[test]
    fn percent_is_of_what_users_can_have() {
        let usage = Usage { size: 1000, used: 300, available: 600 };
        let points = points(&[(Arc::from("/"), usage)], &Devices::new(), &Devices::new(), 1.0);
        let values: Vec<f64> = points.iter().map(|point| point.value).collect();
        assert_eq!(values, [100.0 / 3.0, 300.0, 600.0, 1000.0]);
    }

    #[test]
    fn a_path_that_is_missing_is_a_fault_and_the_others_are_measured() {
        let mut faults = Vec::new();
        let paths = BTreeSet::from([Arc::from("/"), Arc::from("/no-such-folder")]);
        assert_eq!(usages(&paths, &mut faults).len(), 1);
        assert!(faults.len() == 1 && faults[0].starts_with("measure disk /no-such-folder: "), "{faults:?}");
    }
}
