//! JSON text such that equal values have equal texts: no spaces, keys sorted, 1.0 is 1.

use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The canonical text of an object whose text this is; the text itself, unread, where that is plain to see.
///
/// # Errors
/// When it is the text of no object.
pub(super) fn of_keys(text: &str) -> serde_json::Result<Cow<'_, str>> {
    if skip_keys(text) == Some("") {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::from_str::<Map<String, Value>>(text).map(|keys| chosen(text, &Value::Object(keys)))
}

/// The canonical text of a value whose text this is.
///
/// # Errors
/// When it is no JSON.
pub(super) fn of_value(text: &str) -> serde_json::Result<Cow<'_, str>> {
    if skip_scalar(text) == Some("") {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::from_str(text).map(|value| chosen(text, &value))
}

fn chosen<'a>(given: &'a str, value: &Value) -> Cow<'a, str> {
    let canonical = text(value);
    if canonical == given { Cow::Borrowed(given) } else { Cow::Owned(canonical) }
}

/// The canonical text of `value`.
pub(super) fn text(value: &Value) -> String {
    let mut text = String::with_capacity(16);
    write(value, &mut text);
    text
}

/// Writes `value` behind `text`.
pub(super) fn write(value: &Value, text: &mut String) {
    match value {
        Value::String(value) => write_string(value, text),
        Value::Number(number) => write_number(number, text),
        Value::Array(items) => write_all(items, "[]", text, write),
        Value::Object(fields) => write_all(fields, "{}", text, |(name, value), text| {
            write_string(name, text);
            text.push(':');
            write(value, text);
        }),
        Value::Null | Value::Bool(_) => {
            let _ = write!(text, "{value}");
        }
    }
}

/// Writes a text behind `text`.
pub(super) fn write_string(value: &str, text: &mut String) {
    if value.bytes().all(is_plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        let _ = write!(text, "{}", Value::from(value));
    }
}

/// Whether a byte stands in a text as itself.
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

fn write_number(number: &Number, text: &mut String) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let _ = match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            write!(text, "{:.0}", float + 0.0)
        }
        _ => write!(text, "{number}"),
    };
}

fn write_all<T>(
    parts: impl IntoIterator<Item = T>,
    brackets: &str,
    text: &mut String,
    write: impl Fn(T, &mut String),
) {
    text.push_str(&brackets[..1]);
    for (place, part) in parts.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        write(part, text);
    }
    text.push_str(&brackets[1..]);
}

/// What is behind an object of scalars, if its text is plainly canonical.
fn skip_keys(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('{')?;
    let mut last = None;
    loop {
        let behind = skip_string(rest)?;
        let name = rest[..rest.len() - behind.len()].trim_matches('"');
        if last.is_some_and(|last| name <= last) {
            return None;
        }
        last = Some(name);
        rest = skip_scalar(behind.strip_prefix(':')?)?;
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.strip_prefix('}'),
        }
    }
}

fn skip_scalar(text: &str) -> Option<&str> {
    match text.as_bytes().first()? {
        b'"' => skip_string(text),
        b't' => text.strip_prefix("true"),
        b'f' => text.strip_prefix("false"),
        b'0' => Some(&text[1..]).filter(|rest| !rest.starts_with(is_of_number)),
        b'1'..=b'9' => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            // More might not fit an integer.
            (digits < 19).then(|| &text[digits..]).filter(|rest| !rest.starts_with(is_of_number))
        }
        _ => None,
    }
}

fn is_of_number(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, '.' | 'e' | 'E')
}

fn skip_string(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?;
    let length = inner.bytes().take_while(|byte| is_plain(*byte)).count();
    inner[length..].strip_prefix('"')
}
