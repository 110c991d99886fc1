//! The rows of `detectviz editions -o json` that are a property of the binary, not of its configuration.

use serde::{Deserialize, Serialize};

/// The runners and modules of a binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    edition: String,
    entries: Vec<Row>,
}

/// One runner or module; what the binary prints beyond this depends on the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    name: String,
    kind: String,
    provided: bool,
    implementation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    toggle: Option<String>,
}

impl Table {
    /// This table as it has to be when the runners of `features` are left out at compile time.
    pub(super) fn without(mut self, features: &[&str]) -> Self {
        for row in &mut self.entries {
            if feature(&row.kind).is_some_and(|feature| features.contains(&feature)) {
                row.provided = false;
                row.implementation = "noop".to_owned();
            }
        }
        self
    }

    /// One line for each row that differs, is missing, or is too many.
    pub(super) fn differences(&self, expected: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.edition != expected.edition {
            lines.push(format!("calls itself `{}`, expected `{}`", self.edition, expected.edition));
        }
        for row in &self.entries {
            match expected.row(row) {
                Some(other) if other == row => {}
                Some(other) => lines.push(format!("row {row:?}, expected {other:?}")),
                None => lines.push(format!("row {row:?} is not in the committed table")),
            }
        }
        let missing = expected.entries.iter().filter(|row| self.row(row).is_none());
        lines.extend(missing.map(|row| format!("row {row:?} is missing")));
        lines
    }

    fn row(&self, like: &Row) -> Option<&Row> {
        self.entries.iter().find(|row| (&row.kind, &row.name) == (&like.kind, &like.name))
    }
}

/// The feature of the enterprise edition that provides a kind of row.
fn feature(kind: &str) -> Option<&'static str> {
    match kind {
        "AggregatorRunner" => Some("aggregator"),
        "DataplaneRunner" => Some("dataplane"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"{"edition":"enterprise","entries":[
        {"name":"aggregator","kind":"AggregatorRunner","provided":true,"implementation":"detectviz-aggregator",
         "toggle":"kubernetesAggregator","wouldStart":false,"reason":"toggle is off"},
        {"name":"dataplane","kind":"DataplaneRunner","provided":true,"implementation":"detectviz-dataplane",
         "toggle":"dataplaneAggregator","wouldStart":true}]}"#;

    fn full() -> Table {
        serde_json::from_str(FULL).unwrap()
    }

    #[test]
    fn what_depends_on_the_configuration_is_not_compared() {
        let other = FULL.replace("\"wouldStart\":false,\"reason\":\"toggle is off\"", "\"wouldStart\":true");
        let other: Table = serde_json::from_str(&other).unwrap();
        assert!(other.differences(&full()).is_empty());
        assert!(!serde_json::to_string(&other).unwrap().contains("wouldStart"));
    }

    #[test]
    fn a_feature_left_out_is_expected_as_a_noop() {
        let expected = full().without(&["dataplane"]);
        let differences = full().differences(&expected);
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert!(differences[0].contains("DataplaneRunner") && differences[0].contains("noop"));
    }

    #[test]
    fn a_missing_row_a_new_row_and_another_edition_are_differences() {
        let mut other = full();
        other.edition = "oss".to_owned();
        other.entries[1].name = "second".to_owned();
        assert_eq!(other.differences(&full()).len(), 3);
    }
}
