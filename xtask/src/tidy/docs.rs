//! A page that names a file that is gone misleads: every path in our own pages has to exist.

use std::path::Path;

use anyhow::Context as _;

use super::Context;

/// Complains about each path in README, ARCHITECTURE and `docs/` that is not in the checkout.
pub(super) fn check(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for page in context.files.iter().filter(|file| is_page(file)) {
        let text =
            std::fs::read_to_string(context.workspace.path(page)).with_context(|| format!("read {page}"))?;
        let folder = Path::new(page).parent().unwrap_or(Path::new(""));
        for (line, reference) in references(&text) {
            let exists = match &reference {
                Reference::Link(path) => context.workspace.path(folder.join(path)).exists(),
                Reference::Code(path) => {
                    !is_ours(path, &context.files) || context.workspace.path(path).exists()
                }
            };
            if !exists {
                complaints.push(format!("{page}:{line}: {} does not exist", reference.path()));
            }
        }
    }
    Ok(complaints)
}

fn is_page(file: &str) -> bool {
    matches!(file, "README.md" | "ARCHITECTURE.md") || (file.starts_with("docs/") && file.ends_with(".md"))
}

/// Whether a path in backticks means this checkout: its first folder is one of ours.
fn is_ours(path: &str, files: &[String]) -> bool {
    let Some((top, _)) = path.split_once('/') else { return false };
    files.iter().any(|file| file.split_once('/').is_some_and(|(folder, _)| folder == top))
}

/// A path that a page names.
#[derive(Debug, PartialEq, Eq)]
enum Reference {
    /// The target of a link, relative to the page.
    Link(String),
    /// A path in backticks, relative to the root.
    Code(String),
}

impl Reference {
    fn path(&self) -> &str {
        match self {
            Self::Link(path) | Self::Code(path) => path,
        }
    }
}

/// All paths of a page with their line numbers; fenced blocks are examples and not read.
fn references(text: &str) -> Vec<(usize, Reference)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let links = links(line).map(Reference::Link);
            let code = line.split('`').skip(1).step_by(2).flat_map(expand).map(Reference::Code);
            found.extend(links.chain(code).map(|reference| (number, reference)));
        }
    }
    found
}

/// The targets of `[text](target)` that are files, without their anchors.
fn links(line: &str) -> impl Iterator<Item = String> + '_ {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let paths = targets.filter_map(|target| target.split('#').next());
    paths.filter(|path| is_path(path) && !path.starts_with('/')).map(str::to_owned)
}

/// The paths that a code span stands for: `crates/{core,api}` is two, and what is no path is none.
fn expand(span: &str) -> Vec<String> {
    let paths = match span.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?))) {
        Some((head, (choices, tail))) => {
            choices.split(',').map(|choice| format!("{head}{}{tail}", choice.trim())).collect()
        }
        None => vec![span.to_owned()],
    };
    paths.into_iter().filter(|path| is_path(path)).collect()
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        references(text).into_iter().map(|(line, reference)| format!("{line} {}", reference.path())).collect()
    }

    #[test]
    fn links_and_code_spans_are_read_outside_fences_only() {
        let page = "see [it](docs/a.md#part) and `crates/core/src/lib.rs`\n```\n`crates/none`\n```\n`cargo xtask run`\n\
                    [out](https://example.com/a) `crates/{core, api}/src`";
        assert_eq!(
            paths(page),
            ["1 docs/a.md", "1 crates/core/src/lib.rs", "6 crates/core/src", "6 crates/api/src"]
        );
    }

    #[test]
    fn only_paths_below_a_folder_of_ours_are_checked() {
        let files = ["crates/core/Cargo.toml".to_owned(), "README.md".to_owned()];
        assert!(is_ours("crates/gone/src", &files));
        assert!(!is_ours("pkg/aggregator", &files) && !is_ours("plugin.json", &files));
    }
}
