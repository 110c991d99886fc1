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

/// Reads a duration as Go writes them: `300ms`, `1m30s`, `1.5h`, `-1s`; in seconds.
///
/// # Errors
/// What upstream's parser says.
pub fn go_duration(text: &str) -> Result<f64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0.0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| c != '.' && !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| c == '.' || c.is_ascii_digit());
        let number: f64 = number.parse().map_err(|_| invalid())?;
        seconds += number * unit_seconds(unit, text)?;
        rest = after;
    }
    // Go counts nanoseconds in 63 bits.
    if seconds > 9_223_372_036.0 { Err(invalid()) } else { Ok(sign * seconds) }
}

fn unit_seconds(unit: &str, text: &str) -> Result<f64, String> {
    match unit {
        "ns" => Ok(1e-9),
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok(1e-6),
        "ms" => Ok(1e-3),
        "s" => Ok(1.0),
        "m" => Ok(60.0),
        "h" => Ok(3600.0),
        "" => Err(format!("time: missing unit in duration {text:?}")),
        unit => Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
    }
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in [
            ("5s", 5.0),
            ("1m30s", 90.0),
            ("1.5h", 5400.0),
            ("300ms", 0.3),
            ("-1s", -1.0),
            ("0", 0.0),
            (".5s", 0.5),
        ] {
            assert_eq!(go_duration(text).unwrap(), seconds, "{text}");
        }
        for (text, fault) in [
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("s", "time: invalid duration \"s\""),
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("1..5s", "time: invalid duration \"1..5s\""),
            ("99999999999h", "time: invalid duration \"99999999999h\""),
        ] {
            assert_eq!(go_duration(text).unwrap_err(), fault, "{text}");
        }
    }

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
