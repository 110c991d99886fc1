//! Enough of Rust's grammar to find where functions end: braces in text and comments are blanked first.

/// A function of a source file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Lines from `fn` to the closing brace, both counted.
    pub(super) lines: usize,
}

/// All functions of a source text that have a body, nested ones too.
pub(super) fn functions(source: &str) -> Vec<Function> {
    let code = blank(source);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find("fn ").map(|offset| at + offset) {
        at = start + 3;
        let word_before = code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if word_before || name.is_empty() {
            continue;
        }
        if let Some(length) = body_end(&code[start..]) {
            found.push(Function { name, lines: code[start..start + length].matches('\n').count() + 1 });
        }
    }
    found
}

/// How far the body of a function that begins at the start of `code` reaches; `None` without a body.
fn body_end(code: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The source with the insides of comments, strings and characters as blanks; line breaks stay.
pub(super) fn blank(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let inside_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = literal(rest, inside_word);
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the comment, string or character that `code` begins with; 0 when it begins with none.
fn literal(code: &str, inside_word: bool) -> usize {
    let bytes = code.as_bytes();
    match bytes {
        [b'/', b'/', ..] => code.find('\n').unwrap_or(code.len()),
        [b'/', b'*', ..] => block_comment(code),
        [b'"', ..] => quoted(code, '"'),
        [b'r', b'"' | b'#', ..] if !inside_word => raw_string(&code[1..]).map_or(0, |length| 1 + length),
        [b'b', b'r', b'"' | b'#', ..] if !inside_word => {
            raw_string(&code[2..]).map_or(0, |length| 2 + length)
        }
        [b'\'', b'\\', ..] => quoted(code, '\''),
        [b'\'', ..] => {
            let mut after = code[1..].char_indices();
            match (after.next(), after.next()) {
                (Some(_), Some((at, '\''))) => at + 2,
                _ => 0,
            }
        }
        _ => 0,
    }
}

/// The length of a text in quotes, `\` escaping what follows.
fn quoted(code: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in code.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The length of `#"..."#`, or nothing where the hashes begin no string (`r#type`).
fn raw_string(code: &str) -> Option<usize> {
    let hashes = code.len() - code.trim_start_matches('#').len();
    let inside = code[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&end).map_or(code.len(), |at| hashes + 1 + at + end.len()))
}

/// The length of a block comment, which may hold others.
fn block_comment(code: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < code.len() {
        let rest = &code.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &[(&str, usize)]) {
        let found = functions(source);
        let found: Vec<(&str, usize)> = found.iter().map(|f| (f.name.as_str(), f.lines)).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn a_functions_lines_are_counted_from_fn_to_its_brace() {
        check("fn a() {}\n\npub async fn b(x: [u8; 4])\n-> u8 {\n  if x {\n }\n}\n", &[("a", 1), ("b", 5)]);
    }

    #[test]
    fn braces_in_text_characters_and_comments_do_not_count() {
        check(
            "fn a<'a>(x: &'a str) {\n // }\n '}'; b'{'; '\\''; /* { /* } */ */ \"}\\\"}\";\n r#\"}\"}\"#\n}",
            &[("a", 5)],
        );
    }

    #[test]
    fn a_function_without_a_body_and_a_function_type_are_no_functions() {
        check("trait T { fn a(&self, x: [u8; 2]); }\ntype F = fn (u8);\nlet r#fn = 1;", &[]);
    }

    #[test]
    fn nested_functions_count_for_both() {
        check("fn outer() {\n  fn inner() {\n  }\n}", &[("outer", 4), ("inner", 2)]);
    }

    #[test]
    fn every_character_that_is_not_ascii_keeps_its_place() {
        check("fn a() {\n let x = 'é'; let y = \"→{\"; // …{\n}", &[("a", 3)]);
    }
}
