//! A bound on what is written in brackets. A list or a map in brackets may turn out to be a key, so that the scanner keeps all
//! its tokens, of a hundred bytes each, until it ends: a body of nothing but `0,` would take that much for every byte.

/// What a token costs at most, in the units of [`units`].
const TOKEN: usize = 2;

/// Whether a text may have more tokens in brackets than lists and maps of `max_values` values have: each value and its comma.
///
/// It is not known here what is a bracket and what is the inside of a string, so everything behind the first bracket counts: to
/// take less for more than it is would help whoever means harm.
pub(super) fn is_too_long(text: &str, max_values: usize) -> bool {
    let most = 2 * TOKEN * max_values;
    // No byte counts as more than two tokens.
    text.len() > most / (2 * TOKEN)
        && text.find(['[', '{']).is_some_and(|start| units(&text.as_bytes()[start..]) > most)
}

/// Twice the tokens that there are at most: a comma stands for itself and for a plain value, and a string has two quotes.
fn units(bytes: &[u8]) -> usize {
    let units_of = |byte: &u8| match byte {
        b',' => 2 * TOKEN,
        b'[' | b']' | b'{' | b'}' | b':' | b'?' => TOKEN,
        b'"' | b'\'' => TOKEN / 2,
        _ => 0,
    };
    bytes.iter().map(units_of).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_stands_in_brackets_has_so_many_tokens() {
        for (text, expected) in [
            (format!("x: [{}]", "0,".repeat(100)), true),
            (format!("x: [{}]", "0,".repeat(98)), false),
            (format!("x: [{}]", "{}".repeat(100)), true),
            (format!("x: [{}]", "? ".repeat(200)), true),
            (format!("x: [{}]", "\"\"".repeat(200)), true),
            (format!("x: [\"]\", {}]", "0,".repeat(100)), true),
            (format!("x: |\n  {}", "0,".repeat(1000)), false),
            (format!("{}x: []", "- a: 'b'\n".repeat(1000)), false),
            (format!("x: [{}]", "x".repeat(1000)), false),
        ] {
            assert_eq!(super::is_too_long(&text, 100), expected, "{text}");
        }
    }
}
