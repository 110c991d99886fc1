//! The texts of faults, since clients and people match on them: upstream's, as a CRD's validation words them.

use detectviz_api::Cause;
use detectviz_api::go::{cut, float, quote};
use serde_json::{Number, Value};

use crate::path::Path;

fn cause(reason: &str, path: &Path<'_>, message: String) -> Cause {
    Cause { reason: reason.to_owned(), message, field: path.spelled() }
}

/// A field that must be there is not.
pub(super) fn required(path: &Path<'_>) -> Cause {
    cause("FieldValueRequired", path, "Required value".to_owned())
}

/// A value that is not `wanted`, a type or a format. `shown` is what upstream shows: the type that was found, or the value.
pub(super) fn mistyped(path: &Path<'_>, wanted: &str, shown: &str) -> Cause {
    let (shown, place) = (quote(shown), path.spelled());
    let message = format!("Invalid value: {shown}: {place} in body must be of type {wanted}: {shown}");
    cause("FieldValueTypeInvalid", path, message)
}

/// A value that breaks a rule, which follows `in body`.
pub(super) fn invalid(path: &Path<'_>, value: &Value, rule: &str) -> Cause {
    let message = format!("Invalid value: {}: {} in body {rule}", shown(value), path.spelled());
    cause("FieldValueInvalid", path, message)
}

/// A value that breaks a rule, which says by itself of what it is.
pub(super) fn wrong(path: &Path<'_>, value: &Value, rule: &str) -> Cause {
    cause("FieldValueInvalid", path, format!("Invalid value: {}: {rule}", shown(value)))
}

/// Something wrong for which upstream knows no field, and so says that it is none.
pub(super) fn placeless(rule: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: format!("Invalid value: \"\": {rule}"),
        field: "<nil>".to_owned(),
    }
}

/// A value that is none of `allowed`.
pub(super) fn not_supported(path: &Path<'_>, value: &Value, allowed: &[Value]) -> Cause {
    let quoted = |allowed: &Value| match allowed {
        Value::String(text) => quote(text),
        other => quote(&other.to_string()),
    };
    let allowed: Vec<String> = allowed.iter().map(quoted).collect();
    let message = format!("Unsupported value: {}: supported values: {}", shown(value), allowed.join(", "));
    cause("FieldValueNotSupported", path, message)
}

/// A text of more than `most` characters; upstream calls them bytes.
pub(super) fn too_long(path: &Path<'_>, most: u64) -> Cause {
    let message = format!("Too long: may not be more than {}", counted(most, "byte"));
    cause("FieldValueTooLong", path, message)
}

/// A list or an object of `count` items where `most` are allowed.
pub(super) fn too_many(path: &Path<'_>, count: usize, most: u64) -> Cause {
    let message = format!("Too many: {count}: must have at most {}", counted(most, "item"));
    cause("FieldValueTooMany", path, message)
}

/// An item that stands in the list already; `key` is what tells items apart.
pub(super) fn duplicate(path: &Path<'_>, key: &Value) -> Cause {
    Cause {
        reason: "FieldValueDuplicate".to_owned(),
        message: format!("Duplicate value: {}", shown(key)),
        field: path.bracketed(),
    }
}

/// A value as upstream's texts show it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => number_shown(number),
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            let more = if cut(&text).len() < text.len() { "..." } else { "" };
            format!("{}{more}", cut(&text))
        }
        scalar => scalar.to_string(),
    }
}

/// A number as upstream's texts show it: what is no 64-bit integer is a float.
pub(super) fn number_shown(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (None, Some(value)) => float(value),
        _ => number.to_string(),
    }
}

fn counted(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}
