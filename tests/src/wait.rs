//! Waiting for a condition. The bound is there to end a hang, not to judge speed.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// The end of every wait; only what hangs reaches it.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// Between two looks at what cannot tell by itself.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until `look` finds something.
///
/// # Panics
/// When it has found nothing within [`BOUND`], naming `what`.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    wait_until(what, || look().ok_or("nothing"))
}

/// Like [`wait_for`], where `look` says what it saw instead.
///
/// # Panics
/// As above, with what was seen last.
pub fn wait_until<T, E: Display>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + BOUND;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => {
                assert!(Instant::now() < end, "waited {}s until {what}, seeing {seen}", BOUND.as_secs());
            }
        }
        pause();
    }
}

/// Between two looks.
#[allow(clippy::disallowed_methods, reason = "there is no runtime here whose worker could be blocked")]
pub(crate) fn pause() {
    std::thread::sleep(LOOK);
}
