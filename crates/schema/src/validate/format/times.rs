//! Formats of dates, times and durations.

use time::{Date, Month};

pub(super) fn is_date(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u16>().ok()
    };
    let date = || {
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()
    };
    let marks = text.as_bytes();
    marks.len() == 10 && marks[4] == b'-' && marks[7] == b'-' && date().is_some()
}

/// RFC 3339, as go-openapi has it: any character may stand before the fraction.
pub(super) fn is_date_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    is_date(date) && is_time(time.split('t').next().unwrap_or_default())
}

fn is_time(text: &str) -> bool {
    let Some((clock, rest)) = text.split_at_checked(8) else { return false };
    let clock_fits = is_clock(&clock[..5]) && clock.as_bytes()[5] == b':' && is_below(&clock[6..], 60);
    let zone = match rest.strip_suffix('z') {
        Some(fraction) => Some(fraction),
        None => {
            rest.len().checked_sub(6).and_then(|at| rest.split_at_checked(at)).and_then(|(fraction, zone)| {
                let offset = zone.strip_prefix(['+', '-'])?;
                let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
                (digits(&offset[..2]) && offset.as_bytes()[2] == b':' && digits(&offset[3..]))
                    .then_some(fraction)
            })
        }
    };
    clock_fits && zone.is_some_and(is_fraction)
}

fn is_clock(text: &str) -> bool {
    text.as_bytes()[2] == b':' && is_below(&text[..2], 24) && is_below(&text[3..], 60)
}

fn is_below(digits: &str, end: u8) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u8>().is_ok_and(|value| value < end)
}

fn is_fraction(text: &str) -> bool {
    let mut rest = text.chars();
    match rest.next() {
        None => true,
        Some('\n') => false,
        Some(_) => !rest.as_str().is_empty() && rest.as_str().bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// A duration as Go writes it (`1h30m`), or in Scala's words (`3 days`, `10 ms`).
pub(super) fn is_duration(text: &str) -> bool {
    is_go_duration(text) || has_scala_duration(text)
}

fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let number =
            rest.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
        let digits = &rest[..rest.len() - number.len()];
        let after =
            number.trim_start_matches(|character: char| !character.is_ascii_digit() && character != '.');
        let unit = match &number[..number.len() - after.len()] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return false,
        };
        let is_number = digits != "." && digits.matches('.').count() <= 1;
        let Some(value) = digits.trim_end_matches('.').parse::<f64>().ok().filter(|_| is_number) else {
            return false;
        };
        nanoseconds += value * unit;
        (rest, any) = (after, true);
    }
    any && nanoseconds < 9_223_372_036_854_775_808.0
}

/// Whether anything in `text` is a number with a unit: upstream looks no further.
fn has_scala_duration(text: &str) -> bool {
    let is_unit = |unit: &str| {
        let unit = unit.to_lowercase();
        let exact = ["ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk"].contains(&&*unit);
        let long = ["nano", "micro", "milli", "sec", "min", "hour", "day", "week"];
        exact || long.iter().any(|long| unit.starts_with(long))
    };
    let mut rest = text;
    let mut found = false;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let number = rest[start..].trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = &rest[start..rest.len() - number.len()];
        let word = number.trim_start();
        let after =
            word.trim_start_matches(|character: char| character.is_ascii_alphabetic() || character == 'µ');
        let unit = &word[..word.len() - after.len()];
        if !unit.is_empty() && digits.parse::<i64>().is_err() {
            return false;
        }
        found |= is_unit(unit);
        rest = if unit.is_empty() { number } else { after };
    }
    found
}
