//! Asking for the current revision, once for all who ask at the same time. Who asks is answered by a read that began after
//! the question, never by one that was under way: that one may not see what was acknowledged in between.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::{Inner, range};
use crate::{Revision, StoreError};

/// The most questions that wait or are answered together.
const QUESTIONS: usize = 1024;

/// Between two questions while calls fail.
const PROBE: Duration = Duration::from_millis(500);

type Reply = Result<Revision, String>;

/// Asks the one task that reads.
pub(super) struct Reader(mpsc::Sender<oneshot::Sender<Reply>>);

/// A reader, and the task that has to run for it.
pub(super) fn reader(inner: Arc<Inner>) -> (Reader, impl Future<Output = ()>) {
    let (ask, questions) = mpsc::channel(QUESTIONS);
    (Reader(ask), serve(inner, questions))
}

async fn serve(inner: Arc<Inner>, mut questions: mpsc::Receiver<oneshot::Sender<Reply>>) {
    let mut asked = Vec::with_capacity(QUESTIONS);
    while questions.recv_many(&mut asked, QUESTIONS).await > 0 {
        let reply = range::current(&inner).await;
        if let Ok(revision) = reply {
            inner
                .wanted
                .send_if_modified(|wanted| std::mem::replace(wanted, revision.max(*wanted)) < revision);
        }
        let reply = reply.map_err(|error| match error {
            StoreError::Unavailable { reason } => reason,
            other => other.to_string(),
        });
        for who in asked.drain(..) {
            // Who no longer waits needs no answer.
            let _ = who.send(reply.clone());
        }
    }
}

impl Reader {
    /// The revision of the cluster at some moment after this call.
    pub(super) async fn current(&self) -> Result<Revision, StoreError> {
        let (ask, answer) = oneshot::channel();
        self.0.send(ask).await.map_err(|_| StoreError::Closed)?;
        let reply = answer.await.map_err(|_| StoreError::Closed)?;
        reply.map_err(|reason| StoreError::Unavailable { reason })
    }
}

/// Asks while calls fail, so that the store is known to be well again though nobody uses it: it may be that nobody does
/// because it is said to be unwell.
pub(super) async fn probe(inner: Arc<Inner>) {
    loop {
        inner.client.in_trouble().await;
        tokio::time::sleep(PROBE).await;
        // Whether there is an answer is noted where it arrives.
        let _ = range::current(&inner).await;
    }
}
