//! Versions and features have one home, the root manifest; a member only says which crates it uses.

use anyhow::Context as _;

use super::Context;

/// The members with lints of their own: they exist for `unsafe`, and `forbid` cannot be lifted for one line. Their lints
/// are the root's but for that one.
const UNSAFE: [&str; 2] = ["crates/tether/Cargo.toml", "tests/faulty-disk/Cargo.toml"];

/// A workspace of its own, of which nothing is shipped.
const APART: &str = "fuzz/Cargo.toml";

/// Complains about each member manifest that decides something on its own.
pub(super) fn check(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    let root = std::fs::read_to_string(context.workspace.path("Cargo.toml")).context("read Cargo.toml")?;
    let is_member = |file: &&String| file.ends_with("/Cargo.toml") && *file != APART;
    for file in context.files.iter().filter(is_member) {
        let text =
            std::fs::read_to_string(context.workspace.path(file)).with_context(|| format!("read {file}"))?;
        complaints
            .extend(complain(file, &text, &root).into_iter().map(|complaint| format!("{file}: {complaint}")));
    }
    Ok(complaints)
}

fn complain(file: &str, text: &str, root: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut inherits_lints = false;
    let mut section = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            complaints.extend(section_complaint(file, section));
        } else if section.ends_with("dependencies") && !is_inherited(line) {
            complaints.push(format!("`{line}` decides a version or a feature"));
        } else if section == "lints" {
            inherits_lints |= line.replace(' ', "") == "workspace=true";
        }
    }
    if UNSAFE.contains(&file) {
        if lints(text, "lints.") != lints(root, "workspace.lints.") {
            complaints
                .push("its lints must be those of the root manifest, with `unsafe_code` denied".to_owned());
        }
    } else if !inherits_lints {
        complaints.push("`[lints] workspace = true` is missing".to_owned());
    }
    complaints
}

/// The lines of all sections whose name starts with `prefix`, with a denial of `unsafe` counted as its ban.
fn lints(text: &str, prefix: &str) -> Vec<String> {
    let mut section = "";
    let mut lints = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').strip_prefix(prefix).unwrap_or_default();
        } else if !section.is_empty() {
            let line = if line == "unsafe_code = \"deny\"" { "unsafe_code = \"forbid\"" } else { line };
            lints.push(format!("{section}: {line}"));
        }
    }
    lints
}

/// Features split shared crates by edition; a dependency with a section of its own escapes the other check.
fn section_complaint(file: &str, section: &str) -> Option<String> {
    let forbidden =
        (section == "features" && file.starts_with("crates/")) || section.contains("dependencies.");
    forbidden.then(|| format!("section `[{section}]` is not allowed here"))
}

/// `name.workspace = true`, or `name = { workspace = true }` with nothing but `optional` beside it.
fn is_inherited(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default().replace(' ', "");
    let Some((name, value)) = line.split_once('=') else { return false };
    if name.ends_with(".workspace") {
        return value == "true";
    }
    let Some(table) = value.strip_prefix('{').and_then(|value| value.strip_suffix('}')) else { return false };
    let keys: Vec<&str> = table.split(',').collect();
    keys.contains(&"workspace=true")
        && keys.iter().all(|key| matches!(*key, "workspace=true" | "optional=true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn check(file: &str, text: &str, expected: &[&str]) {
        assert_eq!(complain(file, &format!("{LINTS}{text}"), ""), expected, "{text}");
    }

    #[test]
    fn inherited_dependencies_pass_and_own_versions_do_not() {
        let good =
            "[dependencies]\n# why\na.workspace = true\nb = { workspace = true, optional = true } # so\n";
        check("crates/x/Cargo.toml", good, &[]);
        let own = ["`a = \"1\"` decides a version or a feature"];
        check("crates/x/Cargo.toml", "[dev-dependencies]\na = \"1\"\n", &own);
        let features = "[target.'cfg(unix)'.dependencies]\na = { workspace = true, features = [\"x\"] }\n";
        assert_eq!(complain("tests/Cargo.toml", &format!("{LINTS}{features}"), "").len(), 1);
    }

    #[test]
    fn features_are_for_editions_only() {
        check("editions/enterprise/Cargo.toml", "[features]\naggregator = []\n", &[]);
        let complaint = ["section `[features]` is not allowed here"];
        check("crates/core/Cargo.toml", "[features]\naggregator = []\n", &complaint);
    }

    #[test]
    fn a_crate_without_the_common_lints_is_named() {
        assert_eq!(
            complain("xtask/Cargo.toml", "[package]\n", ""),
            ["`[lints] workspace = true` is missing"]
        );
    }

    #[test]
    fn a_crate_for_unsafe_has_all_other_lints() {
        let root =
            "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nx = \"warn\"\n[profile.dev]\ndebug = false\n";
        let own = "[lints.rust]\nunsafe_code = \"deny\"\nx = \"warn\"\n[dependencies]\na.workspace = true\n";
        assert_eq!(complain(UNSAFE[0], own, root), Vec::<String>::new());
        for other in [own.replace("deny", "allow"), own.replace("x = \"warn\"\n", "")] {
            let complaint = "its lints must be those of the root manifest, with `unsafe_code` denied";
            assert_eq!(complain(UNSAFE[0], &other, root), [complaint]);
        }
        assert_eq!(complain("crates/x/Cargo.toml", own, root), ["`[lints] workspace = true` is missing"]);
    }
}
