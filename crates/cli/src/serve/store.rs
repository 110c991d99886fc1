//! The store phase: where objects are kept is an option, and everything after it sees a [`Store`] and its cache.

use anyhow::{Context, bail};
use bytes::Bytes;
use detectviz_client::{
    Address, ClientIdentity, DialPolicy, Dialer, GrpcOptions, Target, TlsOptions, grpc, tls,
};
use detectviz_core::health::Kind;
use detectviz_core::options::{EtcdOptions, Options, StorageKind};
use detectviz_server::Backend;
use detectviz_storage::cache::{Cache, CacheOptions};
use detectviz_storage::embedded::{Embedded, EmbeddedOptions};
use detectviz_storage::etcd::{self, Etcd, EtcdEndpoint};
use detectviz_storage::memory::Memory;
use detectviz_storage::{Store, StoreError};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::compose::Parts;
use crate::data_dir::DataDir;

/// What the servers on one etcd agree on: the fingerprint of the CA that signs users' certificates.
const PKI: &str = "pki";

/// Opens the store and fills the cache from it. `listener` is never dialled; `pki` is the client CA's fingerprint.
pub(super) async fn open(
    parts: &Parts,
    data: &DataDir,
    listener: SocketAddr,
    pki: &str,
) -> anyhow::Result<Backend> {
    let store: Arc<dyn Store> = match parts.options.storage {
        StorageKind::Memory => Memory::new(),
        StorageKind::Embedded => {
            let folder = data.store();
            let open = move || Embedded::open(&folder, EmbeddedOptions::default());
            tokio::task::spawn_blocking(open).await?.context("open the embedded store")?
        }
        StorageKind::Etcd => in_etcd(&parts.options, listener, pki).await?,
    };
    let options = CacheOptions {
        total_window_bytes: parts.options.limits.cache_window_bytes,
        ..CacheOptions::default()
    };
    let cache = fill(&store, options).await.context("fill the watch cache")?;
    let (watched, written) = (Arc::clone(&cache), Arc::clone(&store));
    parts.checks.add(Kind::Ready, "store", Arc::new(move || written.health()));
    parts.checks.add(Kind::Ready, "watch-cache", Arc::new(move || watched.health()));
    parts.checks.add(Kind::Live, "ping", Arc::new(|| Ok(())));
    Ok(Backend { store, cache })
}

/// Fills the cache, again when another server compacts the history that was just being read.
async fn fill(store: &Arc<dyn Store>, options: CacheOptions) -> Result<Arc<Cache>, StoreError> {
    let start = || Cache::start(Arc::clone(store), options);
    match start().await {
        Err(StoreError::Compacted { .. }) => start().await,
        outcome => outcome,
    }
}

/// Joins the servers on one etcd. They have to know the same users: a certificate or token of one would else be worth
/// something different on the next.
async fn in_etcd(options: &Options, listener: SocketAddr, pki: &str) -> anyhow::Result<Arc<Etcd>> {
    let given = &options.etcd;
    let store = Etcd::open(etcd::EtcdOptions {
        endpoints: endpoints(given, listener)?,
        prefix: given.prefix.clone(),
        compaction_interval: Some(given.compaction_interval).filter(|interval| !interval.is_zero()),
        request_timeout: given.request_timeout,
    });
    let store = store.await.context("open the store in etcd")?;
    let found = store.agree(PKI, pki).await.context("compare certificates with the other servers on etcd")?;
    if found != pki {
        bail!(
            "join the servers on etcd below {}: their client CA has the SHA-256 {found}, this server's has {pki}; \
             copy the folder of one of them to {}, or choose another --etcd-prefix",
            given.prefix,
            options.pki_dir().display()
        );
    }
    Ok(store)
}

/// The members, each with a channel under the dial policy.
fn endpoints(given: &EtcdOptions, listener: SocketAddr) -> anyhow::Result<Vec<EtcdEndpoint>> {
    let policy = DialPolicy::new();
    policy.deny_listener(listener);
    let options = GrpcOptions::default();
    let dialer = Dialer::new(Arc::new(policy), options.connect_timeout);
    let ca = read(&given.ca_file).context("read etcd's CA")?;
    if let Some(ca) = &ca {
        tls::read_bundle(ca).with_context(|| format!("read etcd's CA {}", given.ca_file.display()))?;
    }
    let identity = identity(given)?;
    let endpoints = given.endpoints.iter().map(|endpoint| {
        let tls = endpoint.tls.then(|| TlsOptions {
            ca_bundle_pem: ca.clone(),
            server_name: endpoint.host.clone(),
            client_identity: identity.clone(),
            ..TlsOptions::default()
        });
        let scheme = if endpoint.tls { "https" } else { "http" };
        let name = format!("{scheme}://{}:{}", endpoint.host, endpoint.port);
        let target = Target { address: Address::tcp(endpoint.host.clone(), endpoint.port), tls };
        let channel = grpc::channel(target, dialer.clone(), &options);
        Ok(EtcdEndpoint { channel: channel.with_context(|| format!("use etcd endpoint {name}"))?, name })
    });
    endpoints.collect()
}

/// The client certificate and its key, if given; the options hold both or none.
fn identity(given: &EtcdOptions) -> anyhow::Result<Option<Arc<ClientIdentity>>> {
    if given.cert_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let named = |file: &Path, what| format!("read the {what} for etcd {}", file.display());
    let chain = CertificateDer::pem_file_iter(&given.cert_file).and_then(Iterator::collect);
    let chain: Vec<_> = chain.with_context(|| named(&given.cert_file, "certificate"))?;
    let key = PrivateKeyDer::from_pem_file(&given.key_file).with_context(|| named(&given.key_file, "key"))?;
    if chain.is_empty() {
        bail!("{}: it holds no certificate", named(&given.cert_file, "certificate"));
    }
    Ok(Some(Arc::new(ClientIdentity { chain, key })))
}

/// A file's bytes; `None` when no file is given.
fn read(file: &Path) -> anyhow::Result<Option<Bytes>> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    Ok(Some(bytes.into()))
}
