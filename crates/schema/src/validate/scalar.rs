//! What must hold for a text, a number or a boolean: its type, its format, its limits.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use detectviz_api::quantity::Quantity;
use serde_json::{Number, Value};

use super::{Admitted, fault, quantity};
use crate::node::{Bounds, Format, Kind, Node};
use crate::path::Path;

/// Go's decoder of standard base64: it does not look at the bits that are left over in the last character.
const GO: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

impl Admitted {
    pub(super) fn scalar(&mut self, node: &Node, value: &mut Value, path: &Path<'_>) {
        if quantity::is_quantity(node) {
            quantity::as_text(value);
        }
        if !fits(node.kind, value) {
            return self.fault(fault::mistyped(path, node.kind.name(), type_of(value)));
        }
        if let (Format::Byte, Value::String(text)) = (node.format, &mut *value) {
            normalise_base64(text);
        }
        match &*value {
            Value::String(text) => self.text(node, text, value, path),
            Value::Number(number) => self.number(node, number, value, path),
            _ => {}
        }
    }

    fn text(&mut self, node: &Node, text: &str, value: &Value, path: &Path<'_>) {
        if !text_has_format(node.format, text) {
            self.fault(fault::mistyped(path, node.format.name(), "string"));
        }
        let Bounds { length: (least, most), pattern, .. } = &node.bounds;
        let has = |count: u64| text.chars().nth(usize::try_from(count).unwrap_or(usize::MAX)).is_some();
        if let Some(least) = least.filter(|least| *least > 0 && !has(least - 1)) {
            self.fault(fault::invalid(path, value, &format!("should be at least {least} chars long")));
        }
        if let Some(most) = most.filter(|most| has(*most)) {
            self.fault(fault::too_long(path, most));
        }
        if let Some(pattern) = pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            self.fault(fault::invalid(path, value, &format!("should match '{}'", pattern.as_str())));
        }
    }

    fn number(&mut self, node: &Node, number: &Number, value: &Value, path: &Path<'_>) {
        if !number_has_format(node.format, number) {
            self.fault(fault::mistyped(path, node.format.name(), type_of(value)));
        }
        let ((least, most), Some(number)) = (node.bounds.range, number.as_f64()) else { return };
        if let Some(least) = least.filter(|least| number < *least) {
            self.fault(fault::invalid(path, value, &format!("should be greater than or equal to {least}")));
        }
        if let Some(most) = most.filter(|most| number > *most) {
            self.fault(fault::invalid(path, value, &format!("should be less than or equal to {most}")));
        }
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Object => value.is_object(),
        Kind::Array => value.is_array(),
        Kind::String => value.is_string(),
        Kind::Boolean => value.is_boolean(),
        Kind::Number => value.is_number(),
        Kind::Integer => is_whole(value),
        Kind::IntOrString => value.is_string() || is_whole(value),
    }
}

/// Whether `value` is a number without a fraction: 1.0 is an integer to JSON schema.
fn is_whole(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_whole(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Writes base64 as kube-apiserver does, which decodes it and encodes it anew: without the line ends that Go's decoder
/// skips, and with no bits set that stand for nothing. What is no base64 stays as it is.
fn normalise_base64(text: &mut String) {
    if STANDARD.decode(&*text).is_ok() {
        return;
    }
    let one_line: Vec<u8> = text.bytes().filter(|byte| !b"\r\n".contains(byte)).collect();
    if let Ok(bytes) = GO.decode(one_line) {
        *text = STANDARD.encode(bytes);
    }
}

fn text_has_format(format: Format, text: &str) -> bool {
    match format {
        Format::Byte => STANDARD.decode(text).is_ok(),
        Format::DateTime | Format::MicroTime => detectviz_api::timestamp::parse(text).is_some(),
        Format::Quantity => text.parse::<Quantity>().is_ok(),
        _ => true,
    }
}

fn number_has_format(format: Format, number: &Number) -> bool {
    match format {
        Format::Int32 => {
            number.as_f64().is_some_and(|value| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value))
        }
        Format::Int64 => {
            const END: f64 = 9_223_372_036_854_775_808.0; // 2^63, which a float can hold and an i64 cannot
            number.is_i64() || number.as_f64().is_some_and(|value| (-END..END).contains(&value))
        }
        _ => true,
    }
}
