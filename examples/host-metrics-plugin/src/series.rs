//! The last samples in a ring; a query takes a range of them and turns them into columns.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sample::{Metric, Point, Quantity, Sample};

/// The last samples, oldest first, in the order of their times.
#[derive(Debug)]
pub(crate) struct Series {
    samples: Mutex<VecDeque<Arc<Sample>>>,
    capacity: usize,
}

impl Series {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { samples: Mutex::new(VecDeque::with_capacity(capacity)), capacity }
    }

    /// Adds a sample and drops the oldest one if there are too many. Samples of a later time go as well: the
    /// clock was set back, and times must not run backwards within an answer.
    pub(crate) fn push(&self, sample: Sample) {
        let mut samples = self.lock();
        while samples.back().is_some_and(|last| last.time_ms >= sample.time_ms) {
            samples.pop_back();
        }
        if samples.len() == self.capacity {
            samples.pop_front();
        }
        samples.push_back(Arc::new(sample));
    }

    /// Returns the samples between two times, epoch milliseconds, both included.
    pub(crate) fn select(&self, from_ms: i64, to_ms: i64) -> Vec<Arc<Sample>> {
        let samples = self.lock();
        let start = samples.partition_point(|sample| sample.time_ms < from_ms);
        let end = samples.partition_point(|sample| sample.time_ms <= to_ms).max(start);
        samples.range(start..end).cloned().collect()
    }

    /// Returns how many samples there are, and the time of the last one.
    pub(crate) fn extent(&self) -> (usize, Option<i64>) {
        let samples = self.lock();
        (samples.len(), samples.back().map(|sample| sample.time_ms))
    }

    /// A panic cannot leave the ring half changed, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Sample>>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One metric over time: a row a sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Epoch milliseconds, ascending.
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Column>,
}

/// One series over time; `None` where a sample has no such point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) quantity: &'static Quantity,
    pub(crate) label: Arc<str>,
    pub(crate) values: Vec<Option<f64>>,
}

impl Column {
    fn is_of(&self, point: &Point) -> bool {
        std::ptr::eq(self.quantity, point.quantity) && self.label == point.label
    }
}

impl Table {
    /// Lays out those points of a metric that `keep` wants, columns in the order of their first appearance.
    pub(crate) fn new(samples: &[Arc<Sample>], metric: Metric, keep: impl Fn(&Point) -> bool) -> Self {
        let times: Vec<i64> = samples.iter().map(|sample| sample.time_ms).collect();
        let mut columns: Vec<Column> = Vec::new();
        for (row, sample) in samples.iter().enumerate() {
            for point in sample.points(metric).iter().filter(|point| keep(point)) {
                column_of(&mut columns, point, times.len()).values[row] = Some(point.value);
            }
        }
        Self { times, columns }
    }

    /// Returns the table with at most `max` rows: neighbours within equal spans of time become one row, with
    /// the time of the last of them and the mean of their values. A `max` of 0 or less asks for all rows.
    ///
    /// The spans start at multiples of their length, so that rows stay what they are while time moves on.
    pub(crate) fn decimated(self, max: i64) -> Self {
        if max <= 0 || i64::try_from(self.times.len()).is_ok_and(|rows| rows <= max) {
            return self;
        }
        let groups = groups(&self.times, max);
        Self {
            times: groups.iter().map(|group| self.times[group.end - 1]).collect(),
            columns: self.columns.into_iter().map(|column| column.averaged(&groups)).collect(),
        }
    }
}

/// Finds the point's column, or adds one of `rows` empty values.
fn column_of<'a>(columns: &'a mut Vec<Column>, point: &Point, rows: usize) -> &'a mut Column {
    let index = columns.iter().position(|column| column.is_of(point)).unwrap_or_else(|| {
        let (quantity, label) = (point.quantity, Arc::clone(&point.label));
        columns.push(Column { quantity, label, values: vec![None; rows] });
        columns.len() - 1
    });
    &mut columns[index]
}

/// Cuts ascending times into at most `max` runs.
fn groups(times: &[i64], max: i64) -> Vec<std::ops::Range<usize>> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    // Aligned spans touch one more multiple than the whole time has lengths, hence max - 1.
    let span = if max == 1 { i64::MAX } else { (last - first) / (max - 1) + 1 };
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for (row, time) in times.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if times[group.start].div_euclid(span) == time.div_euclid(span) => {
                group.end = row + 1
            }
            _ => groups.push(row..row + 1),
        }
    }
    groups
}

impl Column {
    fn averaged(self, groups: &[std::ops::Range<usize>]) -> Self {
        let values = groups.iter().map(|group| mean(&self.values[group.clone()])).collect();
        Self { values, ..self }
    }
}

/// The mean of the values that are there.
fn mean(values: &[Option<f64>]) -> Option<f64> {
    let present: Vec<f64> = values.iter().flatten().copied().collect();
    (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(capacity: usize, times: impl IntoIterator<Item = i64>) -> Series {
        let series = Series::new(capacity);
        times.into_iter().for_each(|time| series.push(Sample::of_load(time, &[time as f64])));
        series
    }

    fn times(samples: &[Arc<Sample>]) -> Vec<i64> {
        samples.iter().map(|sample| sample.time_ms).collect()
    }

    fn table(times: impl IntoIterator<Item = i64>) -> Table {
        Table::new(&series(10_000, times).select(0, i64::MAX), Metric::Load, |_| true)
    }

    #[test]
    fn ring_keeps_the_last_samples() {
        let series = series(3, 1..=5);
        assert_eq!(times(&series.select(0, 100)), [3, 4, 5]);
        assert_eq!(series.extent(), (3, Some(5)));
    }

    #[test]
    fn selection_includes_both_ends_and_may_be_empty() {
        let series = series(10, [10, 20, 30, 40]);
        assert_eq!(times(&series.select(20, 30)), [20, 30]);
        assert_eq!(times(&series.select(21, 29)), [0; 0]);
        assert_eq!(times(&series.select(50, 5)), [0; 0]);
    }

    #[test]
    fn clock_set_back_drops_the_times_that_are_yet_to_come() {
        assert_eq!(times(&series(10, [10, 20, 30, 15]).select(0, 100)), [10, 15]);
    }

    #[test]
    fn a_series_that_comes_and_goes_has_gaps() {
        let samples = [Sample::of_load(1, &[1.0]), Sample::of_load(2, &[2.0, 5.0]), Sample::of_load(3, &[])];
        let table = Table::new(&samples.map(Arc::new), Metric::Load, |_| true);
        let values: Vec<_> = table.columns.iter().map(|column| column.values.clone()).collect();
        assert_eq!(values, [vec![Some(1.0), Some(2.0), None], vec![None, Some(5.0), None]]);
    }

    #[test]
    fn decimation_averages_neighbours_and_keeps_the_last_time() {
        let table = table([0, 10, 20, 30, 40, 50]).decimated(3);
        assert_eq!(table.times, [20, 50]);
        assert_eq!(table.columns[0].values, [Some(10.0), Some(40.0)]);
    }

    #[test]
    fn decimation_never_exceeds_the_limit() {
        for max in 1..=60 {
            for start in [0, 7, 999] {
                let table = table((0..50).map(|step| start + step * 1000 + step % 7)).decimated(max);
                let rows = i64::try_from(table.times.len()).unwrap();
                assert!(rows <= max && rows * 3 >= max.min(50), "{rows} rows of at most {max}");
                assert_eq!(table.columns[0].values.len(), table.times.len());
            }
        }
    }

    #[test]
    fn few_rows_and_no_limit_stay_as_they_are() {
        assert_eq!(table([1, 2, 3]).decimated(3), table([1, 2, 3]));
        assert_eq!(table([1, 2, 3]).decimated(0), table([1, 2, 3]));
        assert_eq!(table([]).decimated(1), table([]));
    }
}
