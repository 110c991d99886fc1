//! One line a step, with the time since the start, so that a long wait is seen to be one.

use std::time::Instant;

/// The clock of a run.
pub(super) struct Progress(Instant);

impl Progress {
    /// Starts the clock.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Tells what happens from now on.
    pub(super) fn step(&self, what: &str) {
        eprintln!("[{:6.1}s] {what}", self.0.elapsed().as_secs_f64());
    }
}
