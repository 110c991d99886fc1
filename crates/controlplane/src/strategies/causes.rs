//! Faults in upstream's words (`field.Error`), since clients and people match on them.

use detectviz_api::Cause;
use std::fmt::Debug;

/// The value `value`, a text or a number, at `field` breaks a rule.
pub(super) fn invalid(field: &str, value: impl Debug, why: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {value:?}: {why}"))
}

/// The value that reads `shown`, at `field`, breaks a rule.
pub(super) fn invalid_shown(field: &str, shown: &str, why: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {shown}: {why}"))
}

/// The text `value` at `field` is none of those that are `supported`.
pub(super) fn unsupported(field: &str, value: &str, supported: &[&str]) -> Cause {
    let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
    let message = format!("Unsupported value: {value:?}: supported values: {}", supported.join(", "));
    cause("FieldValueNotSupported", field, message)
}

/// There is nothing at `field`, and must be; `why` may be empty.
pub(super) fn required(field: &str, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
    cause("FieldValueRequired", field, message)
}

/// What is at `field` may not be there, or may not change.
pub(super) fn forbidden(field: &str, why: &str) -> Cause {
    cause("FieldValueForbidden", field, format!("Forbidden: {why}"))
}

/// What is at `field` has more than `most` bytes.
pub(super) fn too_long(field: &str, most: usize) -> Cause {
    cause("FieldValueTooLong", field, format!("Too long: may not be more than {most} bytes"))
}

/// The value `value`, a text or a number, stands twice; `field` is where it stands again.
pub(super) fn duplicate(field: &str, value: impl Debug) -> Cause {
    cause("FieldValueDuplicate", field, format!("Duplicate value: {value:?}"))
}

/// The value `value`, which is no text, stands twice.
pub(super) fn duplicate_json(field: &str, value: &serde_json::Value) -> Cause {
    cause("FieldValueDuplicate", field, format!("Duplicate value: {value}"))
}

/// The list at `field` has `count` items.
pub(super) fn too_many(field: &str, count: usize, most: usize) -> Cause {
    cause("FieldValueTooMany", field, format!("Too many: {count}: must have at most {most} items"))
}

/// The value at `field`, which is no text, breaks a rule.
pub(super) fn invalid_json(field: &str, value: &serde_json::Value, why: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {value}: {why}"))
}

fn cause(reason: &str, field: &str, message: String) -> Cause {
    Cause { reason: reason.to_owned(), message, field: field.to_owned() }
}
