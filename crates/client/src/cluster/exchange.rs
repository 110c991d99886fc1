//! A request's way through the cluster: pick, send, and when it failed, decide whether there is a next time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use detectviz_core::http::{Body, Request, Response};
use futures_util::TryFutureExt as _;
use http::{HeaderName, HeaderValue, Method, Uri};
use http_body::Body as _;

use super::attempt::Lease;
use super::budget::Retry;
use super::endpoint::Endpoint;
use super::inner::{Inner, MAX_TRIES, Tried};
use super::{Class, Cluster, ClusterError};
use crate::transport::{Failed, Phase, TransportError, Upgraded};

impl Cluster {
    /// Sends a request, and gives the answer as soon as its head is there. The body must be read, or dropped, while the
    /// lease is held.
    ///
    /// There is no limit in time: the caller has the request's deadline, and may drop the future at any moment.
    ///
    /// # Errors
    /// [`ClusterError`], which says whether the request can have had an effect.
    pub fn exchange(
        &self,
        request: Request,
        class: Class,
    ) -> impl Future<Output = Result<(Response, Lease), ClusterError>> + Send {
        // Not `async`: each such layer would keep room for two more requests.
        let exchanged = Exchange::new(&self.inner, &request, (class, false)).run(request);
        exchanged.map_ok(|(answer, lease)| match answer {
            Upgraded::Refused(answer) | Upgraded::Switched(answer, _) => (answer, lease),
        })
    }

    /// Sends a request for another protocol, over a connection of its own. It must have `Connection: Upgrade` and
    /// `Upgrade`. The lease must be held for as long as the tunnel lasts.
    ///
    /// # Errors
    /// As for [`Self::exchange`].
    pub fn upgrade(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<(Upgraded, Lease), ClusterError>> + Send {
        Exchange::new(&self.inner, &request, (Class::Stream, true)).run(request)
    }
}

/// One request, with what its attempts have come to.
struct Exchange<'a> {
    cluster: &'a Arc<Inner>,
    class: Class,
    /// Whether it asks for another protocol.
    upgrade: bool,
    /// The head of a request that may be sent twice.
    spare: Option<Head>,
    tried: Tried,
    tries: usize,
    retry: Option<Retry<'a>>,
    /// Whether an attempt may have reached a backend.
    maybe_sent: bool,
}

impl<'a> Exchange<'a> {
    fn new(cluster: &'a Arc<Inner>, request: &Request, (class, upgrade): (Class, bool)) -> Self {
        let (spare, tried) = (Head::of_safe(request).filter(|_| !upgrade), Tried::default());
        Self { cluster, class, upgrade, spare, tried, tries: 0, retry: None, maybe_sent: false }
    }

    async fn run(mut self, mut request: Request) -> Result<(Upgraded, Lease), ClusterError> {
        let Some(mut index) = self.cluster.pick(&self.tried) else {
            return Err(self.closed());
        };
        loop {
            self.tries += 1;
            let lease = Lease::begin(self.cluster, &self.cluster.endpoints[index], self.class);
            let failed = match lease.send(request, self.upgrade).await {
                Ok(answer) => return Ok((answer, lease)),
                Err(failed) => failed,
            };
            drop(lease);
            let error = failed.error.clone();
            match self.next(failed, index) {
                Some((again, at)) => (request, index) = (again, at),
                None => return Err(ClusterError::Transport { error, unsent: !self.maybe_sent }),
            }
        }
    }

    /// What to send next, and where, after an attempt at the endpoint `index` failed.
    fn next(&mut self, failed: Failed, index: usize) -> Option<(Request, usize)> {
        let phase = failed.phase();
        let unsent = failed.request.is_some() || phase != Phase::Send;
        self.maybe_sent |= !unsent;
        if self.tries >= MAX_TRIES {
            return None;
        }
        let request = match failed.request {
            Some(request) => *request,
            None if unsent => self.spare.as_ref()?.request(),
            None => self.after_a_break()?,
        };
        self.tried.add(index);
        let other = self.cluster.pick(&self.tried);
        // A kept connection that had ended says nothing about the next one to the same endpoint.
        let same =
            || (phase == Phase::Send && !self.cluster.endpoints[index].is_unreachable()).then_some(index);
        let at = other.or_else(same)?;
        self.cluster.counts.retried.fetch_add(1, Ordering::Relaxed);
        Some((request, at))
    }

    /// A safe request whose answer did not begin, once more, if the budget has a place for it.
    fn after_a_break(&mut self) -> Option<Request> {
        if self.retry.is_some() {
            return None;
        }
        let request = self.spare.as_ref()?.request();
        self.retry = Some(self.cluster.budget.take(self.cluster.under_way(self.class))?);
        Some(request)
    }

    fn closed(&self) -> ClusterError {
        let error = |endpoint: &Arc<Endpoint>| -> Option<TransportError> { endpoint.last_error().clone() };
        match self.cluster.endpoints.is_empty() {
            true => ClusterError::NoEndpoint,
            false => ClusterError::Open { last: self.cluster.endpoints.iter().find_map(error) },
        }
    }
}

/// All of a request that has no body. The fields in a list, which is cheap to make and mostly never read.
struct Head {
    method: Method,
    uri: Uri,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Head {
    /// The head of a request that changes nothing and has no body.
    fn of_safe(request: &Request) -> Option<Self> {
        let method = request.method();
        let fields = request.headers().iter();
        (method.is_safe() && request.body().is_end_stream()).then(|| Self {
            method: method.clone(),
            uri: request.uri().clone(),
            fields: fields.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    fn request(&self) -> Request {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        for (name, value) in &self.fields {
            request.headers_mut().append(name, value.clone());
        }
        request
    }
}
