//! One thing that was measured, of ours and of each peer in the same rounds.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// The values of one contestant, a round each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series(Vec<f64>);

/// Whether more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Better {
    Higher,
    Lower,
}

/// What is to be reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Aim {
    Below(f64),
    Peer(&'static str),
}

/// A measured figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    better: Better,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Aim>,
    ours: Series,
    peers: Vec<Beside>,
}

#[derive(Clone, Debug, Serialize)]
struct Beside {
    name: &'static str,
    values: Series,
    ratio: Option<f64>,
}

impl From<Vec<f64>> for Series {
    fn from(values: Vec<f64>) -> Self {
        Self(values)
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Series {
    /// The middle value, or the mean of the middle two; nothing has none.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
        Some(f64::midpoint(*low, *high))
    }

    /// The smallest and the largest value.
    pub(crate) fn spread(&self) -> Option<(f64, f64)> {
        let smallest = self.0.iter().copied().min_by(f64::total_cmp)?;
        Some((smallest, self.0.iter().copied().max_by(f64::total_cmp)?))
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Series", 2)?;
        out.serialize_field("median", &self.median())?;
        out.serialize_field("rounds", &self.0)?;
        out.end()
    }
}

impl Figure {
    /// A figure of which more is better.
    pub(crate) fn higher(name: String, unit: &'static str) -> Self {
        Self::new(name, unit, Better::Higher)
    }

    /// A figure of which less is better.
    pub(crate) fn lower(name: String, unit: &'static str) -> Self {
        Self::new(name, unit, Better::Lower)
    }

    fn new(name: String, unit: &'static str, better: Better) -> Self {
        Self { name, unit, better, aim: None, ours: Series::default(), peers: Vec::new() }
    }

    /// The aim is to stay below `limit`.
    pub(crate) fn aim_below(self, limit: f64) -> Self {
        Self { aim: Some(Aim::Below(limit)), ..self }
    }

    /// The aim is to be as good as this peer.
    pub(crate) fn aim_peer(self, peer: &'static str) -> Self {
        Self { aim: Some(Aim::Peer(peer)), ..self }
    }

    /// What ours reached.
    pub(crate) fn reached(self, ours: Series) -> Self {
        Self { ours, ..self }
    }

    /// What a peer reached; to be said after [`Self::reached`].
    pub(crate) fn beside(mut self, name: &'static str, values: Series) -> Self {
        let ratio = self.ratio(&values);
        self.peers.push(Beside { name, values, ratio });
        self
    }

    /// How many times better ours is.
    fn ratio(&self, peer: &Series) -> Option<f64> {
        let (ours, peer) = (self.ours.median()?, peer.median()?);
        let ratio = match self.better {
            Better::Higher => ours / peer,
            Better::Lower => peer / ours,
        };
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }

    /// Whether the aim was reached, if there is one.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.aim.as_ref()? {
            Aim::Below(limit) => Some(self.ours.median()? < *limit),
            Aim::Peer(name) => {
                let peer = self.peers.iter().find(|peer| peer.name == *name)?;
                Some(peer.ratio? >= 1.0)
            }
        }
    }

    /// The cells of the report's table: name, aim, reached, peers, ratios.
    pub(crate) fn cells(&self) -> [String; 5] {
        let aim = match &self.aim {
            Some(Aim::Below(limit)) => format!("< {} {}", number(*limit), self.unit),
            Some(Aim::Peer(name)) => format!("≥ {name}"),
            None => String::new(),
        };
        let verdict = match self.met() {
            Some(true) => " ✓",
            Some(false) => " ✗",
            None => "",
        };
        let peers = self.peers.iter().map(|peer| format!("{} {}", peer.name, self.value(&peer.values)));
        let ratio = |peer: &Beside| peer.ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        [
            self.name.clone(),
            aim,
            self.value(&self.ours) + verdict,
            peers.collect::<Vec<_>>().join("; "),
            self.peers.iter().map(ratio).collect::<Vec<_>>().join("; "),
        ]
    }

    /// The median with its unit, and the spread of several rounds.
    fn value(&self, series: &Series) -> String {
        let (Some(median), Some((low, high))) = (series.median(), series.spread()) else {
            return "–".to_owned();
        };
        let spread =
            if low == high { String::new() } else { format!(" ({}–{})", number(low), number(high)) };
        format!("{} {}{spread}", number(median), self.unit)
    }
}

/// Three digits, and no more.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        values.to_vec().into()
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(series(&[9.0, 1.0, 5.0]).median(), Some(5.0));
        assert_eq!(series(&[9.0, 1.0, 5.0, 6.0]).median(), Some(5.5));
        assert_eq!(series(&[]).median(), None);
        assert_eq!(series(&[9.0, 1.0, 5.0]).spread(), Some((1.0, 9.0)));
    }

    #[test]
    fn a_ratio_above_one_is_better_than_the_peer_whatever_is_measured() {
        let rate = Figure::higher("creates".to_owned(), "1/s").aim_peer("etcd");
        let rate = rate.reached(series(&[300.0])).beside("etcd", series(&[200.0]));
        assert_eq!((rate.peers[0].ratio, rate.met()), (Some(1.5), Some(true)));
        let time = Figure::lower("start".to_owned(), "s").aim_below(1.0);
        let time = time.reached(series(&[2.0])).beside("etcd", series(&[1.0]));
        assert_eq!((time.peers[0].ratio, time.met()), (Some(0.5), Some(false)));
    }

    #[test]
    fn a_peer_that_is_not_there_leaves_the_aim_open() {
        let figure = Figure::higher("list".to_owned(), "MiB/s").aim_peer("nginx").reached(series(&[1.0]));
        assert_eq!((figure.met(), figure.cells()[3].as_str()), (None, ""));
    }

    #[test]
    fn cells_tell_aim_median_spread_and_verdict() {
        let figure = Figure::lower("a get".to_owned(), "µs").aim_below(40.0);
        let figure = figure.reached(series(&[31.26, 30.0, 120.4])).beside("nginx", series(&[20.0]));
        assert_eq!(figure.cells(), ["a get", "< 40 µs", "31.3 µs (30–120) ✓", "nginx 20 µs", "0.64"]);
    }
}
