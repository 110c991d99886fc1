//! What a failed plugin call means for the caller, in one place.

use std::time::Duration;

use detectviz_api::condition::Condition;
use detectviz_api::{Reason, Status};
use tonic::Code;

/// Seconds after which a plugin that went away may be back.
pub(crate) const RETRY_SECONDS: u32 = 1;

/// The plugin does not run now.
pub(crate) fn not_running(plugin: &str, why: &str) -> Status {
    let message = format!("plugin {plugin:?} does not run: {why}");
    Status::failure(Reason::ServiceUnavailable, message).retry_after(RETRY_SECONDS)
}

/// There is no such plugin, as the service's condition says too; trying again will not help.
pub(crate) fn no_plugin(condition: &Condition) -> Status {
    let Condition { reason, message, .. } = condition;
    let message = format!("unable to get plugin context: plugin not found: {reason}: {message}");
    Status::failure(Reason::ServiceUnavailable, message)
}

/// The plugin took longer than it may.
pub(crate) fn timed_out(plugin: &str, limit: Duration) -> Status {
    let message = format!(
        "plugin {plugin:?} did not answer within {} s: ask for less, or raise dataplane.query_timeout_seconds",
        limit.as_secs()
    );
    Status::failure(Reason::Timeout, message)
}

/// A body, or an answer, is larger than it may be.
pub(crate) fn too_large(message: impl Into<String>) -> Status {
    Status::failure(Reason::RequestEntityTooLarge, message)
}

/// What the plugin's gRPC error is in this API. A code that would speak of *this* server's caller (`Unauthenticated`,
/// `PermissionDenied`, `NotFound`) stays an internal error: it speaks of something behind the plugin.
pub(crate) fn grpc(plugin: &str, fault: &tonic::Status, limit: Duration) -> Status {
    let text = fault.message();
    match fault.code() {
        Code::Unavailable => not_running(plugin, "the data source became unavailable during the request"),
        // Nobody here cancels a call that someone still waits for: a deadline passed, on either side.
        Code::DeadlineExceeded | Code::Cancelled => timed_out(plugin, limit),
        Code::OutOfRange | Code::ResourceExhausted => too_large(format!(
            "the answer of plugin {plugin:?} is too large: ask for less, or raise dataplane.max_response_bytes ({text})"
        )),
        Code::Unimplemented => not_implemented(format!("plugin {plugin:?} does not answer queries")),
        code => Status::internal(format!("plugin {plugin:?} failed ({code:?}): {text}")),
    }
}

fn not_implemented(message: String) -> Status {
    let status = Status::failure(Reason::InternalError, message);
    Status { reason: "NotImplemented".to_owned(), code: 501, ..status }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_http_status() {
        for (code, http) in [
            (Code::Unavailable, 503),
            (Code::DeadlineExceeded, 504),
            (Code::Cancelled, 504),
            (Code::OutOfRange, 413),
            (Code::ResourceExhausted, 413),
            (Code::Unimplemented, 501),
            (Code::Unknown, 500),
            (Code::Unauthenticated, 500),
            (Code::PermissionDenied, 500),
            (Code::NotFound, 500),
        ] {
            let status = grpc("p", &tonic::Status::new(code, "why"), Duration::from_secs(3));
            assert_eq!((status.code, status.status.as_str()), (http, "Failure"), "{code:?}");
            assert!(status.message.contains("\"p\""), "{status}");
        }
        let gone = grpc("p", &tonic::Status::unavailable(""), Duration::ZERO);
        assert_eq!(gone.details.unwrap().retry_after_seconds, RETRY_SECONDS);
    }
}
