//! A plugin that hangs looks like one that runs: it is asked for its health, and counts as hung after failures in a row.

use std::time::Duration;

use detectviz_pluginv2::health::health_check_response::ServingStatus;
use tokio::time::{sleep, timeout};

use super::Connection;

/// How a running plugin is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// The pause before each question.
    pub(crate) pause: Duration,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// How many failures in a row are too many.
    pub(crate) failures: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Self { pause: Duration::from_secs(15), timeout: Duration::from_secs(5), failures: 3 }
    }
}

/// Returns once the plugin has failed too often.
pub(crate) async fn hung(connection: &Connection, probe: Probe) {
    failed(probe, || async { matches!(connection.health().await, Ok(ServingStatus::Serving)) }).await;
}

async fn failed<Answer: Future<Output = bool>>(probe: Probe, is_well: impl Fn() -> Answer) {
    let mut failures = 0;
    while failures < probe.failures {
        sleep(probe.pause).await;
        let is_well = timeout(probe.timeout, is_well()).await.unwrap_or(false);
        failures = if is_well { 0 } else { failures + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// How many questions it took, with these answers; `None` never comes.
    async fn questions(answers: &[Option<bool>]) -> usize {
        let (probe, left) = (
            Probe { pause: Duration::ZERO, timeout: Duration::from_millis(1), ..Probe::default() },
            RefCell::new(answers.iter()),
        );
        failed(probe, || {
            let answer = *left.borrow_mut().next().expect("no question after the last failure");
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        })
        .await;
        answers.len() - left.into_inner().len()
    }

    #[tokio::test]
    async fn three_failures_in_a_row_are_too_many_and_two_are_not() {
        let (well, ill, late) = (Some(true), Some(false), None);
        assert_eq!(questions(&[ill, late, late]).await, 3);
        assert_eq!(questions(&[well, ill, late, well, late, ill, well, ill, ill, late, well]).await, 10);
    }
}
