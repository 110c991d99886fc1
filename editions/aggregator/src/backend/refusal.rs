//! Why a backend gave no answer, and what the client is told.

use detectviz_api::{Reason, Status};
use detectviz_client::cluster::{Bound, OverBound};
use detectviz_client::{ClusterError, Phase};
use detectviz_core::backend_policy::{MAX_REQUESTS, MAX_STREAMS, PREFIX, RATE, TIMEOUT};
use http::Method;
use std::time::Duration;

use crate::error::{BAD_GATEWAY, refused, try_later};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// So much must not be asked for at once.
    #[error("{} (annotation {PREFIX}{})", .0, annotation(.0.bound))]
    Over(#[from] OverBound),
    /// The answer did not begin in time.
    #[error("no answer within {} s (annotation {PREFIX}{TIMEOUT})", .0.as_secs())]
    TimedOut(Duration),
    /// It could not be sent, or not answered.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

fn annotation(bound: Bound) -> &'static str {
    match bound {
        Bound::Requests => MAX_REQUESTS,
        Bound::Streams => MAX_STREAMS,
        Bound::Rate => RATE,
    }
}

impl SendError {
    /// How far the request came; `None` when it was refused before.
    pub(crate) fn phase(&self) -> Option<Phase> {
        match self {
            Self::Over(_) => None,
            Self::TimedOut(_) => Some(Phase::Send),
            Self::Cluster(error) => Some(error.phase()),
        }
    }

    /// Whether it is our bounds that were met, which says nothing about the backend's health.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Over(_) => true,
            Self::TimedOut(_) => false,
            Self::Cluster(error) => error.is_busy(),
        }
    }

    /// What the client of the APIService `name` is told. Only a request that cannot have had an effect, or that has none,
    /// is one to try again.
    pub(crate) fn status(&self, name: &str, method: &Method) -> Status {
        let unable = "the server is currently unable to handle the request";
        let maybe = if method.is_safe() { "" } else { "; it may have been executed" };
        match self {
            Self::Over(over) => {
                let message = format!("too much is asked of APIService {name:?}: {self}");
                Status::failure(Reason::TooManyRequests, message).retry_after(seconds(over.retry_after))
            }
            Self::TimedOut(_) => Status::failure(
                Reason::Timeout,
                format!("the request to APIService {name:?} timed out: {self}{maybe}"),
            ),
            Self::Cluster(error) if error.is_unsent() || method.is_safe() => {
                try_later(format!("{unable}: cannot reach APIService {name:?}: {error}"))
            }
            Self::Cluster(error) => {
                refused(BAD_GATEWAY, format!("{unable}: cannot reach APIService {name:?}: {error}{maybe}"))
            }
        }
    }
}

/// Whole seconds, at least one.
fn seconds(time: Duration) -> u32 {
    let rounded = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(rounded.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_named_with_the_annotation_that_sets_it() {
        for (bound, expected) in [
            (
                Bound::Requests,
                "over the bound of 7 requests under way (annotation aggregator.detectviz.io/max-requests-in-flight)",
            ),
            (Bound::Streams, "over the bound of 7 streams (annotation aggregator.detectviz.io/max-streams)"),
            (
                Bound::Rate,
                "over the bound of 7 requests per second (annotation aggregator.detectviz.io/requests-per-second)",
            ),
        ] {
            let error =
                SendError::Over(OverBound { bound, limit: 7, retry_after: Duration::from_millis(1001) });
            let status = error.status("v1.a", &Method::GET);
            assert_eq!((status.code, status.reason.as_str()), (429, "TooManyRequests"));
            assert_eq!(status.message, format!("too much is asked of APIService \"v1.a\": {expected}"));
            assert_eq!(status.details.unwrap().retry_after_seconds, 2);
            assert!(error.is_busy() && error.phase().is_none());
        }
    }

    #[test]
    fn only_what_may_have_had_an_effect_is_not_to_be_tried_again() {
        let open = SendError::Cluster(ClusterError::Open { last: None });
        for method in [Method::GET, Method::POST] {
            let status = open.status("v1.a", &method);
            assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (503, 1));
        }
        let late = SendError::TimedOut(Duration::from_secs(3));
        assert_eq!(late.status("v1.a", &Method::GET).code, 504);
        assert!(
            late.status("v1.a", &Method::POST)
                .message
                .ends_with("timeout-seconds); it may have been executed")
        );
    }
}
