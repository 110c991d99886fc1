//! A crate that resolves to other features in another cargo call is built again; so none of ours may do that.
//!
//! Compared are all calls that xtask makes. Build scripts and derives are left out: they are small, and what
//! they resolve to is not in our hands.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::editions::combinations;
use crate::{bench, build, process, test};

/// Crates that may differ, since no line of ours could unite them and little is built on them twice.
const EXEMPT: [&str; 1] = [
    // The tests' random numbers want it to implement their trait; nothing in the product does.
    "getrandom",
];

/// The feature sets of each third-party crate, by `NAME VERSION`.
type FeatureSets = BTreeMap<String, BTreeSet<String>>;

/// Complains about each third-party crate whose feature sets differ between two calls.
pub(super) fn check(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    let mut first: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for (call, args) in calls() {
        let mut cargo = context.workspace.cargo(&["tree", "--locked", "--prefix", "none", "-f", "{p}\t{f}"]);
        for (name, sets) in parse(&process::quiet(cargo.args(args))?) {
            let known = first.entry(name.clone()).or_insert_with(|| (call.clone(), sets.clone()));
            let exempt = name.split(' ').next().is_some_and(|name| EXEMPT.contains(&name));
            if known.1 != sets && !exempt {
                complaints.push(difference(&name, known, &(call.clone(), sets)));
            }
        }
    }
    Ok(complaints)
}

/// What is built in one cargo call each, as arguments of `cargo tree`.
fn calls() -> Vec<(String, Vec<String>)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let product = words(&["-e", "normal,no-proc-macro"]);
    let of = |name: &str, more: Vec<String>| (name.to_owned(), [product.clone(), more].concat());
    let mut calls: Vec<_> = combinations().iter().map(|c| of(&c.to_string(), c.cargo_args())).collect();
    calls.push(of("the examples", words(&build::EXAMPLES)));
    calls.push(of("the faulty disk", words(&build::FAULTY_DISK)));
    calls.push(of("xtask", words(&["--package", "xtask"])));
    calls.push(of("the benchmarks", words(&bench::PACKAGES)));
    calls.push((
        "the tests".to_owned(),
        [words(&["-e", "no-build,no-proc-macro"]), test::packages()].concat(),
    ));
    calls
}

/// Names the features that only one of two calls has.
fn difference(name: &str, one: &(String, BTreeSet<String>), other: &(String, BTreeSet<String>)) -> String {
    let features = |sets: &BTreeSet<String>| -> BTreeSet<String> {
        sets.iter().flat_map(|set| set.split(',')).map(str::to_owned).collect()
    };
    let (left, right) = (features(&one.1), features(&other.1));
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join(",");
    let (left, right) = (only(&left, &right), only(&right, &left));
    format!("{name}: only in {} [{left}], only in {} [{right}]", one.0, other.0)
}

/// Reads `cargo tree -f "{p}\t{f}"`; our own crates carry their path and are left out.
fn parse(tree: &str) -> FeatureSets {
    let mut sets = FeatureSets::new();
    for (package, features) in tree.lines().filter_map(|line| line.split_once('\t')) {
        let package = package.trim_end_matches(" (proc-macro)");
        if !package.contains('(') {
            let features = features.trim_end_matches(" (*)").to_owned();
            sets.entry(package.to_owned()).or_default().insert(features);
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_features_that_are_not_common() {
        let sets = |call: &str, features: &str| (call.to_owned(), BTreeSet::from([features.to_owned()]));
        assert_eq!(
            difference("hyper v1", &sets("oss", "http1,http2"), &sets("the tests", "client,http1")),
            "hyper v1: only in oss [http2], only in the tests [client]"
        );
    }

    #[test]
    fn a_tree_gives_each_third_party_crate_with_all_its_feature_sets() {
        let tree = "ours v0.1.0 (/somewhere)\t\nhyper v1.0.0\thttp1,http2\nhyper v1.0.0\thttp1,http2 (*)\n\
                    syn v2.0.0\tfull\nsyn v2.0.0\t\nserde_derive v1.0.0 (proc-macro)\tdefault";
        let sets = parse(tree);
        let found: Vec<_> = sets.iter().map(|(name, sets)| (name.as_str(), sets.len())).collect();
        assert_eq!(found, [("hyper v1.0.0", 1), ("serde_derive v1.0.0", 1), ("syn v2.0.0", 2)]);
    }
}
