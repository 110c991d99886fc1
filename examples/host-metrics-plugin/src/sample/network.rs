//! What went through each network interface: `/proc/net/dev`, in bytes per second.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Point, Quantity, rate};

pub(crate) static QUANTITIES: [Quantity; 2] = [
    Quantity { name: "received", unit: "Bps", label: "interface" },
    Quantity { name: "sent", unit: "Bps", label: "interface" },
];

/// More interfaces than this are not kept: the series of an hour must fit in memory.
const MAX_INTERFACES: usize = 32;

/// Bytes since the interface came up, in the order of [`QUANTITIES`].
type Bytes = [u64; QUANTITIES.len()];

pub(super) type Interfaces = BTreeMap<Arc<str>, Bytes>;

/// Reads the interfaces that ever carried anything, after the two lines of headings.
pub(super) fn parse(text: &str) -> Option<Interfaces> {
    let lines: Option<Vec<_>> = text.lines().skip(2).map(parse_line).collect();
    let used = lines?.into_iter().filter(|(_, bytes)| *bytes != Bytes::default());
    Some(used.take(MAX_INTERFACES).map(|(name, bytes)| (Arc::from(name), bytes)).collect())
}

/// `name: bytes packets errs drop fifo frame compressed multicast bytes …`, received first, then sent.
fn parse_line(line: &str) -> Option<(&str, Bytes)> {
    let (name, counters) = line.split_once(':')?;
    let mut words = counters.split_ascii_whitespace();
    let received = words.next()?.parse().ok()?;
    let sent = words.nth(7)?.parse().ok()?;
    Some((name.trim(), [received, sent]))
}

pub(super) fn points(before: &Interfaces, now: &Interfaces, seconds: f64) -> Vec<Point> {
    let common = now.iter().filter_map(|(name, now)| Some((name, before.get(name)?, now)));
    common.flat_map(|(name, before, now)| rate_points(name, *before, *now, seconds)).collect()
}

fn rate_points(name: &Arc<str>, before: Bytes, now: Bytes, seconds: f64) -> Vec<Point> {
    let counters = before.into_iter().zip(now);
    let rates = QUANTITIES.iter().zip(counters);
    rates
        .filter_map(|(quantity, (before, now))| Some(Point::new(quantity, name, rate(before, now, seconds)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Inter-|   Receive            |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n    \
        lo:    3493      35    0    0    0     0          0         0     3000      35    0    0    0     0\n  \
        ifb0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0\n  \
        eth0:1000 2 0 0 0 0 0 0 500 1 0 0 0 0\n";

    #[test]
    fn reads_used_interfaces_even_without_a_blank_after_the_colon() {
        let expected = [(Arc::from("eth0"), [1000, 500]), (Arc::from("lo"), [3493, 3000])];
        assert_eq!(parse(TEXT), Some(Interfaces::from(expected)));
    }

    #[test]
    fn refuses_a_line_without_name_or_numbers() {
        assert_eq!(parse("a\nb\neth0 1 2 3\n"), None);
        assert_eq!(parse("a\nb\neth0: 1 2 3\n"), None);
    }

    #[test]
    fn an_interface_that_came_up_anew_has_no_rate_until_it_passes_its_old_count() {
        let before = Interfaces::from([(Arc::from("eth0"), [1000, 500]), (Arc::from("lo"), [9, 9])]);
        let now = Interfaces::from([(Arc::from("eth0"), [3000, 500]), (Arc::from("lo"), [1, 1])]);
        let points = points(&before, &now, 2.0);
        let values: Vec<_> = points.iter().map(|p| (p.quantity.name, &*p.label, p.value)).collect();
        assert_eq!(values, [("received", "eth0", 1000.0), ("sent", "eth0", 0.0)]);
    }
}
