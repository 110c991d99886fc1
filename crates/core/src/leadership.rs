//! Of several servers on one store, one at a time writes what controllers write. Serving never asks here.

use std::future::pending;
use std::time::Instant;
use tokio::sync::watch;

/// Whether this server is the one; clones see the same. A term has an end, so that a process which was stopped in the
/// middle knows when it goes on that it may have been replaced.
#[derive(Clone, Debug, Default)]
pub struct Leadership(Option<watch::Sender<Option<Instant>>>);

impl Leadership {
    /// Of a server that has its store to itself: it always leads.
    pub fn alone() -> Self {
        Self(None)
    }

    /// Of a server that shares its store: it leads when an elector says so.
    pub fn elected() -> Self {
        Self(Some(watch::Sender::new(None)))
    }

    /// Whether there is anybody else to lead.
    pub fn is_contested(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this server leads now.
    pub fn is_leading(&self) -> bool {
        self.0.as_ref().is_none_or(|term| is_live(&term.borrow()))
    }

    /// Waits until this server leads; returns at once if it does.
    pub async fn gained(&self) {
        let Some(term) = &self.0 else { return };
        if term.subscribe().wait_for(is_live).await.is_err() {
            pending::<()>().await;
        }
    }

    /// The elector's: begins a term, or puts off its end.
    pub fn lead_until(&self, end: Instant) {
        if let Some(term) = &self.0 {
            term.send_replace(Some(end));
        }
    }

    /// The elector's: ends the term.
    pub fn resign(&self) {
        if let Some(term) = &self.0 {
            term.send_replace(None);
        }
    }
}

fn is_live(term: &Option<Instant>) -> bool {
    term.is_some_and(|end| Instant::now() < end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_term_ends_by_itself_and_alone_there_is_no_end() {
        let (alone, elected) = (Leadership::alone(), Leadership::elected());
        assert!(alone.is_leading() && !alone.is_contested() && !elected.is_leading());
        alone.gained().await;
        let waiter = elected.clone();
        let gained = tokio::spawn(async move { waiter.gained().await });
        elected.lead_until(Instant::now() + Duration::from_secs(3600));
        gained.await.unwrap();
        assert!(elected.is_leading());
        elected.lead_until(Instant::now());
        assert!(!elected.is_leading(), "nobody said so, but the time is up");
        elected.lead_until(Instant::now() + Duration::from_secs(3600));
        assert!(elected.is_leading());
        elected.resign();
        assert!(!elected.is_leading());
    }
}
