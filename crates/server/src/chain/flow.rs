//! How many requests go on at once: reads and writes apart, so that neither starves the other. More are told to come
//! back, which costs less than to queue them. Health pages always get through, and so does the server itself.

use detectviz_api::{Identity, Reason, RequestInfo, Status, Verb};
use detectviz_core::http::{Body, Held};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Requests under way, until their answer begins. Watches count among the reads until they run.
pub struct FlowControl {
    reads: Semaphore,
    writes: Semaphore,
    watches: Arc<Watches>,
}

/// The limits of a [`FlowControl`].
#[derive(Clone, Copy, Debug)]
pub struct FlowLimits {
    /// The most reads at once.
    pub reads: usize,
    /// The most writes at once.
    pub writes: usize,
    /// The most watches of one user at once.
    pub watches_per_user: usize,
}

impl FlowControl {
    /// Keeps to `limits`.
    pub fn new(limits: FlowLimits) -> Self {
        let watches = Arc::new(Watches { limit: limits.watches_per_user, running: Mutex::default() });
        Self { reads: Semaphore::new(limits.reads), writes: Semaphore::new(limits.writes), watches }
    }

    /// A place for a watch of `identity`, held until the watch ends.
    ///
    /// # Errors
    /// 429 when the user has as many as one may have.
    pub(super) fn watch(&self, identity: &Identity) -> Result<WatchPlace, Status> {
        let mut running = self.watches.lock();
        let count = running.entry(identity.name.clone()).or_default();
        if *count >= self.watches.limit {
            let message =
                format!("user {:?} has {count} watches already, which is the most allowed", identity.name);
            return Err(Status::failure(Reason::TooManyRequests, message).retry_after(1));
        }
        *count += 1;
        Ok(WatchPlace { watches: Arc::clone(&self.watches), user: identity.name.clone() })
    }

    /// A place for the request; `None` for one that needs none.
    ///
    /// # Errors
    /// 429 when there is no place.
    pub(super) fn admit(&self, info: &RequestInfo) -> Result<Option<SemaphorePermit<'_>>, Status> {
        let writes = matches!(
            info.verb,
            Verb::Create
                | Verb::Update
                | Verb::Patch
                | Verb::Delete
                | Verb::DeleteCollection
                | Verb::Post
                | Verb::Put
        );
        if info.resource.is_none() && !writes {
            return Ok(None);
        }
        let places = if writes { &self.writes } else { &self.reads };
        places.try_acquire().map(Some).map_err(|_| {
            let message = "the server has received too many requests and has asked us to try again later";
            Status::failure(Reason::TooManyRequests, message).retry_after(1)
        })
    }
}

/// The watches under way, by user; a user without any has no entry.
struct Watches {
    limit: usize,
    running: Mutex<HashMap<String, usize>>,
}

impl Watches {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one watch.
pub(super) struct WatchPlace {
    watches: Arc<Watches>,
    user: String,
}

impl WatchPlace {
    /// The watch's body, which holds the place until it is dropped.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        Body::stream(Held::new(body, self))
    }
}

impl Drop for WatchPlace {
    fn drop(&mut self) {
        let mut running = self.watches.lock();
        if let Some(count) = running.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn reads_and_writes_have_places_of_their_own_and_health_needs_none() {
        let flow = FlowControl::new(FlowLimits { reads: 1, writes: 1, watches_per_user: 1 });
        let info = |method: &Method, path: &str| RequestInfo::parse(method, path, None).unwrap();
        let read = info(&Method::GET, "/api/v1/configmaps");
        let held = flow.admit(&read).unwrap();
        assert_eq!(flow.admit(&read).err().unwrap().code, 429);
        assert!(flow.admit(&info(&Method::POST, "/api/v1/namespaces/a/configmaps")).is_ok());
        assert!(flow.admit(&info(&Method::GET, "/livez")).unwrap().is_none());
        drop(held);
        assert!(flow.admit(&read).is_ok());
    }

    #[test]
    fn a_user_has_so_many_watches_and_another_has_others() {
        let flow = FlowControl::new(FlowLimits { reads: 1, writes: 1, watches_per_user: 1 });
        let user = |name: &str| Identity::authenticated(name, []);
        let body = flow.watch(&user("a")).unwrap().until_end_of(Body::empty());
        assert_eq!(flow.watch(&user("a")).err().unwrap().code, 429);
        assert!(flow.watch(&user("b")).is_ok());
        drop(body);
        assert!(flow.watch(&user("a")).is_ok() && flow.watches.lock().is_empty());
    }
}
