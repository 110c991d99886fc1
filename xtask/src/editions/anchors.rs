//! Without its anchor line a runner registers nothing and nobody notices: so each missing one must fail to build.
//!
//! Variants of `main.rs` are compiled by a direct call of rustc against what cargo just built, from a
//! folder below `target`; the checkout itself is never changed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use super::FEATURES;
use crate::build::Edition;
use crate::process;
use crate::workspace::Workspace;

const MAIN: &str = "editions/enterprise/src/main.rs";

/// Complains about each anchor whose removal goes unnoticed, and when there is none to remove.
pub(super) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let main = std::fs::read_to_string(workspace.path(MAIN)).with_context(|| format!("read {MAIN}"))?;
    let externs = externs(workspace)?;
    let whole = compile(workspace, &main, &externs)?;
    if !whole.is_empty() {
        return Ok(vec![format!(
            "{MAIN} does not compile as it is, so its variants prove nothing:\n{whole}"
        )]);
    }
    let anchors = anchors(&main);
    let mut complaints = Vec::new();
    if anchors.len() < FEATURES.len() {
        complaints.push(format!("{MAIN} anchors {anchors:?}: one `use CRATE as _;` a runner is expected"));
    }
    for anchor in anchors {
        let errors = compile(workspace, &without(&main, anchor), &externs)?;
        if !(errors.contains("unused_crate_dependencies") && errors.contains(anchor)) {
            complaints.push(format!("{MAIN} without the anchor of {anchor} should not build:\n{errors}"));
        }
    }
    Ok(complaints)
}

/// The crates that `use CRATE as _;` lines anchor.
fn anchors(main: &str) -> Vec<&str> {
    main.lines().filter_map(anchor).collect()
}

fn anchor(line: &str) -> Option<&str> {
    line.trim().strip_prefix("use ")?.strip_suffix(" as _;")
}

/// The source without one anchor and the attributes that stand right above it.
fn without(main: &str, removed: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for line in main.lines() {
        if anchor(line) == Some(removed) {
            while kept.last().is_some_and(|line| line.trim_start().starts_with("#[")) {
                kept.pop();
            }
        } else {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// A crate that main may name, and the library that cargo built for it.
type Extern = (String, PathBuf);

/// Compiles a variant of main up to its metadata, and returns rustc's errors; none means that it compiles.
fn compile(workspace: &Workspace, source: &str, externs: &[Extern]) -> anyhow::Result<String> {
    let folder = workspace.target().join("anchor-check");
    std::fs::create_dir_all(&folder).context("create the folder of anchor variants")?;
    let file = folder.join("main.rs");
    std::fs::write(&file, source).context("write an anchor variant")?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--crate-type", "bin", "--emit", "metadata", "--crate-name"]);
    rustc.arg("detectviz_enterprise").arg("--out-dir").arg(&folder).arg(&file);
    rustc.arg("-L").arg(dependency_folder(&workspace.target()));
    for feature in FEATURES {
        rustc.arg("--cfg").arg(format!("feature=\"{feature}\""));
    }
    for (name, library) in externs {
        rustc.arg("--extern").arg(format!("{name}={}", library.display()));
    }
    rustc.envs([("CARGO_PKG_NAME", Edition::Enterprise.package()), ("CARGO_PKG_VERSION", "0.0.0")]);
    let output = process::output(&mut rustc)?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(if output.status.success() { String::new() } else { errors })
}

fn dependency_folder(target: &Path) -> String {
    format!("dependency={}", target.join("debug/deps").display())
}

/// What `cargo build --message-format json` says about a finished library.
#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// What `cargo metadata` says about who depends on whom.
#[derive(Deserialize)]
struct Metadata {
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    pkg: String,
}

/// The direct dependencies of the enterprise edition with their built libraries.
fn externs(workspace: &Workspace) -> anyhow::Result<Vec<Extern>> {
    let mut cargo = workspace.cargo(&["build", "--package", Edition::Enterprise.package()]);
    let messages = process::capture(cargo.args(["--message-format", "json-render-diagnostics"]))?;
    let artifacts: Vec<Artifact> =
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let text = process::quiet(&mut workspace.cargo(&["metadata", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("parse the output of `cargo metadata`")?;
    let binary = artifacts.iter().find(|artifact| artifact.target.name == Edition::Enterprise.package());
    let id = &binary.context("find the enterprise binary among what cargo built")?.package_id;
    let node = metadata.resolve.nodes.iter().find(|node| node.id == *id);
    let dependencies = &node.context("find the enterprise edition in `cargo metadata`")?.deps;
    dependencies.iter().map(|dependency| library(dependency, &artifacts)).collect()
}

fn library(dependency: &Dependency, artifacts: &[Artifact]) -> anyhow::Result<Extern> {
    let is_library = |artifact: &&Artifact| {
        artifact.package_id == dependency.pkg && artifact.target.kind.iter().any(|kind| kind.ends_with("lib"))
    };
    let mut files = artifacts.iter().filter(is_library).flat_map(|artifact| &artifact.filenames);
    let file = files.find(|file| file.extension().is_some_and(|extension| extension == "rlib"));
    let file = file.with_context(|| format!("find the library of {}", dependency.name))?;
    Ok((dependency.name.clone(), file.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Doc.\n#![deny(unused_crate_dependencies)]\n\n#[cfg(feature = \"aggregator\")]\n\
                          use detectviz_aggregator as _;\n#[cfg(feature = \"dataplane\")]\n\
                          use detectviz_dataplane as _;\n\nfn main() {}";

    #[test]
    fn an_anchor_goes_with_its_attributes_and_nothing_else() {
        assert_eq!(anchors(SOURCE), ["detectviz_aggregator", "detectviz_dataplane"]);
        let variant = without(SOURCE, "detectviz_dataplane");
        assert_eq!(anchors(&variant), ["detectviz_aggregator"]);
        assert!(!variant.contains("feature = \"dataplane\"") && variant.contains("feature = \"aggregator\""));
        assert!(variant.contains("fn main") && variant.contains("#![deny("));
    }
}
