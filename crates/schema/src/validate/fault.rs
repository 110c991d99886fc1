//! The texts of faults, since clients and people match on them: upstream's, as a CRD's validation words them.

use detectviz_api::Cause;
use serde_json::Value;

use crate::path::Path;

fn cause(reason: &str, path: &Path<'_>, message: String) -> Cause {
    Cause { reason: reason.to_owned(), message, field: path.to_string() }
}

/// A field that must be there is not.
pub(super) fn required(path: &Path<'_>) -> Cause {
    cause("FieldValueRequired", path, "Required value".to_owned())
}

/// A value of type `found` where `wanted` must be. The value itself is not repeated: it may be a secret.
pub(super) fn mistyped(path: &Path<'_>, wanted: &str, found: &str) -> Cause {
    let message = format!("Invalid value: {found:?}: {path} in body must be of type {wanted}: {found:?}");
    cause("FieldValueTypeInvalid", path, message)
}

/// A value that breaks a rule, which follows `in body`.
pub(super) fn invalid(path: &Path<'_>, value: &Value, rule: &str) -> Cause {
    cause("FieldValueInvalid", path, format!("Invalid value: {value}: {path} in body {rule}"))
}

/// A value that is none of `allowed`.
pub(super) fn not_supported(path: &Path<'_>, value: &Value, allowed: &[Value]) -> Cause {
    let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
    let message = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
    cause("FieldValueNotSupported", path, message)
}

/// A text of more than `most` characters.
pub(super) fn too_long(path: &Path<'_>, most: u64) -> Cause {
    let message = format!("Too long: may not be more than {}", counted(most, "character"));
    cause("FieldValueTooLong", path, message)
}

/// A list of `count` items where `most` are allowed.
pub(super) fn too_many(path: &Path<'_>, count: usize, most: u64) -> Cause {
    let message = format!("Too many: {count}: must have at most {}", counted(most, "item"));
    cause("FieldValueTooMany", path, message)
}

/// An item that stands in the list already; `key` is what tells items apart.
pub(super) fn duplicate(path: &Path<'_>, key: &Value) -> Cause {
    cause("FieldValueDuplicate", path, format!("Duplicate value: {key}"))
}

fn counted(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}
