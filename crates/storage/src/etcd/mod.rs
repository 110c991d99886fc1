//! Several servers over one etcd: etcd says what is true, durable and in which order, and this side adds what a store
//! needs beyond it: a watch that resumes by itself, reads that know how far the watch has come, compaction and expiry.
//!
//! All keys are below one prefix, so that etcd may be shared: objects below `PREFIX/data`, what servers agree on below
//! `PREFIX/meta`. Whose connection is used is not decided here: a channel comes ready to dial, TLS and all.

mod agreement;
mod client;
mod compactor;
mod convert;
mod keyspace;
mod proto;
mod range;
mod revision;
mod txn;
mod watch;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch as latest;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Channel;

use self::{client::Client, keyspace::Keyspace};
use crate::{KeyValue, Range, Revision, Store, StoreError, Txn, TxnOutcome, Watch};

/// One member of the etcd cluster.
#[derive(Clone, Debug)]
pub struct EtcdEndpoint {
    /// What it is called in errors and logs: its URL.
    pub name: String,
    /// Calls to it. Has to ask for signs of life while a call is under way, so that a silent network is noticed.
    pub channel: Channel,
}

/// How to use an etcd cluster.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The members, of which one is used at a time.
    pub endpoints: Vec<EtcdEndpoint>,
    /// What all keys begin with: `/NAME`, without a slash at the end.
    pub prefix: String,
    /// How often history is compacted, which keeps one to two intervals of it; `None` leaves that to others. All
    /// servers on one etcd should have the same.
    pub compaction_interval: Option<Duration>,
    /// How long one call may take, attempts on other members included.
    pub request_timeout: Duration,
}

/// What all operations share.
struct Inner {
    client: Client,
    keyspace: Keyspace,
    /// The highest revision that a reader has seen to exist; watches that are not there yet see to it that they come.
    wanted: latest::Sender<Revision>,
    closing: CancellationToken,
}

impl Inner {
    /// Runs an operation unless the store is closed, or until it is.
    async fn while_open<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(StoreError::Closed),
            result = operation => result,
        }
    }
}

/// A store in an etcd cluster.
pub struct Etcd {
    inner: Arc<Inner>,
    revisions: revision::Reader,
    /// Every task that this store started.
    tasks: TaskTracker,
}

impl Etcd {
    /// Connects, and makes sure that what is below the prefix has the format that this version writes. Must be called
    /// within a runtime.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no member answers within the request timeout, [`StoreError::Format`] when
    /// another version wrote what is there.
    pub async fn open(options: EtcdOptions) -> Result<Arc<Self>, StoreError> {
        let inner = Arc::new(Inner {
            client: Client::new(options.endpoints, options.request_timeout),
            keyspace: Keyspace::new(&options.prefix),
            wanted: latest::Sender::new(0),
            closing: CancellationToken::new(),
        });
        agreement::check_format(&inner).await?;
        let tasks = TaskTracker::new();
        let (revisions, serve) = revision::reader(inner.clone());
        tasks.spawn(inner.closing.clone().run_until_cancelled_owned(serve));
        let probe = revision::probe(inner.clone());
        tasks.spawn(inner.closing.clone().run_until_cancelled_owned(probe));
        if let Some(interval) = options.compaction_interval {
            let compact = compactor::run(inner.clone(), interval);
            tasks.spawn(inner.closing.clone().run_until_cancelled_owned(compact));
        }
        tasks.close();
        Ok(Arc::new(Self { inner, revisions, tasks }))
    }

    /// Agrees with all servers on this etcd, now and later, on the value of `name`: whoever comes first decides, and
    /// everybody is told what was decided. Such values are no keys of the store.
    ///
    /// # Errors
    /// When etcd cannot be asked.
    pub async fn agree(&self, name: &str, value: &str) -> Result<String, StoreError> {
        self.inner.while_open(agreement::agree(&self.inner, name, value)).await
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.inner.closing.cancel();
    }
}

#[async_trait]
impl Store for Etcd {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        self.inner.while_open(range::get(&self.inner, key, at)).await
    }

    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        self.inner.while_open(range::range(&self.inner, prefix, at)).await
    }

    async fn page(&self, prefix: &str, after: &str, limit: usize, at: Revision) -> Result<Range, StoreError> {
        self.inner.while_open(range::after(&self.inner, prefix, after, limit, at)).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.inner.while_open(txn::txn(&self.inner, txn)).await
    }

    async fn current_revision(&self) -> Result<Revision, StoreError> {
        self.inner.while_open(self.revisions.current()).await
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.inner.while_open(range::oldest(&self.inner)).await
    }

    async fn watch(&self, after: Revision) -> Result<Watch, StoreError> {
        let follower = watch::Follower::start(self.inner.clone(), after);
        Ok(Watch::new(self.inner.while_open(follower).await?))
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.inner.while_open(compactor::compact(&self.inner, revision)).await
    }

    fn health(&self) -> Result<(), String> {
        self.inner.client.health()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.closing.cancel();
        self.tasks.wait().await;
        Ok(())
    }
}
