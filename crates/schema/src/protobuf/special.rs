//! The messages that JSON writes as something else than an object: times, durations, quantities, integers or texts,
//! embedded JSON.

use detectviz_api::timestamp;
use serde_json::Value;

use super::ProtobufFault;
use super::wire::{Payload, Reader};
use crate::decode::{Limits, decode_counted};

/// The quantity in an empty message.
pub(super) const NO_QUANTITY: &str = "0";
/// The duration in an empty message.
pub(super) const NO_DURATION: &str = "0s";

/// The first second of the year 1, which is Go's time of nothing: JSON writes it as null.
const NO_TIME: i64 = -62_135_596_800;

/// `Time`: seconds since the Unix epoch. Go sends nanoseconds too, and reads none of them.
pub(super) fn time(payload: Payload<'_>) -> Result<Value, ProtobufFault> {
    instant(payload, |seconds, _| Some(timestamp::seconds(timestamp::from_unix(seconds, 0)?)))
}

/// `MicroTime`: seconds and nanoseconds since the Unix epoch, of which whole microseconds count.
pub(super) fn micro_time(payload: Payload<'_>) -> Result<Value, ProtobufFault> {
    instant(payload, |seconds, nanos| {
        Some(timestamp::micros(timestamp::from_unix(seconds, nanos / 1000 * 1000)?))
    })
}

fn instant(payload: Payload<'_>, write: impl Fn(i64, i32) -> Option<String>) -> Result<Value, ProtobufFault> {
    let message = payload.bytes()?;
    let (mut seconds, mut nanos) = (0, 0);
    for field in Reader::new(message) {
        match field? {
            (1, value) => seconds = value.varint()? as i64,
            (2, value) => nanos = value.varint()? as i32,
            _ => {}
        }
    }
    if message.is_empty() || (seconds, nanos) == (NO_TIME, 0) {
        return Ok(Value::Null);
    }
    write(seconds, nanos).map(Value::String).ok_or(ProtobufFault::Time)
}

/// `Duration`: nanoseconds, which Go writes as `1h2m3.5s`.
pub(super) fn duration(payload: Payload<'_>) -> Result<String, ProtobufFault> {
    let mut nanos = 0;
    for field in Reader::new(payload.bytes()?) {
        if let (1, value) = field? {
            nanos = value.varint()? as i64;
        }
    }
    Ok(go_duration(nanos))
}

fn go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let part = |unit: u64, name: &str| {
        let (whole, rest) = (size / unit, size % unit);
        let digits = unit.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        match fraction.trim_end_matches('0') {
            "" => format!("{sign}{whole}{name}"),
            fraction => format!("{sign}{whole}.{fraction}{name}"),
        }
    };
    match size {
        0 => NO_DURATION.to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => part(1_000, "µs"),
        1_000_000..1_000_000_000 => part(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
            let fraction = format!("{:09}", rest % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let dot = if fraction.is_empty() { "" } else { "." };
            let seconds = format!("{}{dot}{fraction}s", rest / 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// `Quantity`: the text that JSON has too.
pub(super) fn quantity(payload: Payload<'_>) -> Result<&str, ProtobufFault> {
    let mut text = NO_QUANTITY;
    for field in Reader::new(payload.bytes()?) {
        if let (1, value) = field? {
            text = value.text()?;
        }
    }
    Ok(text)
}

/// `IntOrString`: which of the two, the integer, the text.
pub(super) fn int_or_string(payload: Payload<'_>) -> Result<Value, ProtobufFault> {
    let (mut is_text, mut integer, mut text) = (false, 0, "");
    for field in Reader::new(payload.bytes()?) {
        match field? {
            (1, value) => is_text = value.varint()? != 0,
            (2, value) => integer = value.varint()? as i32,
            (3, value) => text = value.text()?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { integer.into() })
}

/// `RawExtension`, `JSON` and `FieldsV1`: JSON text in field 1, nothing for null. Counts its values against `left`.
pub(super) fn raw_json(payload: Payload<'_>, left: &mut usize) -> Result<Value, ProtobufFault> {
    let mut text: &[u8] = &[];
    for field in Reader::new(payload.bytes()?) {
        if let (1, value) = field? {
            text = value.bytes()?;
        }
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let (decoded, rest) = decode_counted(text, Limits { max_values: *left })
        .map_err(|fault| ProtobufFault::Json(fault.to_string()))?;
    *left = rest;
    Ok(decoded.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (-90_000_000_000, "-1m30s"),
            (-1_500, "-1.5µs"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(go_duration(nanos), text);
        }
    }
}
