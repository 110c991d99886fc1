//! JSON written as YAML, without a tree in between. A string is plain only where no reader of YAML 1.1 or 1.2 could take it
//! for anything else; every other one is quoted, with JSON's escapes, which are YAML's too.

use std::io::Write as _;

use super::tokens::{Token, tokens};

/// The most bytes of a key that is written without saying that it is one.
const MAX_IMPLICIT_KEY: usize = 1000;

/// Writes a document that comes in pieces.
#[derive(Default)]
pub(super) struct Yaml {
    open: Vec<Frame>,
    /// What was opened last and may yet turn out to be empty.
    opened: Option<u8>,
}

/// An open list or object.
struct Frame {
    is_map: bool,
    indent: usize,
    /// Whether the next element stands on the line that is begun, as behind `- `.
    inline: bool,
    /// Whether the next token is the value of a key.
    after_key: bool,
}

impl Yaml {
    pub(super) fn push(&mut self, json: &str, out: &mut Vec<u8>) {
        tokens(json).for_each(|token| self.token(token, out));
    }

    fn token(&mut self, token: Token<'_>, out: &mut Vec<u8>) {
        match token {
            Token::Open(bracket) => {
                self.settle();
                self.begin(out);
                self.opened = Some(bracket);
            }
            Token::Close(_) => {
                match self.opened.take() {
                    Some(b'{') => self.value("{}", out),
                    Some(_) => self.value("[]", out),
                    None => drop(self.open.pop()),
                }
                self.end(out);
            }
            Token::Scalar(text) => {
                self.settle();
                match self.begin(out) {
                    true => self.key(text, out),
                    false => {
                        self.space(out);
                        scalar(text, out);
                        self.end(out);
                    }
                }
            }
        }
    }

    /// What was opened has an element, so that it is a block.
    fn settle(&mut self) {
        let Some(bracket) = self.opened.take() else { return };
        let is_map = bracket == b'{';
        let (indent, inline) = match self.open.last() {
            None => (0, true),
            Some(list) if !list.is_map => (list.indent + 2, true),
            Some(map) => (map.indent + if is_map { 2 } else { 0 }, false),
        };
        self.open.push(Frame { is_map, indent, inline, after_key: false });
    }

    /// What stands before an element; whether the element is a key.
    fn begin(&mut self, out: &mut Vec<u8>) -> bool {
        let nested = self.open.len() > 1;
        let Some(frame) = self.open.last_mut().filter(|frame| !frame.after_key) else { return false };
        if !std::mem::take(&mut frame.inline) {
            out.push(b'\n');
            out.resize(out.len() + frame.indent, b' ');
        } else if nested {
            out.push(b' ');
        }
        if !frame.is_map {
            out.push(b'-');
        }
        frame.after_key = frame.is_map;
        frame.is_map
    }

    /// A key, and what stands between it and its value. Readers look for the colon within 1,024 characters, unless a key
    /// is said to be one.
    fn key(&self, text: &str, out: &mut Vec<u8>) {
        let start = out.len();
        scalar(text, out);
        if out.len() - start > MAX_IMPLICIT_KEY {
            out.splice(start..start, *b"? ");
            out.push(b'\n');
            out.resize(out.len() + self.open.last().map_or(0, |map| map.indent), b' ');
        }
        out.push(b':');
    }

    fn value(&self, text: &str, out: &mut Vec<u8>) {
        self.space(out);
        out.extend_from_slice(text.as_bytes());
    }

    /// Between a key or a dash and a value on the same line.
    fn space(&self, out: &mut Vec<u8>) {
        if !self.open.is_empty() {
            out.push(b' ');
        }
    }

    /// An element is whole.
    fn end(&mut self, out: &mut Vec<u8>) {
        match self.open.last_mut() {
            Some(frame) => frame.after_key = false,
            None => out.push(b'\n'),
        }
    }
}

fn scalar(text: &str, out: &mut Vec<u8>) {
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match inside {
        Some(inside) if is_plain(inside) => out.extend_from_slice(inside.as_bytes()),
        Some(_) => quoted(text, out),
        None => number(text, out),
    }
}

/// Whether a string is read back as itself without quotes: a word that begins with a letter and means nothing else.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./".contains(byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.as_bytes().iter().all(byte)
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// A JSON string is a double-quoted one of YAML but for characters that YAML does not print, and breaks lines at.
fn quoted(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        let escaped =
            matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
        // Writing to memory does not fail.
        let _ = match escaped {
            true => write!(out, "\\u{:04x}", u32::from(c)),
            false => out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes()),
        };
    }
}

/// Numbers are the same, but that YAML 1.1 wants a point and a sign in those with an exponent.
fn number(text: &str, out: &mut Vec<u8>) {
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match text.split_once(['e', 'E']).filter(|_| is_number) {
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
            out.extend_from_slice(format!("{mantissa}{point}e{sign}{exponent}").as_bytes());
        }
        None => out.extend_from_slice(text.as_bytes()),
    }
}
