//! Why there is no answer, and whether the request can be sent elsewhere.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use detectviz_core::http::{BoxError, Request};

use crate::dial::DialError;
use crate::target::Address;

/// How far a request came that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The name means nothing.
    Resolve,
    /// The policy does not let us dial it.
    Policy,
    /// No connection, or none in time, or none free.
    Connect,
    /// A connection, but the two sides do not trust each other.
    Tls,
    /// A connection, but it broke before the answer's head was there. The backend may have acted, unless
    /// [`Failed::request`] says that nothing was sent.
    Send,
}

/// Why there is no answer. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made.
    #[error(transparent)]
    Dial(#[from] Arc<DialError>),
    /// All connections are in use, for longer than the connect timeout.
    #[error("wait for a connection to {target}: all are in use")]
    Busy {
        /// What would have been dialled.
        target: Address,
    },
    /// The handshake failed.
    #[error("negotiate TLS with {target}")]
    Tls {
        /// What was dialled.
        target: Address,
        /// What the TLS layer said.
        source: Arc<io::Error>,
    },
    /// The exchange failed.
    #[error("send the request to {target}")]
    Send {
        /// What was dialled.
        target: Address,
        /// What the HTTP layer said.
        source: Arc<BoxError>,
    },
}

impl TransportError {
    /// How far the request came.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Dial(error) => match **error {
                DialError::Resolve { .. } => Phase::Resolve,
                DialError::Refused { .. } => Phase::Policy,
                DialError::Connect { .. } | DialError::Timeout { .. } => Phase::Connect,
            },
            Self::Busy { .. } => Phase::Connect,
            Self::Tls { .. } => Phase::Tls,
            Self::Send { .. } => Phase::Send,
        }
    }

    /// The error and all its causes in one line, for a condition's message.
    pub fn report(&self) -> String {
        let (mut line, mut cause) = (self.to_string(), self.source());
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        line
    }
}

/// A request without an answer.
pub struct Failed {
    /// Why.
    pub error: TransportError,
    /// The request, when it is certain that nothing of it was sent: whatever its method, it may be sent again.
    pub request: Option<Box<Request>>,
}

impl Failed {
    /// How far the request came.
    pub fn phase(&self) -> Phase {
        self.error.phase()
    }
}

// The request's headers may carry credentials.
impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("error", &self.error).field("unsent", &self.request.is_some()).finish()
    }
}

impl From<Failed> for TransportError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}
