//! Why a cluster gives no answer.

use std::time::Duration;

use crate::transport::{Phase, TransportError};

/// Why there is no answer. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is nowhere to send it.
    #[error("there is no endpoint")]
    NoEndpoint,
    /// No endpoint can be reached, as is known already: nothing was tried for this request.
    #[error("no endpoint can be reached: {}", .last.as_ref().map_or_else(|| "no answer in time".to_owned(), TransportError::report))]
    Open {
        /// Why the one tried last could not be.
        last: Option<TransportError>,
    },
    /// It was tried.
    #[error("{}", .error.report())]
    Transport {
        /// Why the last attempt failed.
        error: TransportError,
        /// Whether nothing of the request can have reached a backend, so that it had no effect.
        unsent: bool,
    },
}

impl ClusterError {
    /// How far the last attempt came; `Connect` when there was none.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Transport { error, .. } => error.phase(),
            Self::NoEndpoint | Self::Open { .. } => Phase::Connect,
        }
    }

    /// Whether it is certain that the request had no effect.
    pub fn is_unsent(&self) -> bool {
        !matches!(self, Self::Transport { unsent: false, .. })
    }

    /// Whether all connections were in use, which says nothing about the backend's health.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Transport { error: TransportError::Busy { .. }, .. })
    }

    /// The error and all its causes in one line, for a condition's message.
    pub fn report(&self) -> String {
        self.to_string()
    }

    /// When to try again, if it can be said.
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Open { .. }).then_some(Duration::from_secs(1))
    }
}
