//! Time for keys that end: the clock of the wall, since a deadline outlives the process that set it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Op, Txn, index::Deadline};

/// Deletions of one round, after which others come first.
pub(crate) const ROUND: usize = 1024;

/// When the value that a transaction writes ends.
pub(crate) fn deadline(txn: &Txn) -> Option<Deadline> {
    let lifetime = txn.lifetime.filter(|_| matches!(txn.op, Op::Put(_)))?;
    let end = since_1970().saturating_add(lifetime);
    Some(end.as_secs().saturating_add(u64::from(end.subsec_nanos() > 0)))
}

/// The newest deadline that has passed.
pub(crate) fn now() -> Deadline {
    since_1970().as_secs()
}

/// How long to wait for a deadline. A clock that is set meanwhile is seen within a minute.
pub(crate) fn until(deadline: Deadline) -> Duration {
    Duration::from_secs(deadline).saturating_sub(since_1970()).min(Duration::from_secs(60))
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
