//! Latencies without their list: buckets that grow with the value, so that every quantile is known to 1.6 %.

use std::time::Duration;

/// Buckets to each power of two, as a power of two.
const PRECISION: u32 = 6;
const WIDTH: usize = 1 << PRECISION;
const BUCKETS: usize = (64 - PRECISION as usize + 1) * WIDTH;

/// How often each latency was seen, in nanoseconds.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// Counts what another one counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (own, other) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += other;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many latencies were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency that the share `quantile` of all stays at or below, rounded up by at most 1.6 %; 0 of none.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let wanted = ((self.count as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        Duration::from_nanos(found.map_or(0, upper).min(self.max))
    }

    /// The longest latency, exactly.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }
}

/// Small values have a bucket each; of a larger one the leading bits choose.
fn bucket(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(PRECISION + 1);
    shift as usize * WIDTH + (value >> shift) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let shift = (bucket / WIDTH).saturating_sub(1);
    let first = (bucket - shift * WIDTH) as u64;
    (((u128::from(first) + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_at_most_two_percent_wide() {
        for power in 0..64 {
            for value in
                [1u64 << power, (1 << power) + 1, (1u64 << power).wrapping_mul(3) / 2, u64::MAX >> power]
            {
                let (bucket, upper) = (bucket(value), upper(bucket(value)));
                assert!(bucket < BUCKETS && upper >= value, "{value}: bucket {bucket} ends at {upper}");
                assert!(upper - value <= value / WIDTH as u64, "{value}: {upper} is too far");
                assert_eq!(super::bucket(upper), bucket, "the bucket's end is in it");
            }
        }
    }

    #[test]
    fn quantiles_of_a_thousand_values_are_right_to_two_percent() {
        let (mut all, mut other) = (Histogram::default(), Histogram::default());
        for micros in 1..=1000u64 {
            let half = if micros % 2 == 0 { &mut all } else { &mut other };
            half.record(Duration::from_micros(micros));
        }
        all.add(&other);
        for (quantile, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = all.quantile(quantile).as_secs_f64() * 1e6;
            assert!((micros..=micros * 1.02).contains(&found), "{quantile}: {found} µs");
        }
        assert_eq!((all.count(), all.max()), (1000, Duration::from_millis(1)));
    }

    #[test]
    fn nothing_has_no_latency() {
        assert_eq!(Histogram::default().quantile(0.99), Duration::ZERO);
    }
}
