//! Faults that only pods' rules need, and how lists are read.

use detectviz_api::Cause;
use serde_json::Value;

/// The items of the list at `field`; none when it is missing.
pub(crate) fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The value at `field` stands elsewhere already.
pub(crate) fn duplicate(field: &str, value: &str) -> Cause {
    let message = format!("Duplicate value: {value:?}");
    Cause { reason: "FieldValueDuplicate".to_owned(), message, field: field.to_owned() }
}

/// Nothing is called what `field` says.
pub(crate) fn not_found(field: &str, value: &str) -> Cause {
    let message = format!("Not found: {value:?}");
    Cause { reason: "FieldValueNotFound".to_owned(), message, field: field.to_owned() }
}
