//! What an apply that cannot be done is told, in upstream's words, since kubectl and people read them.

use detectviz_api::go::cut;
use detectviz_api::{Reason, Status};
use std::collections::BTreeMap;
use std::fmt;

/// How an entry came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The field, such as `.data.key`.
    pub field: String,
}

/// Why an apply cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// Others own fields that would change: 409. Of very many very long ones not all are told.
    Conflicts(Vec<Conflict>),
    /// The request cannot be one: 400.
    BadRequest(String),
    /// The configuration or the object does not fit its schema. Upstream answers 500 without a reason, and so does this.
    Invalid(String),
}

impl Operation {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

impl Conflict {
    /// The entry as messages name it.
    fn owner(&self) -> Owner<'_> {
        Owner(self)
    }
}

struct Owner<'a>(&'a Conflict);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { manager, operation, subresource, api_version, .. } = self.0;
        write!(f, "{manager:?}")?;
        if !subresource.is_empty() {
            write!(f, " with subresource {subresource:?}")?;
        }
        if *operation == Operation::Update {
            write!(f, " using {api_version}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(message) | Self::Invalid(message) => f.write_str(message),
            Self::Conflicts(conflicts) => match &conflicts[..] {
                [one] => {
                    write!(f, "Apply failed with 1 conflict: conflict with {}: {}", one.owner(), one.field)
                }
                many => write_many(f, many),
            },
        }
    }
}

impl std::error::Error for ApplyError {}

fn write_many(f: &mut fmt::Formatter<'_>, conflicts: &[Conflict]) -> fmt::Result {
    let mut owners: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        owners.entry(conflict.owner().to_string()).or_default().push(&conflict.field);
    }
    write!(f, "Apply failed with {} conflicts: ", conflicts.len())?;
    for (place, (owner, fields)) in owners.iter().enumerate() {
        write!(f, "{}conflicts with {owner}:", if place == 0 { "" } else { "\n" })?;
        for field in fields {
            write!(f, "\n- {field}")?;
        }
    }
    Ok(())
}

impl From<ApplyError> for Status {
    fn from(error: ApplyError) -> Self {
        let message = error.to_string();
        match error {
            // What is wrong is told with its place, and keys are as long as who sends them likes.
            ApplyError::BadRequest(_) => Self::bad_request(cut(&message)),
            ApplyError::Invalid(_) => {
                let mut status = Self::failure(Reason::InternalError, cut(&message));
                status.reason.clear();
                status
            }
            ApplyError::Conflicts(conflicts) => {
                conflicts.iter().fold(Self::failure(Reason::Conflict, message), |status, conflict| {
                    let message = format!("conflict with {}", conflict.owner());
                    status.because("FieldManagerConflict", message, &conflict.field)
                })
            }
        }
    }
}
