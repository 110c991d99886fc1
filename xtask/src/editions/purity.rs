//! An enterprise crate leaks into OSS by one line of a manifest; the tree and the binary both would show it.

use anyhow::Context as _;

use crate::build::Edition;
use crate::process;
use crate::workspace::Workspace;

/// Crates that only the enterprise edition may have in its tree.
const CRATES: [&str; 4] =
    ["detectviz-aggregator", "detectviz-dataplane", "detectviz-pluginv2", "detectviz-tether"];

/// What symbols and panic locations of the enterprise crates carry.
const MARKS: [&str; 3] = ["detectviz_aggregator", "detectviz_dataplane", "detectviz_pluginv2"];

/// Complains about each enterprise crate in the OSS tree (optional ones too) or in the OSS binary.
pub(super) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut cargo = workspace.cargo(&["tree", "--all-features", "--target", "all", "-e", "no-dev"]);
    cargo.args(["--prefix", "none", "-f", "{p}", "--package", Edition::Oss.package()]);
    let tree = process::capture(&mut cargo)?;
    let mut complaints: Vec<String> =
        listed(&tree).into_iter().map(|name| format!("oss depends on {name}")).collect();
    let binary = |edition: Edition| {
        let path = workspace.target().join("debug").join(edition.package());
        std::fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let (oss, enterprise) = (binary(Edition::Oss)?, binary(Edition::Enterprise)?);
    for mark in MARKS {
        if contains(&oss, mark) {
            complaints.push(format!("the oss binary contains {mark}"));
        }
        if !contains(&enterprise, mark) {
            complaints
                .push(format!("the enterprise binary lacks {mark}, so its absence in oss proves nothing"));
        }
    }
    Ok(complaints)
}

/// The enterprise crates that a tree lists.
fn listed(tree: &str) -> Vec<&'static str> {
    let has = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    CRATES.into_iter().filter(|name| has(name)).collect()
}

fn contains(binary: &[u8], mark: &str) -> bool {
    binary.windows(mark.len()).any(|window| window == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_found_by_its_whole_name() {
        let tree = "detectviz-oss v0.1.0\ndetectviz-tether v0.1.0\ndetectviz-dataplane-sdk v1.0.0";
        assert_eq!(listed(tree), ["detectviz-tether"]);
    }

    #[test]
    fn a_mark_is_found_anywhere_in_a_binary() {
        assert!(contains(b"\0\x01detectviz_aggregator::x", MARKS[0]));
        assert!(!contains(b"\0detectviz_aggr", MARKS[0]));
    }
}
