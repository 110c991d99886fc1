//! Attempts to connect that no request waits for.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::health::Outcome;
use super::inner::Inner;

/// How long a connection may take before another is tried beside it: a packet that was lost is sent again only after a
/// second, and an endpoint that is back should be noticed within one.
const QUICK: Duration = Duration::from_millis(600);
/// The pause between two attempts, at first; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause. Together with an attempt, and what is added by chance, it is less than a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// Connects again and again until `endpoint` is there.
pub(super) async fn until_reached(cluster: Arc<Inner>, endpoint: Arc<Endpoint>) {
    let mut pause = FIRST_PAUSE;
    // May take as long as a request's connection: there are endpoints that are far away.
    let mut patient = pin!(endpoint.knock());
    loop {
        sleep(cluster.by_chance(pause)).await;
        let outcome = tokio::select! {
            outcome = &mut patient => {
                patient.set(endpoint.knock());
                Some(outcome)
            }
            outcome = timeout(QUICK, endpoint.knock()) => outcome.ok(),
        };
        match outcome {
            Some(Ok(())) => return cluster.reached(&endpoint),
            Some(Err(error)) => *endpoint.last_error() = Some(error),
            None => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Connects once, to find out whether an endpoint that says nothing is still there. An answer that begins meanwhile says
/// so too.
pub(super) async fn once(cluster: Arc<Inner>, endpoint: Arc<Endpoint>) {
    let answers = endpoint.answers();
    let error = match timeout(QUICK, endpoint.knock()).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    if endpoint.answers() == answers {
        if error.is_some() {
            *endpoint.last_error() = error;
        }
        cluster.note(&endpoint, Outcome::Unreachable);
    }
}
