//! `metav1.Status`: the one shape in which the API says that something went wrong.
//!
//! Texts and codes follow upstream's `api/errors`, since clients and people match on them.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::resource::qualified_resource;

/// A machine-readable reason, with the HTTP code that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// 400: the request itself is wrong.
    BadRequest,
    /// 401: who is asking is not known.
    Unauthorized,
    /// 403: known, but not allowed.
    Forbidden,
    /// 404: no such path, resource or object.
    NotFound,
    /// 405: the resource does not support the verb.
    MethodNotAllowed,
    /// 406: no offered media type is acceptable.
    NotAcceptable,
    /// 409: an object of this name exists.
    AlreadyExists,
    /// 409: the object is not in the state that the request assumed.
    Conflict,
    /// 410: the resourceVersion is too old.
    Expired,
    /// 413: the body is too large.
    RequestEntityTooLarge,
    /// 415: the body's media type is not supported.
    UnsupportedMediaType,
    /// 422: the object is not valid.
    Invalid,
    /// 429: too much at once.
    TooManyRequests,
    /// 500: our fault.
    InternalError,
    /// 503: not now.
    ServiceUnavailable,
    /// 504: took too long.
    Timeout,
    /// 507: the store is full or read-only. Ours: upstream answers 500.
    InsufficientStorage,
}

impl Reason {
    /// The reason's name on the wire and its HTTP status code.
    pub const fn wire(self) -> (&'static str, u16) {
        match self {
            Self::BadRequest => ("BadRequest", 400),
            Self::Unauthorized => ("Unauthorized", 401),
            Self::Forbidden => ("Forbidden", 403),
            Self::NotFound => ("NotFound", 404),
            Self::MethodNotAllowed => ("MethodNotAllowed", 405),
            Self::NotAcceptable => ("NotAcceptable", 406),
            Self::AlreadyExists => ("AlreadyExists", 409),
            Self::Conflict => ("Conflict", 409),
            Self::Expired => ("Expired", 410),
            Self::RequestEntityTooLarge => ("RequestEntityTooLarge", 413),
            Self::UnsupportedMediaType => ("UnsupportedMediaType", 415),
            Self::Invalid => ("Invalid", 422),
            Self::TooManyRequests => ("TooManyRequests", 429),
            Self::InternalError => ("InternalError", 500),
            Self::ServiceUnavailable => ("ServiceUnavailable", 503),
            Self::Timeout => ("Timeout", 504),
            Self::InsufficientStorage => ("InsufficientStorage", 507),
        }
    }
}

/// One thing that was wrong: `details.causes[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The kind of fault, such as `FieldValueInvalid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What was wrong, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The path of the field at fault, such as `spec.host`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// What the failure is about: `details`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource (upstream calls the field `kind`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Each fault found, all of them at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which trying again may help.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// A failure (or the success of a delete), as the API reports it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// `Failure` or `Success`.
    #[serde(default)]
    pub status: String,
    /// What happened, for people.
    #[serde(default)]
    pub message: String,
    /// What happened, for programs.
    #[serde(default)]
    pub reason: String,
    /// What it is about.
    #[serde(default)]
    pub details: Option<Box<Details>>,
    /// The HTTP status code.
    #[serde(default)]
    pub code: u16,
    /// Where a list can be gone on with nevertheless: `metadata.continue`.
    #[serde(skip)]
    pub continue_token: String,
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "Status")?;
        map.serialize_entry("apiVersion", "v1")?;
        let token = (!self.continue_token.is_empty()).then_some(("continue", &self.continue_token));
        map.serialize_entry("metadata", &token.into_iter().collect::<std::collections::BTreeMap<_, _>>())?;
        map.serialize_entry("status", &self.status)?;
        for (key, text) in [("message", &self.message), ("reason", &self.reason)] {
            if !text.is_empty() {
                map.serialize_entry(key, text)?;
            }
        }
        if let Some(details) = &self.details {
            map.serialize_entry("details", details)?;
        }
        if self.code != 0 {
            map.serialize_entry("code", &self.code)?;
        }
        map.end()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

impl Status {
    /// A failure for `reason` with a message for people.
    pub fn failure(reason: Reason, message: impl Into<String>) -> Self {
        let (name, code) = reason.wire();
        Self {
            status: "Failure".to_owned(),
            message: message.into(),
            reason: name.to_owned(),
            details: None,
            code,
            continue_token: String::new(),
        }
    }

    /// The answer to a delete that removed the object at once.
    pub fn deleted(group: &str, resource: &str, name: &str, uid: &str) -> Self {
        let mut status = Self::failure(Reason::InternalError, "");
        status.status = "Success".to_owned();
        status.reason.clear();
        // Upstream's has none.
        status.code = 0;
        status.details = Some(Box::new(Details { uid: uid.to_owned(), ..about(group, resource, name) }));
        status
    }

    /// 400 with a message.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(Reason::BadRequest, message)
    }

    /// 404 for an object that does not exist.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} not found", qualified_resource(group, resource));
        Self::failure(Reason::NotFound, message).about(group, resource, name)
    }

    /// 404 for a path that nothing serves; upstream's wording, which kubectl matches.
    pub fn no_such_path() -> Self {
        Self::failure(Reason::NotFound, "the server could not find the requested resource").about("", "", "")
    }

    /// 409 for a create whose name is taken.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", qualified_resource(group, resource));
        Self::failure(Reason::AlreadyExists, message).about(group, resource, name)
    }

    /// 409 for a write that assumed another state of the object.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let what = qualified_resource(group, resource);
        let message = format!("Operation cannot be fulfilled on {what} {name:?}: {why}");
        Self::failure(Reason::Conflict, message).about(group, resource, name)
    }

    /// 422 with every fault found in the object of `kind` named `name`.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let faults: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let list =
            if let [one] = faults.as_slice() { one.clone() } else { format!("[{}]", faults.join(", ")) };
        let message = format!("{} {name:?} is invalid: {list}", qualified_resource(group, kind));
        let mut status = Self::failure(Reason::Invalid, message).about(group, kind, name);
        status.details.get_or_insert_default().causes = causes;
        status
    }

    /// 405 for a verb that the resource does not support.
    pub fn method_not_allowed() -> Self {
        Self::failure(
            Reason::MethodNotAllowed,
            "the server does not allow this method on the requested resource",
        )
    }

    /// 500 with a message.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::failure(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    /// Names what the failure is about.
    #[must_use]
    pub fn about(mut self, group: &str, resource: &str, name: &str) -> Self {
        let details = self.details.get_or_insert_default();
        (details.group, details.kind, details.name) =
            (group.to_owned(), resource.to_owned(), name.to_owned());
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, reason: &str, message: impl Into<String>, field: &str) -> Self {
        let cause = Cause { reason: reason.to_owned(), message: message.into(), field: field.to_owned() };
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// Says after how many seconds trying again may help.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// Whether the reason is `reason`.
    pub fn is(&self, reason: Reason) -> bool {
        self.reason == reason.wire().0
    }

    /// The status as JSON bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a Status has only string keys and plain values")
    }
}

fn about(group: &str, resource: &str, name: &str) -> Details {
    Details {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: resource.to_owned(),
        ..Details::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_not_found_reads_as_upstream_writes_it() {
        let status = Status::not_found("apps", "deployments", "web");
        assert_eq!(
            String::from_utf8(status.to_json()).unwrap(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"web\" not found","reason":"NotFound","details":{"name":"web","group":"apps","kind":"deployments"},"code":404}"#
        );
    }

    #[test]
    fn an_invalid_object_names_every_fault() {
        let cause = |field: &str| Cause {
            reason: "FieldValueRequired".into(),
            message: "Required value".into(),
            field: field.into(),
        };
        let status = Status::invalid("", "ConfigMap", "a", vec![cause("x"), cause("y")]);
        assert_eq!(status.message, "ConfigMap \"a\" is invalid: [x: Required value, y: Required value]");
        assert_eq!(status.details.unwrap().causes.len(), 2);
    }
}
