//! Who owns which field: server-side apply and `metadata.managedFields`, as pure functions over a value and its schema.

mod conflict;

use detectviz_api::Cause;
use serde_json::Value;

use crate::CompiledVersion;

pub use conflict::{ApplyError, Conflict, Operation};

/// Who writes, through what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager, such as `kubectl`.
    pub manager: &'a str,
    /// The subresource that is written through, such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The `apiVersion` of the request, such as `apps/v1`.
    pub api_version: &'a str,
    /// The time, in RFC 3339 with seconds, such as `2026-01-31T12:00:00Z`.
    pub now: &'a str,
}

/// The fields that a write through an endpoint does not take, since the server resets them: paths of field names,
/// such as `&[&["status"]]` for the object itself. A path stands for all that is below it.
pub type Reset<'a> = &'a [&'a [&'a str]];

impl CompiledVersion {
    /// Keeps the books of a create (`live` is `None`), an update or a patch that is no apply: writes `managedFields` of `new`.
    pub fn manage_update(
        &self,
        live: Option<&Value>,
        new: &mut Value,
        writer: &Writer<'_>,
        reset: Reset<'_>,
    ) {
        let _ = (live, new, writer, reset);
    }

    /// Applies `config` to `live` (`None` if there is no such object) and returns the result with its new `managedFields`.
    ///
    /// # Errors
    /// The fields that others own, unless `force` takes them; what is wrong with `config` or with the object.
    pub fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        writer: &Writer<'_>,
        force: bool,
        reset: Reset<'_>,
    ) -> Result<Value, ApplyError> {
        let _ = (live, writer, force, reset);
        Ok(config.clone())
    }
}

/// What is wrong with `metadata.managedFields` of a request's object.
pub fn managed_faults(object: &Value) -> Vec<Cause> {
    let _ = object;
    Vec::new()
}

/// Whether `old` and `new` differ in nothing but the times of their `managedFields` (and `resourceVersion`):
/// such a write is none.
pub fn only_times_differ(old: &Value, new: &Value) -> bool {
    old == new
}
