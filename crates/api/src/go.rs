//! Values in words as Go prints them, since upstream's texts hold values; of a long one the beginning.

use std::fmt::Write as _;

/// The most bytes of a value that a text shows. Upstream shows all of it, which makes an answer of any size.
pub const MAX_SHOWN: usize = 1024;

/// `text` in quotes, as `%q` has it.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in cut(text).chars() {
        push_quoted(&mut quoted, character);
    }
    quoted.push_str(if text.len() > MAX_SHOWN { "...\"" } else { "\"" });
    quoted
}

/// The beginning of `text` that is shown.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SHOWN)]
}

fn push_quoted(quoted: &mut String, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        _ => "",
    };
    let code = u32::from(character);
    let written = match () {
        () if !short.is_empty() => write!(quoted, "{short}"),
        () if code < 0x20 || code == 0x7f => write!(quoted, "\\x{code:02x}"),
        () if character == '\'' || character.escape_debug().len() == 1 => write!(quoted, "{character}"),
        () if code > 0xffff => write!(quoted, "\\U{code:08x}"),
        () => write!(quoted, "\\u{code:04x}"),
    };
    written.expect("a String takes all that is written");
}

/// `value` as `%v` has it: the shortest digits, with an exponent from a million on.
pub fn float(value: f64) -> String {
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_go_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (-2.0, "-2"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1.25e21, "1.25e+21"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
        ] {
            assert_eq!(float(value), text);
        }
        assert_eq!(quote("a\"\\é'\n\u{1}\u{7f}\u{200b}\u{e0001}"), r#""a\"\\é'\n\x01\x7f\u200b\U000e0001""#);
    }

    #[test]
    fn of_a_long_text_the_beginning_is_shown() {
        let long = "é".repeat(MAX_SHOWN);
        assert_eq!(quote(&long), format!("\"{}...\"", "é".repeat(MAX_SHOWN / 2)));
        assert_eq!(quote(&"a".repeat(MAX_SHOWN)), format!("\"{}\"", "a".repeat(MAX_SHOWN)));
    }
}
