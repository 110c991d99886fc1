//! The messages that JSON writes as something else than an object: times, integers or texts, embedded JSON.

use detectviz_api::timestamp;
use serde_json::Value;

use super::ProtobufFault;
use super::wire::{Payload, Reader};
use crate::decode::{Limits, decode_counted};
use crate::node::Format;

/// `Time` and `MicroTime`: seconds and nanoseconds since the Unix epoch. An empty message is Go's zero time: null.
pub(super) fn time(format: Format, payload: Payload<'_>) -> Result<Value, ProtobufFault> {
    let message = payload.bytes()?;
    if message.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Reader::new(message) {
        match field? {
            (1, value) => seconds = value.varint()? as i64,
            (2, value) => nanos = value.varint()? as i32,
            _ => {}
        }
    }
    let at = timestamp::from_unix(seconds, nanos).ok_or(ProtobufFault::Time)?;
    Ok(Value::String(if format == Format::MicroTime {
        timestamp::micros(at)
    } else {
        timestamp::seconds(at)
    }))
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
