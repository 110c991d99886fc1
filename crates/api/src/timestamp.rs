//! Times as the API writes them: RFC 3339 in UTC, to the second (`metav1.Time`) or microsecond.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Now, to the second: `2026-11-23T04:00:00Z`.
pub fn now() -> String {
    seconds(OffsetDateTime::now_utc())
}

/// `at` to the second, in UTC.
pub fn seconds(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    at.to_offset(time::UtcOffset::UTC).format(&format).expect("a UTC time has all the parts of the format")
}

/// `at` to the microsecond, in UTC (`metav1.MicroTime`).
pub fn micros(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    at.to_offset(time::UtcOffset::UTC).format(&format).expect("a UTC time has all the parts of the format")
}

/// The time that `text` names, if it is RFC 3339.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// A seconds-and-nanoseconds pair since the Unix epoch as a time; `None` outside the years 0 to 9999.
pub fn from_unix(seconds: i64, nanos: i32) -> Option<OffsetDateTime> {
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let at = at.checked_add(time::Duration::nanoseconds(i64::from(nanos)))?;
    (0..=9999).contains(&at.year()).then_some(at)
}

/// The age of `text` as people read it in a table (`5m3s`, `4d2h`); `<unknown>` when it is no time.
///
/// Steps as in upstream's `duration.HumanDuration`.
pub fn age(text: &str) -> String {
    let Some(then) = parse(text) else { return "<unknown>".to_owned() };
    human_duration((OffsetDateTime::now_utc() - then).whole_seconds())
}

/// A time of so many seconds as people read it in a table.
pub fn human_duration(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let pair = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => pair(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if years < 8 => pair(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_people_write_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (123, "2m3s"),
            (600, "10m"),
            (4 * 3600, "4h"),
            (3 * 86400 + 3600, "3d1h"),
            (800 * 86400, "2y70d"),
        ] {
            assert_eq!(human_duration(seconds), text);
        }
    }

    #[test]
    fn unix_times_print_to_the_second_and_the_microsecond() {
        let at = from_unix(1_700_000_000, 123_456_000).unwrap();
        assert_eq!(seconds(at), "2023-11-14T22:13:20Z");
        assert_eq!(micros(at), "2023-11-14T22:13:20.123456Z");
        assert!(from_unix(i64::MAX, 0).is_none());
    }
}
