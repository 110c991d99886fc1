//! Schedules in cron's form: five fields, or a word for a common one.

use std::ops::RangeInclusive;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Checks that `schedule` can be read.
///
/// # Errors
/// Says what cannot, as upstream's parser does.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    if schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=") {
        return Err("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
    }
    if schedule.starts_with('@') {
        return check_word(schedule);
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    };
    check_field(minute, &(0..=59), &[])?;
    check_field(hour, &(0..=23), &[])?;
    check_field(day, &(1..=31), &[])?;
    check_field(month, &(1..=12), &MONTHS)?;
    check_field(weekday, &(0..=6), &DAYS)
}

fn check_word(schedule: &str) -> Result<(), String> {
    let is_duration = |text: &str| {
        let mut rest = text;
        while !rest.is_empty() {
            let Some(unit) = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0) else {
                return false;
            };
            let units = ["ns", "us", "ms", "s", "m", "h"];
            let Some(end) = units.iter().find_map(|name| {
                let after = rest[unit..].strip_prefix(name)?;
                after.chars().next().is_none_or(|next| next.is_ascii_digit()).then_some(after)
            }) else {
                return false;
            };
            rest = end;
        }
        !text.is_empty()
    };
    match schedule.strip_prefix("@every ") {
        Some(duration) if is_duration(duration) => Ok(()),
        Some(duration) => {
            Err(format!("failed to parse duration @every {duration}: time: invalid duration {duration:?}"))
        }
        None if WORDS.contains(&schedule) => Ok(()),
        None => Err(format!("unrecognized descriptor: {schedule}")),
    }
}

/// Checks one field: ranges with steps, joined by commas.
fn check_field(field: &str, bounds: &RangeInclusive<u32>, names: &[&str]) -> Result<(), String> {
    field.split(',').filter(|part| !part.is_empty()).try_for_each(|part| check_range(part, bounds, names))
}

fn check_range(part: &str, bounds: &RangeInclusive<u32>, names: &[&str]) -> Result<(), String> {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if let Some(step) = step {
        if step.contains('/') {
            return Err(format!("too many slashes: {part}"));
        }
        if number(step)? == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
    }
    if matches!(range, "*" | "?") {
        return Ok(());
    }
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    if high.contains('-') {
        return Err(format!("too many hyphens: {part}"));
    }
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let first = *bounds.start();
        named.map_or_else(|| number(text), |at| Ok(first + u32::try_from(at).unwrap_or_default()))
    };
    let (start, end) = (value(low)?, value(high)?);
    match () {
        () if start < *bounds.start() => {
            Err(format!("beginning of range ({start}) below minimum ({}): {part}", bounds.start()))
        }
        () if end > *bounds.end() => {
            Err(format!("end of range ({end}) above maximum ({}): {part}", bounds.end()))
        }
        () if start > end => Err(format!("beginning of range ({start}) beyond end of range ({end}): {part}")),
        () => Ok(()),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| {
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_or_refused() {
        for schedule in [
            "* * * * *",
            "*/5 0-6,12 1 jan-MAR mon",
            "0 0 ? * 0",
            "@hourly",
            "@every 1h30m",
            "@every 1.5s",
            "0 0/2 * * *",
        ] {
            assert_eq!(check(schedule), Ok(()), "{schedule}");
        }
        for (schedule, fault) in [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("@never", "unrecognized descriptor: @never"),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
            ("TZ=UTC * * * * *", "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
        ] {
            assert_eq!(check(schedule), Err(fault.to_owned()), "{schedule}");
        }
    }
}
