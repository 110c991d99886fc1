//! Why a remote APIService is not available: a reason for programs, in kube-aggregator's words where it has them, and
//! a message for people.

use detectviz_api::{Reason, Status};
use detectviz_client::{ClusterError, TargetError};
use detectviz_core::catalog::Taken;
use detectviz_core::http::CollectError;
use std::error::Error;
use std::time::Duration;

/// A failed check of an APIService. Texts end up in its condition; none carries a backend's answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// Nothing is called as `spec.service` says.
    #[error(
        "service/{name} in {namespace:?} is not present: there must be a Service, or an ExternalName that says its host"
    )]
    ServiceNotFound { namespace: String, name: String },
    /// The service has no such port.
    #[error("service/{name} in {namespace:?} is not listening on port {port}: {why}")]
    ServicePort { namespace: String, name: String, port: i64, why: String },
    /// The service is of a type that nobody knows.
    #[error("service {name:?} has the unsupported type {kind:?}")]
    ServiceType { name: String, kind: String },
    /// Nothing says what is behind the service.
    #[error(
        "cannot find endpointslices for service/{name} in {namespace:?}: there must be one with the label \
             kubernetes.io/service-name={name}, or Endpoints called {name}"
    )]
    EndpointsNotFound { namespace: String, name: String },
    /// Nothing that is ready is behind the service.
    #[error("endpointslices for service/{name} in {namespace:?} have no addresses with port name {port:?}")]
    MissingEndpoints { namespace: String, name: String, port: String },
    /// The annotation says what cannot be dialled.
    #[error("read the annotation {}: {why}", crate::spec::targets::ANNOTATION)]
    Targets { why: String },
    /// The backend's address or TLS options make no client.
    #[error("use backend {url}: {why}")]
    Backend { url: String, why: String },
    /// The backend did not answer as an API server does.
    #[error("failing or missing response from {url}: {why}")]
    Discovery { url: String, why: String },
    /// Someone else serves the group-version.
    #[error("{0}")]
    Taken(#[from] Taken),
}

impl Unavailable {
    /// The condition's reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::ServiceNotFound { .. } => "ServiceNotFound",
            Self::ServicePort { .. } => "ServicePortError",
            Self::EndpointsNotFound { .. } => "EndpointsNotFound",
            Self::MissingEndpoints { .. } => "MissingEndpoints",
            Self::Targets { .. } => "InvalidEndpoints",
            Self::ServiceType { .. } | Self::Backend { .. } | Self::Discovery { .. } => {
                "FailedDiscoveryCheck"
            }
            Self::Taken(_) => "GroupVersionTaken",
        }
    }
}

/// Why there is no client of a backend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// Our own certificate cannot be read.
    #[error("read the front-proxy client certificate: {0}")]
    Identity(String),
    /// Host or TLS options do not work.
    #[error("{}", chain(.0))]
    Target(#[from] TargetError),
}

/// Why a document could not be fetched from a backend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// No answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// An answer that could not be read whole.
    #[error(transparent)]
    Body(#[from] CollectError),
    /// The answer did not come in time.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer has a status code that says it is not the document.
    #[error("bad status from {url}: {code}")]
    Code { url: String, code: u16 },
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// 501, for what the aggregator does not do.
pub(crate) const NOT_IMPLEMENTED: (&str, u16) = ("NotImplemented", 501);
/// 502, for what a backend must not do.
pub(crate) const BAD_GATEWAY: (&str, u16) = ("BadGateway", 502);
/// 508, for a request that goes round.
pub(crate) const LOOP_DETECTED: (&str, u16) = ("LoopDetected", 508);

/// After how many seconds a client should try again.
const RETRY_AFTER: u32 = 1;

/// A `Status` of a gateway: upstream's reasons have no word for these codes.
pub(crate) fn refused((reason, code): (&str, u16), message: impl Into<String>) -> Status {
    Status { reason: reason.to_owned(), code, ..Status::failure(Reason::InternalError, message) }
}

/// 503 that says when to try again.
pub(crate) fn try_later(message: String) -> Status {
    Status::failure(Reason::ServiceUnavailable, message).retry_after(RETRY_AFTER)
}
