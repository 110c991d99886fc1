//! Percent-encoding for the two places where a name becomes part of something with a syntax of its own.

use std::fmt::Write as _;

/// `text` as the tail of a header name. Upstream's rule: what is no token character (RFC 9110 section 5.6.2), and
/// `%` itself, is escaped.
pub(crate) fn header_name(text: &str) -> String {
    escape(text, |byte| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte))
}

/// `text` as one segment of a path: all but RFC 3986's unreserved characters are escaped.
pub(crate) fn path_segment(text: &str) -> String {
    escape(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn escape(text: &str, keep: impl Fn(u8) -> bool) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String does not fail");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_of_its_own_is_escaped() {
        assert_eq!(header_name("acme.io/a b%é"), "acme.io%2Fa%20b%25%C3%A9");
        assert_eq!(path_segment("v1.a?b#c/d"), "v1.a%3Fb%23c%2Fd");
    }
}
