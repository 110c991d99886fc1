//! When a controller looks again: at once when something changed, and after a growing wait when a pass did not settle.

use std::future::Future;
use std::time::Duration;

/// The first wait after a pass that did not settle.
const FIRST: Duration = Duration::from_millis(20);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(1);

/// The pace of one controller.
pub(super) struct Pace(Duration);

impl Pace {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// Waits until the next pass: for `change` alone if the last one `settled` everything.
    pub(super) async fn next(&mut self, settled: bool, change: impl Future<Output = ()>) {
        if settled {
            self.0 = FIRST;
            return change.await;
        }
        tokio::select! {
            () = change => {}
            () = self.pause() => {}
        }
    }

    /// Waits, longer each time.
    pub(super) async fn pause(&mut self) {
        let wait = self.0;
        self.0 = (self.0 * 2).min(LONGEST);
        tokio::time::sleep(wait).await;
    }
}
