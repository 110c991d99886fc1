//! One call with its answer, and when each was.

use std::time::Duration;

use super::model::{Key, Selection, State, Version};

/// What one client did.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) client: usize,
    /// Which server it asked; each start of a server is another.
    pub(crate) server: usize,
    /// When the call began.
    pub(crate) called: Duration,
    /// When the answer was there, or that there will be none.
    pub(crate) answered: Duration,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Create {
        key: Key,
        value: String,
    },
    /// With a precondition on the revision, or without.
    Update {
        key: Key,
        value: String,
        at: Option<u64>,
    },
    Delete {
        key: Key,
        at: Option<u64>,
    },
    Get {
        key: Key,
    },
    List {
        selection: Selection,
        wanted: Wanted,
    },
}

/// Which version of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No `resourceVersion`: the newest.
    Newest,
    /// "0": any, but never one before what the same server gave already.
    Any,
    NotOlderThan(u64),
    Exact(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Of a create or an update.
    Written(Version),
    /// The object of this uid.
    Deleted(String),
    Found(Version),
    /// A list, and the revisions that its pages said.
    Listed(State, Vec<u64>),
    /// There is one of that name.
    Exists,
    /// The precondition does not hold.
    Conflict,
    NotFound,
    /// Refused for another reason that leaves nothing done.
    Refused,
    /// It may have been done or not.
    Unknown,
}

impl Operation {
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.call, Call::Create { .. } | Call::Update { .. } | Call::Delete { .. })
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        matches!(self.answer, Answer::Written(_) | Answer::Deleted(_))
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.answer, Answer::Unknown)
    }

    /// The object that it is about, unless it is a list.
    pub(crate) fn key(&self) -> Option<&Key> {
        match &self.call {
            Call::Create { key, .. }
            | Call::Update { key, .. }
            | Call::Delete { key, .. }
            | Call::Get { key } => Some(key),
            Call::List { .. } => None,
        }
    }

    /// What it wrote, which no other does.
    pub(crate) fn value(&self) -> Option<&str> {
        match &self.call {
            Call::Create { value, .. } | Call::Update { value, .. } => Some(value),
            _ => None,
        }
    }
}
