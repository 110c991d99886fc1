//! Proves what an edition holds from the built binaries, not from the source that should have made them.

mod anchors;
mod purity;
mod table;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::build::Edition;
use crate::process;
use crate::workspace::Workspace;
use table::Table;

/// The runner features of the enterprise edition.
const FEATURES: [&str; 2] = ["aggregator", "dataplane"];

/// `cargo xtask editions`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the tables of today's binaries as the committed ones
    #[arg(long)]
    bless: bool,
}

/// An edition with the runner features that it is built with.
pub(crate) struct Combination {
    edition: Edition,
    features: Vec<&'static str>,
}

impl Combination {
    /// The arguments that make cargo build or list exactly this.
    pub(crate) fn cargo_args(&self) -> Vec<String> {
        let mut args = vec!["--package".to_owned(), self.edition.package().to_owned()];
        if self.edition == Edition::Enterprise {
            args.extend([
                "--no-default-features".to_owned(),
                "--features".to_owned(),
                self.features.join(","),
            ]);
        }
        args
    }

    /// Whether this is what the edition is by default, and so has a committed table of its own.
    fn is_default(&self) -> bool {
        self.edition == Edition::Oss || self.features == FEATURES
    }

    fn binary(&self, workspace: &Workspace) -> PathBuf {
        workspace.target().join("debug").join(self.edition.package())
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.edition {
            Edition::Oss => f.write_str("oss"),
            Edition::Enterprise => write!(f, "enterprise[{}]", self.features.join(",")),
        }
    }
}

/// OSS, and the enterprise edition with every set of features; the default comes last and stays built.
pub(crate) fn combinations() -> Vec<Combination> {
    let subsets = (0..1_usize << FEATURES.len()).map(|bits| {
        let chosen = FEATURES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        Combination { edition: Edition::Enterprise, features: chosen.map(|(_, feature)| *feature).collect() }
    });
    std::iter::once(Combination { edition: Edition::Oss, features: Vec::new() }).chain(subsets).collect()
}

/// Builds every combination, compares its table, and proves that OSS is free of enterprise code.
pub(crate) fn editions(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    let mut built = Vec::new();
    for combination in combinations() {
        let table = build(workspace, &combination)?;
        built.push((combination, table));
    }
    if args.bless {
        bless(workspace, &built)?;
    }
    for (combination, table) in &built {
        let expected = expected(workspace, combination)?;
        complaints
            .extend(table.differences(&expected).into_iter().map(|line| format!("{combination}: {line}")));
    }
    complaints.extend(purity::check(workspace)?);
    complaints.extend(anchors::check(workspace)?);
    for complaint in &complaints {
        eprintln!("editions: {complaint}");
    }
    if !complaints.is_empty() {
        bail!(
            "editions failed\nhint: mend the edition's Cargo.toml and src/main.rs, or accept new rows with \
             `cargo xtask editions --bless`"
        );
    }
    eprintln!("editions: {} combinations ok, no enterprise crate in oss, every anchor needed", built.len());
    Ok(())
}

/// Builds a combination, its own crate with warnings as errors, and asks the binary for its table.
fn build(workspace: &Workspace, combination: &Combination) -> anyhow::Result<Table> {
    let mut cargo = workspace.cargo(&["rustc"]);
    cargo.args(combination.cargo_args()).args([
        "--bin",
        combination.edition.package(),
        "--",
        "-D",
        "warnings",
    ]);
    process::run(&mut cargo).with_context(|| format!("build {combination}"))?;
    let mut binary = Command::new(combination.binary(workspace));
    let printed = process::capture(binary.args(["editions", "-o", "json"]))?;
    serde_json::from_str(&printed).with_context(|| format!("parse the edition table of {combination}"))
}

/// The committed table, with the rows whose feature is left out as noops.
fn expected(workspace: &Workspace, combination: &Combination) -> anyhow::Result<Table> {
    let path = committed(combination.edition);
    let text = std::fs::read_to_string(workspace.path(&path)).with_context(|| format!("read {path}"))?;
    let table: Table = serde_json::from_str(&text).with_context(|| format!("parse {path}"))?;
    let without =
        FEATURES.into_iter().filter(|feature| !combination.features.contains(feature)).collect::<Vec<_>>();
    Ok(if combination.is_default() { table } else { table.without(&without) })
}

fn bless(workspace: &Workspace, built: &[(Combination, Table)]) -> anyhow::Result<()> {
    for (combination, table) in built.iter().filter(|(combination, _)| combination.is_default()) {
        let path = committed(combination.edition);
        let text = serde_json::to_string_pretty(table).with_context(|| format!("write {path}"))?;
        std::fs::write(workspace.path(&path), text + "\n").with_context(|| format!("write {path}"))?;
        eprintln!("editions: wrote {path}");
    }
    Ok(())
}

fn committed(edition: Edition) -> String {
    format!("editions/{}/editions.json", edition.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_features_is_built_and_the_default_last() {
        let names: Vec<String> = combinations().iter().map(ToString::to_string).collect();
        let enterprise = ["", "aggregator", "dataplane", "aggregator,dataplane"];
        let expected: Vec<String> =
            enterprise.iter().map(|features| format!("enterprise[{features}]")).collect();
        assert_eq!(names[0], "oss");
        assert_eq!(names[1..], expected);
        let defaults = combinations().iter().filter(|combination| combination.is_default()).count();
        assert_eq!(defaults, 2);
    }
}
