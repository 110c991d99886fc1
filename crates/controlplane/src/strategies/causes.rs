//! Faults in upstream's words (`field.Error`), since clients and people match on them.

use detectviz_api::Cause;

/// The value `value` at `field` breaks a rule.
pub(super) fn invalid(field: &str, value: &str, why: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {value:?}: {why}"))
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

fn cause(reason: &str, field: &str, message: String) -> Cause {
    Cause { reason: reason.to_owned(), message, field: field.to_owned() }
}
