//! Formats of numbers and codes: identifiers, colours, base64.

use regex_lite::Regex;
use std::sync::LazyLock;

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is part of the source, and tests use it")
}

/// `text` without the characters that `unfit` names.
fn without(text: &str, unfit: fn(char) -> bool) -> String {
    text.chars().filter(|character| !unfit(*character)).collect()
}

/// Whether `text` is a UUID, of the version that this digit tells; dashes may be left out.
pub(super) fn is_uuid(text: &str, version: Option<char>) -> bool {
    // A dash may be left out, so the digits are found by their order.
    let mut digits = String::with_capacity(32);
    let mut since = 0;
    for character in text.chars() {
        match character {
            '-' if matches!(digits.len(), 8 | 12 | 16 | 20) && since > 0 => since = 0,
            digit if digit.is_ascii_hexdigit() && digits.len() < 32 => {
                digits.push(digit.to_ascii_lowercase());
                since += 1;
            }
            _ => return false,
        }
    }
    let has = |at: usize, allowed: &str| digits[at..=at].contains(|digit| allowed.contains(digit));
    digits.len() == 32
        && since > 0
        && version.is_none_or(|version| has(12, version.encode_utf8(&mut [0; 4])))
        && (matches!(version, None | Some('3')) || has(16, "89ab"))
}

pub(super) fn is_isbn10(text: &str) -> bool {
    let digits = without(text, |character| character.is_whitespace() || character == '-');
    if digits.len() != 10 || !digits.is_ascii() {
        return false;
    }
    let value = |(index, digit): (usize, u8)| match digit {
        b'X' if index == 9 => Some(10),
        digit => char::from(digit).to_digit(10),
    };
    let weighted = digits.bytes().enumerate().map(value).zip(1_u32..).map(|(value, at)| Some(value? * at));
    weighted.sum::<Option<u32>>().is_some_and(|sum| sum % 11 == 0)
}

pub(super) fn is_isbn13(text: &str) -> bool {
    let digits = without(text, |character| character.is_whitespace() || character == '-');
    let weights = [1_u32, 3].into_iter().cycle();
    let weighted = digits.chars().zip(weights).map(|(digit, weight)| Some(digit.to_digit(10)? * weight));
    digits.len() == 13 && weighted.sum::<Option<u32>>().is_some_and(|sum| sum % 10 == 0)
}

pub(super) fn is_credit_card(text: &str) -> bool {
    static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$",
        )
    });
    let digits = without(text, |character| !character.is_ascii_digit());
    // Every other digit from the right counts twice (Luhn).
    let luhn = |(place, digit): (usize, u8)| match (u32::from(digit - b'0'), place % 2) {
        (digit, 0) => digit,
        (digit, _) => digit * 2 / 10 + digit * 2 % 10,
    };
    NUMBERS.is_match(&digits) && digits.bytes().rev().enumerate().map(luhn).sum::<u32>() % 10 == 0
}

pub(super) fn is_ssn(text: &str) -> bool {
    let mark = |byte: u8| byte == b'-' || byte == b' ';
    let right = |(place, byte): (usize, u8)| match place {
        3 | 6 => mark(byte),
        _ => byte.is_ascii_digit(),
    };
    text.len() == 11 && text.bytes().enumerate().all(right)
}

pub(super) fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn is_rgb_color(text: &str) -> bool {
    static COLOUR: LazyLock<Regex> = LazyLock::new(|| {
        let part = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*";
        pattern(&format!(r"^rgb\({part},{part},{part}\)$"))
    });
    COLOUR.is_match(text)
}

/// Base64 in one line. Unlike Go's decoder, the pattern that upstream checks wants at least one byte.
pub(super) fn is_base64(text: &str) -> bool {
    let data = text.trim_end_matches('=');
    let padding = text.len() - data.len();
    !data.is_empty()
        && padding <= 2
        && text.len().is_multiple_of(4)
        && data.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
}

/// A number with a suffix, such as `1.5Gi`, `100m` or `1e3`.
pub(super) fn is_quantity(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let suffix = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let number = &text[..text.len() - suffix.len()];
    let is_number =
        number.matches('.').count() <= 1 && number.contains(|character: char| character.is_ascii_digit());
    let is_exponent = || {
        let digits =
            suffix.strip_prefix(['e', 'E']).map(|digits| digits.strip_prefix(['+', '-']).unwrap_or(digits));
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let known = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    is_number && (known.contains(&suffix) || is_exponent())
}
