//! Makes backends, and remembers those in use, so that what did not change is not made anew.

use detectviz_api::names::check_dns_subdomain;
use detectviz_client::cluster::{Bounds, ClusterState, Limits};
use detectviz_client::{
    ClientIdentity, Cluster, ClusterOptions, Dialer, TargetError, TlsOptions, TransportOptions,
};
use detectviz_core::BackendPolicy;
use http::HeaderValue;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

use super::{Backend, BackendMetrics, Shared};
use crate::error::{BuildError, Unavailable};
use crate::front_proxy::FrontProxy;
use crate::spec::Endpoint;

/// How many connections probes and discovery use at most; several APIServices may share a backend.
const OWN_CONNECTIONS: usize = 8;
/// How long a request waits for a place among those under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes backends and remembers those in use.
pub(crate) struct Backends {
    dialer: Dialer,
    front_proxy: FrontProxy,
    hop: HeaderValue,
    in_use: Arc<Mutex<InUse>>,
}

/// What is in use, and nothing else: it is held by those who use it.
#[derive(Default)]
pub(super) struct InUse {
    shared: HashMap<Key, Weak<Shared>>,
    /// By the APIService's name.
    backends: HashMap<String, Weak<Backend>>,
}

impl InUse {
    /// What each backend is like now, by its APIService's name.
    pub(super) fn states(&self) -> Vec<(String, ClusterState)> {
        let states = self
            .backends
            .iter()
            .filter_map(|(name, backend)| Some((name.clone(), backend.upgrade()?.shared.cluster.state())));
        let mut states: Vec<_> = states.collect();
        states.sort_by(|one, other| one.0.cmp(&other.0));
        states
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse").field("backends", &self.backends.len()).finish_non_exhaustive()
    }
}

/// What must be the same for two backends to share connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    endpoint: Endpoint,
    connect_timeout: Duration,
    max_connections: usize,
}

impl Key {
    fn new(endpoint: &Endpoint, policy: &BackendPolicy) -> Self {
        let BackendPolicy { connect_timeout, max_connections, .. } = *policy;
        Self { endpoint: endpoint.clone(), connect_timeout, max_connections }
    }

    /// Whether all but the addresses is the same.
    fn is_like(&self, other: &Self) -> bool {
        let endpoint = Endpoint { addresses: other.endpoint.addresses.clone(), ..self.endpoint.clone() };
        Self { endpoint, ..self.clone() } == *other
    }
}

impl Backends {
    /// Backends that are dialled by `dialer` and shown the certificate in `files` (certificate, key).
    pub(crate) fn new(dialer: Dialer, files: (PathBuf, PathBuf)) -> Self {
        let hop = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
        Self {
            dialer,
            front_proxy: FrontProxy::new(files),
            hop: hop.expect("a UUID is made of visible characters"),
            in_use: Arc::default(),
        }
    }

    /// Has `metrics` show these backends.
    pub(crate) fn told_by(self, metrics: &BackendMetrics) -> Self {
        metrics.show(&self.in_use);
        self
    }

    /// The backend of the APIService `name`: the one in use, if nothing about it changed.
    ///
    /// # Errors
    /// When the endpoint cannot be a backend, or our own certificate cannot be read.
    pub(crate) async fn of(
        &self,
        name: &str,
        endpoint: &Endpoint,
        policy: &BackendPolicy,
    ) -> Result<Arc<Backend>, Unavailable> {
        let fail = |why: &BuildError| Unavailable::Backend { url: endpoint.url(), why: why.to_string() };
        let identity = self.front_proxy.load().await.map_err(|why| fail(&why))?;
        let key = Key::new(endpoint, policy);
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let last = in_use.backends.get(name).and_then(Weak::upgrade);
        let shared = self.shared(&mut in_use, last.as_deref(), (key, identity)).map_err(|why| fail(&why))?;
        if let Some(last) = &last
            && Arc::ptr_eq(&last.shared, &shared)
            && last.policy == *policy
        {
            return Ok(Arc::clone(last));
        }
        let made = Arc::new(self.make(shared, last.as_deref(), policy));
        in_use.backends.retain(|_, backend| backend.strong_count() > 0);
        in_use.backends.insert(name.to_owned(), Arc::downgrade(&made));
        Ok(made)
    }

    /// Follows the files of our own certificate, for as long as it is polled.
    pub(crate) async fn watch_identity(&self) {
        self.front_proxy.watch().await;
    }

    /// Changes whenever our own certificate was renewed: backends are to be asked for again.
    pub(crate) fn renewals(&self) -> watch::Receiver<u64> {
        self.front_proxy.renewals()
    }

    /// What backends with this key share. Where only addresses differ from what the backend had, endpoints that stay keep
    /// their connections.
    fn shared(
        &self,
        in_use: &mut InUse,
        last: Option<&Backend>,
        (key, identity): (Key, Arc<ClientIdentity>),
    ) -> Result<Arc<Shared>, BuildError> {
        let is_ours = |shared: &Shared| Arc::ptr_eq(&shared.identity, &identity);
        if let Some(shared) = in_use.shared.get(&key).and_then(Weak::upgrade).filter(|shared| is_ours(shared))
        {
            return Ok(shared);
        }
        let alike =
            last.map(|last| &last.shared).filter(|shared| is_ours(shared) && shared.key.is_like(&key));
        let cluster = match alike {
            Some(shared) => shared.cluster.with_targets(&key.endpoint.addresses)?,
            None => self.connect(&key, &identity)?,
        };
        let shared = Arc::new(Shared { key: key.clone(), identity, cluster });
        in_use.shared.retain(|_, shared| shared.strong_count() > 0);
        in_use.shared.insert(key, Arc::downgrade(&shared));
        Ok(shared)
    }

    fn connect(&self, key: &Key, identity: &Arc<ClientIdentity>) -> Result<Cluster, BuildError> {
        let Key { endpoint, connect_timeout, max_connections } = key;
        let host = &endpoint.server_name;
        if check_dns_subdomain(host).is_err() {
            return Err(TargetError::Host { host: host.clone() }.into());
        }
        let tls = TlsOptions {
            ca_bundle_pem: endpoint.ca_bundle.clone(),
            server_name: endpoint.server_name.clone(),
            insecure_skip_verify: endpoint.insecure,
            client_identity: Some(Arc::clone(identity)),
            ..TlsOptions::default()
        };
        let many = TransportOptions {
            connect_timeout: *connect_timeout,
            max_connections: *max_connections,
            ..TransportOptions::default()
        };
        let own = TransportOptions { max_connections: OWN_CONNECTIONS, ..many };
        let streams = TransportOptions { http2: true, ..many };
        let options = ClusterOptions { requests: many, streams, own };
        let dialer = self.dialer.within(*connect_timeout);
        Ok(Cluster::new(&endpoint.addresses, Some(tls), dialer, options)?)
    }

    fn make(&self, shared: Arc<Shared>, last: Option<&Backend>, policy: &BackendPolicy) -> Backend {
        let limits = limits(policy);
        let same = last.filter(|last| *last.bounds.limits() == limits);
        let bounds = same.map_or_else(|| Arc::new(Bounds::new(limits)), |last| Arc::clone(&last.bounds));
        let endpoint = &shared.key.endpoint;
        let host = HeaderValue::from_str(&endpoint.server_name)
            .expect("a DNS name, as which it was checked, is made of visible characters");
        Backend { url: endpoint.url(), host, hop: self.hop.clone(), shared, policy: policy.clone(), bounds }
    }
}

fn limits(policy: &BackendPolicy) -> Limits {
    Limits {
        requests: policy.max_requests,
        queue: policy.max_queued,
        patience: PATIENCE,
        streams: policy.max_streams,
        rate: policy.rate,
    }
}
