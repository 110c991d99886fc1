//! A point in time as people and dashboards write it, read against one `now` for the whole request.
//!
//! Epoch milliseconds, a bare duration (`5m`: that long ago), RFC 3339, or date math: `now`, then any of `-1h`, `+2d`,
//! `/w`. Rounding the end of a range goes up, to the unit's last millisecond. All in UTC; weeks begin on Monday.

use time::{Date, Duration, Month, OffsetDateTime, Time};

/// Which end of a range is read: rounding goes outwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// The beginning.
    From,
    /// The end.
    To,
}

/// Why a text is no point in time. Upstream silently takes the year 1970 here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read time {text:?}: {why}; allowed are epoch milliseconds, a duration such as 5m, RFC 3339, and date math such as \
     now-1h or now/d"
)]
pub(crate) struct RangeError {
    text: String,
    why: &'static str,
}

/// The time that `text` means, in epoch milliseconds.
///
/// # Errors
/// When the text is none of the allowed forms, or the time lies outside the years -9999 to 9999.
pub(crate) fn parse(text: &str, edge: Edge, now: OffsetDateTime) -> Result<i64, RangeError> {
    let text = text.trim();
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let at = match duration(text) {
        Some(duration) => now.checked_sub(duration).ok_or("the time is out of range"),
        None => date_math(text, edge, now),
    };
    at.map(millis).map_err(|why| RangeError { text: text.chars().take(64).collect(), why })
}

/// `at` in epoch milliseconds.
pub(crate) fn millis(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() * 1000 + i64::from(at.millisecond())
}

/// A sequence of numbers with units, such as `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let unit = match unit {
            "ms" => Duration::MILLISECOND,
            _ => Unit::parse(unit)?.length()?,
        };
        sum = sum.checked_add(unit.checked_mul(number.parse().ok()?)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

fn date_math(text: &str, edge: Edge, now: OffsetDateTime) -> Result<OffsetDateTime, &'static str> {
    let (base, mut steps) = match text.strip_prefix("now") {
        Some(steps) => (now, steps),
        None => (detectviz_api::timestamp::parse(text).ok_or("it is no known form")?, ""),
    };
    let mut at = base.to_offset(time::UtcOffset::UTC);
    while let Some(step) = steps.chars().next() {
        let (number, tail) = leading_number(&steps[step.len_utf8()..])?;
        let unit =
            tail.get(..1).and_then(Unit::parse).ok_or("a step must end in one of y, Q, M, w, d, h, m, s")?;
        let moved = match (step, number) {
            ('+', number) => unit.add(at, number.unwrap_or(1)),
            ('-', number) => unit.add(at, -number.unwrap_or(1)),
            ('/', None) => unit.round(at, edge),
            _ => return Err("a step must begin with +, - or /"),
        };
        at = moved.ok_or("the time is out of range")?;
        steps = &tail[1..];
    }
    Ok(at)
}

fn leading_number(text: &str) -> Result<(Option<i32>, &str), &'static str> {
    let (digits, tail) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    match digits {
        "" => Ok((None, tail)),
        _ => digits.parse().map(|number| (Some(number), tail)).map_err(|_| "a step's number is too large"),
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "s" => Self::Second,
            "m" => Self::Minute,
            "h" => Self::Hour,
            "d" => Self::Day,
            "w" => Self::Week,
            "M" => Self::Month,
            "Q" => Self::Quarter,
            "y" => Self::Year,
            _ => return None,
        })
    }

    /// The length of the units that have one; months and years do not.
    fn length(self) -> Option<Duration> {
        Some(match self {
            Self::Second => Duration::SECOND,
            Self::Minute => Duration::MINUTE,
            Self::Hour => Duration::HOUR,
            Self::Day => Duration::DAY,
            Self::Week => Duration::WEEK,
            Self::Month | Self::Quarter | Self::Year => return None,
        })
    }

    fn add(self, at: OffsetDateTime, count: i32) -> Option<OffsetDateTime> {
        match self {
            Self::Month => add_months(at, count),
            Self::Quarter => add_months(at, count.checked_mul(3)?),
            Self::Year => add_months(at, count.checked_mul(12)?),
            _ => at.checked_add(self.length()?.checked_mul(count)?),
        }
    }

    fn round(self, at: OffsetDateTime, edge: Edge) -> Option<OffsetDateTime> {
        let start = self.start(at)?;
        match edge {
            Edge::From => Some(start),
            Edge::To => self.add(start, 1)?.checked_sub(Duration::MILLISECOND),
        }
    }

    /// The first moment of the unit that `at` is in.
    fn start(self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let midnight = |date: Date| at.replace_date(date).replace_time(Time::MIDNIGHT);
        let date = at.date();
        let month = |month: u8| date.replace_day(1).ok()?.replace_month(Month::try_from(month).ok()?).ok();
        Some(match self {
            Self::Second => at.replace_nanosecond(0).ok()?,
            Self::Minute => at.replace_second(0).ok()?.replace_nanosecond(0).ok()?,
            Self::Hour => at.replace_time(Time::from_hms(at.hour(), 0, 0).ok()?),
            Self::Day => midnight(date),
            Self::Week => {
                let days = i64::from(date.weekday().number_days_from_monday());
                midnight(date).checked_sub(Duration::days(days))?
            }
            Self::Month => midnight(date.replace_day(1).ok()?),
            Self::Quarter => midnight(month((u8::from(date.month()) - 1) / 3 * 3 + 1)?),
            Self::Year => midnight(month(1)?),
        })
    }
}

/// The same day `count` months on, or that month's last day when it is shorter.
fn add_months(at: OffsetDateTime, count: i32) -> Option<OffsetDateTime> {
    let months = at.year().checked_mul(12)?.checked_add(i32::from(u8::from(at.month())) - 1)?;
    let months = months.checked_add(count)?;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let day = at.day().min(month.length(year));
    Some(at.replace_date(Date::from_calendar_date(year, month, day).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2024-03-31 13:45:30.250 UTC);

    fn at(text: &str, edge: Edge) -> OffsetDateTime {
        let millis = parse(text, edge, NOW).unwrap_or_else(|fault| panic!("{fault}"));
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap()
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("1700000000000", datetime!(2023-11-14 22:13:20 UTC)),
            ("-1000", datetime!(1969-12-31 23:59:59 UTC)),
            ("now", NOW),
            (" now ", NOW),
            ("5m", datetime!(2024-03-31 13:40:30.250 UTC)),
            ("1h30m", datetime!(2024-03-31 12:15:30.250 UTC)),
            ("250ms", datetime!(2024-03-31 13:45:30 UTC)),
            ("now-5m", datetime!(2024-03-31 13:40:30.250 UTC)),
            ("now-h", datetime!(2024-03-31 12:45:30.250 UTC)),
            ("now+1d-1h", datetime!(2024-04-01 12:45:30.250 UTC)),
            ("now-1M", datetime!(2024-02-29 13:45:30.250 UTC)),
            ("now-13M", datetime!(2023-02-28 13:45:30.250 UTC)),
            ("now-1Q", datetime!(2023-12-31 13:45:30.250 UTC)),
            ("now-2y", datetime!(2022-03-31 13:45:30.250 UTC)),
            ("now/d", datetime!(2024-03-31 0:00 UTC)),
            ("now-1d/d", datetime!(2024-03-30 0:00 UTC)),
            ("now/w", datetime!(2024-03-25 0:00 UTC)),
            ("now/M", datetime!(2024-03-01 0:00 UTC)),
            ("now/Q", datetime!(2024-01-01 0:00 UTC)),
            ("now/y", datetime!(2024-01-01 0:00 UTC)),
            ("now/h", datetime!(2024-03-31 13:00 UTC)),
            ("now/m", datetime!(2024-03-31 13:45 UTC)),
            ("now/s", datetime!(2024-03-31 13:45:30 UTC)),
            ("2024-01-02T03:04:05+01:00", datetime!(2024-01-02 2:04:05 UTC)),
        ] {
            assert_eq!(at(text, Edge::From), expected, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_range_rounds_up() {
        for (text, expected) in [
            ("now/d", datetime!(2024-03-31 23:59:59.999 UTC)),
            ("now-1M/M", datetime!(2024-02-29 23:59:59.999 UTC)),
            ("now/Q", datetime!(2024-03-31 23:59:59.999 UTC)),
            ("now/y", datetime!(2024-12-31 23:59:59.999 UTC)),
            ("now-1h", datetime!(2024-03-31 12:45:30.250 UTC)),
        ] {
            assert_eq!(at(text, Edge::To), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "no",
            "nowish",
            "now-",
            "now-1",
            "now-1x",
            "now/2d",
            "now/",
            "now*1d",
            "now-é",
            "5",
            "1.5h",
            "5 m",
            "m",
            "-5m",
            "5M",
            "now-99999999999d",
            "now-99999y",
            "2024-01-02",
            "now/fQ",
            "9223372036854775808",
            "99999999999999999w",
        ] {
            // A bare number is a time of its own.
            assert_eq!(parse(text, Edge::From, NOW).is_ok(), text == "5", "{text:?}");
        }
        let fault = parse("yesterday", Edge::From, NOW).unwrap_err().to_string();
        assert!(fault.starts_with("read time \"yesterday\": it is no known form; allowed are "), "{fault}");
    }
}
