//! What an apply that cannot be done is told, in upstream's words, since kubectl and people read them.

use detectviz_api::{Reason, Status};

/// How an entry came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// A field that the applier wants otherwise than another manager who owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it.
    pub manager: String,
    /// How it was written.
    pub operation: Operation,
    /// Through which subresource; empty for the object itself.
    pub subresource: String,
    /// In which version.
    pub api_version: String,
    /// When; empty if the entry does not say.
    pub time: String,
    /// The field, such as `.data.key`.
    pub field: String,
}

/// Why an apply cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// Others own fields that would change: 409.
    Conflicts(Vec<Conflict>),
    /// The request cannot be one: 400.
    BadRequest(String),
    /// The configuration or the object does not fit its schema. Upstream answers 500 without a reason.
    Invalid(String),
}

impl From<ApplyError> for Status {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Conflicts(_) => Self::failure(Reason::Conflict, "Apply failed"),
            ApplyError::BadRequest(message) => Self::bad_request(message),
            ApplyError::Invalid(message) => {
                let mut status = Self::failure(Reason::InternalError, message);
                status.reason.clear();
                status
            }
        }
    }
}
