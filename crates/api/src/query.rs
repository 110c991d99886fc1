//! A URL's query and percent-encoding, read the one way that every part of the server agrees on.

/// Why a percent-encoded text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// `%` without two hexadecimal digits behind it.
    #[error("a '%' must be followed by two hexadecimal digits")]
    Escape,
    /// The decoded bytes are no UTF-8.
    #[error("the decoded text must be UTF-8")]
    Utf8,
}

/// Decodes `%XX` escapes; `plus_is_space` as in form encoding, which queries use and paths do not.
///
/// # Errors
/// On a malformed escape, or when the result is not UTF-8.
pub fn percent_decode(text: &str, plus_is_space: bool) -> Result<String, DecodeError> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = (high, low) else { return Err(DecodeError::Escape) };
                out.push(high << 4 | low);
            }
            b'+' if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).map_err(|_| DecodeError::Utf8)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The pairs of a query string, decoded, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `text`, the part of a URL after `?`.
    ///
    /// # Errors
    /// When a key or value is not well encoded.
    pub fn parse(text: Option<&str>) -> Result<Self, DecodeError> {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decode = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((percent_decode(key, true)?, percent_decode(value, true)?))
        };
        pairs.map(decode).collect::<Result<_, _>>().map(Self)
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == key).map(|(_, value)| value.as_str())
    }

    /// Every value of `key`.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(have, _)| have == key).map(|(_, value)| value.as_str())
    }

    /// Whether `key` is there and not `0` or `false`: upstream's reading of boolean parameters.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_pair_by_pair() {
        let query = Query::parse(Some("labelSelector=a%3Db%2Cc&watch&x=1+2&watch=0")).unwrap();
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert_eq!(query.get("x"), Some("1 2"));
        assert!(query.flag("watch") && !query.flag("absent"));
    }

    #[test]
    fn bad_escapes_are_refused() {
        assert_eq!(percent_decode("%g0", false), Err(DecodeError::Escape));
        assert_eq!(percent_decode("a%2", false), Err(DecodeError::Escape));
        assert_eq!(percent_decode("%ff", false), Err(DecodeError::Utf8));
        assert_eq!(percent_decode("a+b", false).unwrap(), "a+b");
    }
}
