//! A rule whose test is gone is a wish: every test that our pages name as a guard has to exist.

use anyhow::Context as _;

use super::Context;

const PAGES: [&str; 2] = ["ARCHITECTURE.md", "docs/security.md"];

/// Complains about each guard, written `place::name`, for which no Rust file of the checkout has a `fn name`.
pub(super) fn check(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let read = |file: &str| {
        std::fs::read_to_string(context.workspace.path(file)).with_context(|| format!("read {file}"))
    };
    let rust = context.files.iter().filter(|file| file.ends_with(".rs"));
    let code = rust.map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let exists = |guard: &str| {
        let name = guard.rsplit("::").next().unwrap_or(guard);
        code.iter().any(|text| text.contains(&format!("fn {name}(")))
    };
    let mut complaints = Vec::new();
    for page in PAGES {
        let text = read(page)?;
        let missing = guards(&text).into_iter().filter(|(_, guard)| !exists(guard));
        complaints.extend(missing.map(|(line, guard)| format!("{page}:{line}: no test is called {guard}")));
    }
    Ok(complaints)
}

/// The guards of a page with their line numbers: `place::name` in backticks, in lower case.
fn guards(page: &str) -> Vec<(usize, &str)> {
    let is_guard = |span: &&str| {
        span.contains("::")
            && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c))
    };
    let spans = (1..)
        .zip(page.lines())
        .flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |span| (number, span)));
    spans.filter(|(_, span)| is_guard(span)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_are_lower_case_paths_in_backticks() {
        let page =
            "| a | `crash::nothing_is_lost` |\n`Store::txn` and `cargo xtask tidy`, `suites`\n`auth::x9`";
        assert_eq!(guards(page), [(1, "crash::nothing_is_lost"), (3, "auth::x9")]);
    }
}
