//! What must not be in a committed file: unfinished code, and names of places that only one machine has.

use super::{Context, scan};

/// Beginnings of paths that exist on one machine only, and hosts whose name cargo and pip know by themselves.
/// They count at the start of a path or a host only: `/registry/pods/root/a` is a key and not a place.
///
/// In pieces, so that this file does not hold what it looks for.
const PLACES: [(&str, &str); 8] = [
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("index.crat", "es.io"),
    ("static.crat", "es.io"),
    ("py", "pi.org"),
    ("pythonho", "sted.org"),
    ("registry.np", "mjs.org"),
    ("proxy.go", "lang.org"),
];

/// Complains about each forbidden word with its line.
pub(super) fn check(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for file in &context.files {
        let Ok(text) = std::fs::read_to_string(context.workspace.path(file)) else {
            continue; // not text
        };
        let found = file_complaints(file, &text);
        complaints.extend(found.into_iter().map(|(line, what)| format!("{file}:{line}: {what}")));
    }
    Ok(complaints)
}

fn file_complaints(file: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let places =
            PLACES.iter().map(|(head, tail)| format!("{head}{tail}")).filter(|place| names(line, place));
        found.extend(places.map(|place| (number, format!("names the place {place}"))));
    }
    if file.ends_with(".rs") {
        let code = scan::blank(text);
        let unfinished = (1..).zip(code.lines()).filter(|(_, line)| line.contains("todo!"));
        found.extend(unfinished.map(|(number, _)| (number, "unfinished code".to_owned())));
    }
    found
}

/// Whether a line has the place with nothing before it that would make it a part of something else.
fn names(line: &str, place: &str) -> bool {
    let continues = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "-_.}".contains(c));
    line.match_indices(place).any(|(at, _)| !continues(&line[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_code_counts_in_code_only() {
        let source = "// todo!() is banned\nlet x = \"todo!\";\nfn a() { todo!() }\n";
        assert_eq!(file_complaints("a.rs", source), [(3, "unfinished code".to_owned())]);
        assert!(file_complaints("a.md", source).is_empty());
    }

    #[test]
    fn a_path_of_one_machine_is_found_in_any_file() {
        let text = format!("ok\ncd {}{}main", PLACES[0].0, PLACES[0].1);
        assert_eq!(file_complaints("README.md", &text).len(), 1);
        let key = format!("/registry/configmaps{}{}default/a", PLACES[1].0, PLACES[1].1);
        assert!(file_complaints("keys.rs", &key).is_empty());
    }
}
