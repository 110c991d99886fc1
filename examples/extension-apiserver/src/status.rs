//! Every failure is a `metav1.Status`: reason for programs, message for people, code for HTTP.

use http::StatusCode;
use serde_json::{Value, json};

use crate::flight::Flight;
use crate::route::{GROUP, KIND, RESOURCE};

/// A failure, as the client will read it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Status {
    /// The HTTP status.
    pub(crate) code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Box<Value>>,
}

/// One reason why an object is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The path of the field, such as `spec.origin`.
    pub(crate) field: String,
    /// `FieldValueRequired`, `FieldValueInvalid` and the like.
    pub(crate) reason: &'static str,
    /// What is wrong with the value.
    pub(crate) message: String,
}

impl Status {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, name: &str) -> Self {
        self.details = Some(Box::new(json!({"name": name, "group": GROUP, "kind": RESOURCE})));
        self
    }

    /// 400: the request cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 400 for a body that is no flight, in the words of the upstream decoder.
    pub(crate) fn not_a_flight(why: &str) -> Self {
        Self::bad_request(format!("{KIND} in version \"v1\" cannot be handled as a {KIND}: {why}"))
    }

    /// 401: nobody vouches for this request.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 403: `user` may not use `verb` on flights.
    pub(crate) fn forbidden(user: &str, verb: &str, namespace: Option<&str>, name: Option<&str>) -> Self {
        let object = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let place = namespace.map_or_else(
            || "at the cluster scope".to_owned(),
            |namespace| format!("in the namespace \"{namespace}\""),
        );
        let message = format!(
            "{RESOURCE}.{GROUP}{object} is forbidden: User \"{user}\" cannot {verb} resource \"{RESOURCE}\" in API group \"{GROUP}\" {place}"
        );
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(name.unwrap_or_default())
    }

    /// 403: `user` may not read `path`.
    pub(crate) fn forbidden_path(user: &str, path: &str) -> Self {
        let message = format!("forbidden: User \"{user}\" cannot get path \"{path}\"");
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 500: nobody could be asked whether this is allowed.
    pub(crate) fn cannot_authorize() -> Self {
        let message = "Internal error occurred: the API server could not be asked whether this is allowed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// 403: the store holds as many flights as it may.
    pub(crate) fn store_full(name: &str, limit: usize) -> Self {
        let message =
            format!("{RESOURCE}.{GROUP} \"{name}\" is forbidden: at most {limit} flights are kept in memory");
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(name)
    }

    /// 404 for a path that this server does not serve.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// 404 for a flight that does not exist.
    pub(crate) fn not_found(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{RESOURCE}.{GROUP} \"{name}\" not found"))
            .about(name)
    }

    /// 405: the path exists and the method does not.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// 406: nothing that the client accepts can be produced.
    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 408: the body did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout", "the request body did not arrive in time")
    }

    /// 409: the flight exists.
    pub(crate) fn already_exists(name: &str) -> Self {
        let message = format!("{RESOURCE}.{GROUP} \"{name}\" already exists");
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(name)
    }

    /// 409: the client's copy is stale.
    pub(crate) fn conflict(name: &str) -> Self {
        Self::precondition(
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409: a precondition on uid or resourceVersion does not hold.
    pub(crate) fn precondition(name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {RESOURCE}.{GROUP} \"{name}\": {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(name)
    }

    /// 410: the events since `asked` are no longer known.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(StatusCode::GONE, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 413: the body is larger than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 415: the body's media type is not one of `accepted`.
    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 422: a patch that is well formed and cannot be applied.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// 422: the object breaks a rule; all broken rules at once.
    pub(crate) fn invalid(name: &str, causes: &[Cause]) -> Self {
        let text =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>();
        let text = if let [only] = text.as_slice() { only.clone() } else { format!("[{}]", text.join(", ")) };
        let message = format!("{KIND}.{GROUP} \"{name}\" is invalid: {text}");
        let causes = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect::<Vec<_>>();
        let details = json!({"name": name, "group": GROUP, "kind": KIND, "causes": causes});
        let mut status = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        status.details = Some(Box::new(details));
        status
    }

    /// 504: the client has seen a revision that this server has not reached.
    pub(crate) fn too_new(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut status = Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        status.details = Some(Box::new(json!({"causes": [cause], "retryAfterSeconds": 1})));
        status
    }

    /// The object on the wire.
    pub(crate) fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if let Some(details) = &self.details {
            status["details"] = (**details).clone();
        }
        status
    }
}

/// The answer to a deletion that is complete.
pub(crate) fn deleted(flight: &Flight) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": flight.metadata.name, "group": GROUP, "kind": RESOURCE, "uid": flight.metadata.uid},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_kubernetes() {
        let message = |status: Status| status.to_json()["message"].as_str().unwrap().to_owned();
        assert_eq!(
            message(Status::forbidden("jane", "create", Some("default"), None)),
            "flights.example.detectviz.io is forbidden: User \"jane\" cannot create resource \"flights\" \
             in API group \"example.detectviz.io\" in the namespace \"default\""
        );
        let cause = |field: &str| Cause {
            field: field.to_owned(),
            reason: "FieldValueRequired",
            message: "Required value".to_owned(),
        };
        assert_eq!(
            message(Status::invalid("a", &[cause("spec.origin"), cause("spec.destination")])),
            "Flight.example.detectviz.io \"a\" is invalid: [spec.origin: Required value, spec.destination: Required value]"
        );
    }
}
