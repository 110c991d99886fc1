//! How many requests go on at once: reads and writes apart, so that neither starves the other. More are told to come
//! back, which costs less than to queue them. Health pages always get through, and so does the server itself.

use detectviz_api::{Reason, RequestInfo, Status, Verb};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Requests under way, until their answer begins. Watches count among the reads until they run.
pub struct FlowControl {
    reads: Semaphore,
    writes: Semaphore,
}

impl FlowControl {
    /// At most `reads` and `writes` at once.
    pub fn new(reads: usize, writes: usize) -> Self {
        Self { reads: Semaphore::new(reads), writes: Semaphore::new(writes) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn reads_and_writes_have_places_of_their_own_and_health_needs_none() {
        let flow = FlowControl::new(1, 1);
        let info = |method: &Method, path: &str| RequestInfo::parse(method, path, None).unwrap();
        let read = info(&Method::GET, "/api/v1/configmaps");
        let held = flow.admit(&read).unwrap();
        assert_eq!(flow.admit(&read).err().unwrap().code, 429);
        assert!(flow.admit(&info(&Method::POST, "/api/v1/namespaces/a/configmaps")).is_ok());
        assert!(flow.admit(&info(&Method::GET, "/livez")).unwrap().is_none());
        drop(held);
        assert!(flow.admit(&read).is_ok());
    }
}
