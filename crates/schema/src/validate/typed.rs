//! Values of built-in kinds, and of all metadata: as Go's decoder reads them, and its words for those that it does not.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{DecodeError, Engine};
use detectviz_api::go::{cut, quote};
use detectviz_api::quantity::Quantity;
use detectviz_api::timestamp;
use serde_json::Value;

use super::fault::number_shown;
use crate::node::{Format, Kind, Node};
use crate::path::Path;

/// Go's decoder of standard base64: it does not look at the bits that are left over in the last character.
const GO: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Whether a text of `format` can be read.
pub(super) fn reads(format: Format, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    match format {
        Format::Byte => decoded(text).is_ok(),
        Format::DateTime | Format::MicroTime => timestamp::parse(text).is_some(),
        Format::Quantity => text.parse::<Quantity>().is_ok(),
        _ => true,
    }
}

/// Whether `value` is an integer of `format`: 1.0 is none to Go.
pub(super) fn is_integer(format: Format, value: &Value) -> bool {
    value.as_i64().is_some_and(|value| format != Format::Int32 || i32::try_from(value).is_ok())
}

/// Writes base64 as kube-apiserver does, which decodes it and encodes it anew: without the line ends that Go's decoder
/// skips, and with no bits set that stand for nothing. What is no base64 stays as it is.
pub(super) fn normalise_base64(text: &mut String) {
    if STANDARD.decode(&*text).is_ok() {
        return;
    }
    if let Ok(bytes) = decoded(text) {
        *text = STANDARD.encode(bytes);
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, DecodeError> {
    match GO.decode(text) {
        Err(_) if text.contains(['\r', '\n']) => {
            GO.decode(text.bytes().filter(|byte| !b"\r\n".contains(byte)).collect::<Vec<u8>>())
        }
        decoded => decoded,
    }
}

/// Why a document with `value` at `path` is none of the kind, in upstream's words. A text is not repeated, but for times: it may
/// be a secret.
pub(super) fn refusal(kind: &str, node: &Node, value: &Value, path: &Path<'_>) -> String {
    let field = path.fields();
    let holder = if field.starts_with("metadata.") { "ObjectMeta" } else { kind };
    match (node.format, value) {
        (Format::Byte, Value::String(text)) if node.kind == Kind::String => illegal_base64(text),
        (Format::DateTime | Format::MicroTime, Value::String(text)) if node.kind == Kind::String => {
            unreadable_time(node.format, text)
        }
        (Format::Quantity, Value::String(text)) if node.kind == Kind::String => {
            text.parse::<Quantity>().map_or_else(|fault| fault.to_string(), |_| String::new())
        }
        _ => format!(
            "json: cannot unmarshal {} into Go struct field {holder}.{} of type {}",
            found(node, value),
            cut(&field),
            go_type(node)
        ),
    }
}

fn illegal_base64(text: &str) -> String {
    let at = match decoded(text) {
        Err(DecodeError::InvalidByte(at, _)) => at,
        _ => text.len(),
    };
    format!("illegal base64 data at input byte {at}")
}

fn unreadable_time(format: Format, text: &str) -> String {
    let fraction = if format == Format::MicroTime { ".000000" } else { "" };
    let layout = format!("2006-01-02T15:04:05{fraction}Z07:00");
    let text = cut(text);
    format!("parsing time {0} as {1}: cannot parse {0} as {1}", quote(text), quote(&layout))
}

/// What was found, as Go names it: a number that does not fit where one belongs with its digits.
fn found(node: &Node, value: &Value) -> String {
    match value {
        Value::Number(number) if node.kind == Kind::Integer => format!("number {}", number_shown(number)),
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

/// The Go type of the values of `node`, as far as a schema tells it.
fn go_type(node: &Node) -> String {
    match (node.kind, node.format) {
        (Kind::String, Format::Byte) => "[]uint8".to_owned(),
        (Kind::String, Format::DateTime) => "v1.Time".to_owned(),
        (Kind::String, Format::MicroTime) => "v1.MicroTime".to_owned(),
        (Kind::String, Format::Quantity) => "resource.Quantity".to_owned(),
        (Kind::String, _) => "string".to_owned(),
        (Kind::Boolean, _) => "bool".to_owned(),
        (Kind::Integer, Format::Int32) => "int32".to_owned(),
        (Kind::Integer, _) => "int64".to_owned(),
        (Kind::Number, _) => "float64".to_owned(),
        (Kind::IntOrString, _) => "intstr.IntOrString".to_owned(),
        (Kind::Array, _) => format!("[]{}", node.items.as_deref().map_or("object".to_owned(), go_type)),
        (Kind::Object, _) => match &node.values {
            Some(values) => format!("map[string]{}", go_type(values)),
            None => "object".to_owned(),
        },
        (Kind::Any, _) => "interface {}".to_owned(),
    }
}
