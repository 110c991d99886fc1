//! How many tasks ran or waited to run, averaged over 1, 5 and 15 minutes: `/proc/loadavg`.

use super::{Point, Quantity};

const fn average(name: &'static str) -> Quantity {
    Quantity { name, unit: "short", label: "" }
}

pub(crate) static QUANTITIES: [Quantity; 3] = [average("load1"), average("load5"), average("load15")];

/// In the order of [`QUANTITIES`].
pub(super) type Load = [f64; QUANTITIES.len()];

pub(super) fn parse(text: &str) -> Option<Load> {
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

pub(super) fn points(load: Load) -> Vec<Point> {
    QUANTITIES.iter().zip(load).map(|(quantity, value)| Point::single(quantity, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_averages() {
        let points = points(parse("0.25 1.50 12.00 2/345 6789\n").unwrap());
        let values: Vec<_> = points.iter().map(|point| (point.quantity.name, point.value)).collect();
        assert_eq!(values, [("load1", 0.25), ("load5", 1.5), ("load15", 12.0)]);
    }

    #[test]
    fn refuses_fewer_than_three_numbers() {
        assert_eq!(parse("0.25 1.50"), None);
        assert_eq!(parse("low low low"), None);
    }
}
