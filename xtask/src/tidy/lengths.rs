//! A ratchet: what is long today is written down in a baseline, and may only become shorter.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{Context, scan};

/// A function above this many lines is long.
const FUNCTION_LINES: usize = 70;
/// A file above this many lines is long.
const FILE_LINES: usize = 500;
const BASELINE: &str = "xtask/tidy.json";

/// What is longer than wanted, with its length in lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Long {
    files: BTreeMap<String, usize>,
    /// Keyed by `PATH NAME`; of several with one name the longest counts.
    functions: BTreeMap<String, usize>,
}

/// Complains about what grew past the baseline, and about a baseline that could be lower.
pub(super) fn check(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let today = measure(context)?;
    let path = context.workspace.path(BASELINE);
    let baseline: Long = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("parse {BASELINE}"))?,
        Err(_) => Long::default(),
    };
    let lowered = Long {
        files: lower(&baseline.files, &today.files),
        functions: lower(&baseline.functions, &today.functions),
    };
    let mut complaints = grown(&baseline.files, &today.files, FILE_LINES);
    complaints.extend(grown(&baseline.functions, &today.functions, FUNCTION_LINES));
    if context.bless {
        let text = serde_json::to_string_pretty(&lowered).context("write the baseline")?;
        std::fs::write(&path, text + "\n").with_context(|| format!("write {BASELINE}"))?;
    } else if lowered != baseline {
        complaints.push(format!("{BASELINE} allows more than is needed today"));
    }
    Ok(complaints)
}

fn measure(context: &Context<'_>) -> anyhow::Result<Long> {
    let mut long = Long::default();
    for file in context.files.iter().filter(|file| file.ends_with(".rs")) {
        let source =
            std::fs::read_to_string(context.workspace.path(file)).with_context(|| format!("read {file}"))?;
        if !is_generated(file, &source) {
            add(&mut long, file, &source);
        }
    }
    Ok(long)
}

fn add(long: &mut Long, file: &str, source: &str) {
    let lines = source.lines().count();
    if lines > FILE_LINES {
        long.files.insert(file.to_owned(), lines);
    }
    for function in scan::functions(source).into_iter().filter(|function| function.lines > FUNCTION_LINES) {
        let longest = long.functions.entry(format!("{file} {}", function.name)).or_default();
        *longest = function.lines.max(*longest);
    }
}

/// Generated code is as long as its source makes it.
fn is_generated(file: &str, source: &str) -> bool {
    file.contains("/generated/") || source.lines().take(5).any(|line| line.contains("@generated"))
}

fn grown(baseline: &BTreeMap<String, usize>, today: &BTreeMap<String, usize>, limit: usize) -> Vec<String> {
    let allowed = |key: &String| baseline.get(key).copied().unwrap_or(limit);
    let over = today.iter().filter(|(key, lines)| **lines > allowed(key));
    over.map(|(key, lines)| format!("{key}: {lines} lines, allowed are {}", allowed(key))).collect()
}

/// The baseline with each entry at most as high as today, and without what is no longer long.
fn lower(baseline: &BTreeMap<String, usize>, today: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let both = baseline.iter().filter_map(|(key, allowed)| Some((key, allowed, today.get(key)?)));
    both.map(|(key, allowed, lines)| (key.clone(), *allowed.min(lines))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, usize)]) -> BTreeMap<String, usize> {
        entries.iter().map(|(key, lines)| ((*key).to_owned(), *lines)).collect()
    }

    #[test]
    fn growth_and_newcomers_are_complaints_and_shrinking_is_none() {
        let baseline = table(&[("a", 90), ("b", 90), ("gone", 80)]);
        let today = table(&[("a", 91), ("b", 80), ("new", 71)]);
        assert_eq!(
            grown(&baseline, &today, 70),
            ["a: 91 lines, allowed are 90", "new: 71 lines, allowed are 70"]
        );
    }

    #[test]
    fn blessing_only_lowers() {
        let baseline = table(&[("a", 90), ("b", 90), ("gone", 80)]);
        let today = table(&[("a", 91), ("b", 80), ("new", 71)]);
        assert_eq!(lower(&baseline, &today), table(&[("a", 90), ("b", 80)]));
    }

    #[test]
    fn a_long_function_in_a_short_file_is_found() {
        let mut long = Long::default();
        add(&mut long, "x.rs", &format!("fn a() {{\n{}}}", "one();\n".repeat(70)));
        assert_eq!(long, Long { files: table(&[]), functions: table(&[("x.rs a", 72)]) });
    }
}
