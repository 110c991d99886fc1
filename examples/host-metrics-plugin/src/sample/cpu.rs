//! How the CPUs' time was divided between modes: the first line of `/proc/stat`, in percent of all CPUs together.

use std::sync::Arc;

use super::{Point, Quantity};

pub(crate) static QUANTITIES: [Quantity; 1] = [Quantity { name: "cpu", unit: "percent", label: "mode" }];

/// In the order of the line. Guest time follows there, but the kernel counts it in `user` and `nice` already.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// Ticks spent in each of [`MODES`] since the machine started.
pub(super) type Times = [u64; MODES.len()];

pub(super) fn parse(text: &str) -> Option<Times> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut times = Times::default();
    for (time, word) in times.iter_mut().zip(line.split_ascii_whitespace()) {
        *time = word.parse().ok()?;
    }
    (times != Times::default()).then_some(times)
}

/// Returns the share of each mode; nothing if no tick went by. (The kernel's `iowait` may run backwards.)
pub(super) fn points(before: Times, now: Times) -> Vec<Point> {
    let deltas: Vec<u64> = now.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect();
    let total: u64 = deltas.iter().sum();
    if total == 0 {
        return Vec::new();
    }
    let share = |delta: u64| 100.0 * delta as f64 / total as f64;
    MODES
        .iter()
        .zip(deltas)
        .map(|(mode, d)| Point::new(&QUANTITIES[0], &Arc::from(*mode), share(d)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cpu  100 1 50 800 9 2 3 4 60 0\ncpu0 50 0 25 400 5 1 1 2 30 0\nintr 5\n";

    #[test]
    fn reads_the_line_of_all_cpus() {
        assert_eq!(parse(TEXT), Some([100, 1, 50, 800, 9, 2, 3, 4]));
        assert_eq!(parse("cpu  1 2 3 4\n"), Some([1, 2, 3, 4, 0, 0, 0, 0]));
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["", "cpu0 1 2 3\n", "cpu  one two\n", "cpu  \n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn shares_add_up_to_a_hundred() {
        let points = points([0; 8], [10, 0, 20, 60, 5, 0, 5, 0]);
        let values: Vec<(&str, f64)> = points.iter().map(|point| (&*point.label, point.value)).collect();
        assert_eq!(values[..4], [("user", 10.0), ("nice", 0.0), ("system", 20.0), ("idle", 60.0)]);
        assert_eq!(points.iter().map(|point| point.value).sum::<f64>(), 100.0);
    }

    #[test]
    fn no_tick_no_points_and_a_mode_that_ran_backwards_is_zero() {
        assert!(points([7; 8], [7; 8]).is_empty());
        let points = points([0, 0, 0, 0, 9, 0, 0, 0], [1, 0, 0, 0, 8, 0, 0, 0]);
        assert_eq!((points[0].value, points[4].value), (100.0, 0.0));
    }
}
