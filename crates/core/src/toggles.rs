//! Feature toggles: which runners and modules should run. Names compare without regard to case.

use std::collections::BTreeMap;

/// Starts the aggregator of other API servers.
pub const KUBERNETES_AGGREGATOR: &str = "kubernetesAggregator";
/// Starts the aggregator of backend plugins.
pub const DATAPLANE_AGGREGATOR: &str = "dataplaneAggregator";

/// The toggles that every edition knows, whether or not it has the part.
pub const BUILT_IN: [&str; 2] = [DATAPLANE_AGGREGATOR, KUBERNETES_AGGREGATOR];

/// The state of every known toggle; all are off unless something turned them on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toggles(BTreeMap<String, bool>);

impl Toggles {
    /// All of `known`, off.
    pub fn off<'a>(known: impl IntoIterator<Item = &'a str>) -> Self {
        Self(known.into_iter().map(|name| (name.to_owned(), false)).collect())
    }

    /// Sets the toggle that `name` means.
    ///
    /// # Errors
    /// For an unknown name; the text suggests the nearest known one and lists all.
    pub fn set(&mut self, name: &str, on: bool) -> Result<(), String> {
        if let Some((_, value)) = self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            *value = on;
            return Ok(());
        }
        let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let hint = nearest(name, known.iter().copied())
            .map(|near| format!("did you mean {near:?}? "))
            .unwrap_or_default();
        Err(format!("unknown feature toggle {name:?}; {hint}known toggles: {}", known.join(", ")))
    }

    /// Whether the toggle `name` is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.0.iter().any(|(known, on)| *on && known.eq_ignore_ascii_case(name))
    }

    /// Every toggle with its state.
    pub fn iter(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(name, on)| (name.as_str(), *on))
    }
}

/// The one of `known` that looks most like `name`, if any is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let distances = known.into_iter().map(|known| (edit_distance(&name, &known.to_ascii_lowercase()), known));
    let (distance, known) = distances.min()?;
    (distance <= name.len().div_ceil(3)).then_some(known)
}

/// The least number of insertions, deletions and replacements between two texts.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_unknown_ones_are_suggested() {
        let mut toggles = Toggles::off(BUILT_IN);
        toggles.set("KUBERNETESaggregator", true).unwrap();
        assert!(toggles.is_on(KUBERNETES_AGGREGATOR) && !toggles.is_on(DATAPLANE_AGGREGATOR));
        let fault = toggles.set("kubernetesAgregator", true).unwrap_err();
        assert!(fault.contains("did you mean \"kubernetesAggregator\"?"), "{fault}");
        assert!(!toggles.set("zzz", true).unwrap_err().contains("did you mean"));
    }
}
