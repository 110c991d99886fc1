//! The default store: everything is in memory, and a log makes it durable. One folder, one process, one writer thread;
//! concurrent writers share one sync (group commit), readers never wait for it.
//!
//! Opening reads the checkpoint, which is the state at the oldest revision of the kept history, and replays the log
//! behind it, so that history is there again. The folder holds:
//!
//! * `format`: the version of everything else; an unknown one is refused
//! * `lock`: held while a process has the folder open
//! * `wal-N`: log segments; `N` is the first revision in it. Behind the last record of the newest is allocated room
//! * `manifest`: the checkpoint; it names its parts
//! * `part-N`: a sorted range of the checkpoint's keys; never changed, and gone when no manifest names it
//! * `compacted`: the last revision up to which history was forgotten on demand
//! * `reserve`: room that is given back when the disk is full
//!
//! Format 1 had one `checkpoint-N` file, all keys at revision `N`, in place of manifest and parts.

pub mod admin;
mod checkpoint;
mod compactor;
mod disk;
mod folder;
mod format1;
mod load;
mod log;
mod manifest;
mod medium;
mod part;
mod record;
mod replay;
mod reserve;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::{
    compactor::Compactor,
    disk::Room,
    folder::Folder,
    load::Loaded,
    log::Log,
    record::MAX_DATA,
    writer::{Request, Writer},
};
use crate::{
    KeyValue, Op, Range, Revision, Store, StoreError, Txn, TxnOutcome, Watch, history::HistoryLimits,
    published::Published,
};

#[doc(hidden)]
pub use record::reread_record;

/// Requests that wait for the writer; more wait outside.
const QUEUE: usize = 1024;

/// How an [`Embedded`] store behaves. On a small disk each is less: the reserve and a checkpoint's log an eighth of it at
/// most, the history a sixteenth.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// The history that is kept, also across a restart, for reads at a revision and for resuming watches.
    pub history: HistoryLimits,
    /// By how many bytes the log grows before a checkpoint is made, at least: never by less than what the checkpoint
    /// has itself. On close, a quarter of it suffices, and where there is little room left, a sixteenth.
    pub checkpoint_bytes: u64,
    /// The length in bytes at which a new segment of the log is begun.
    pub segment_bytes: u64,
    /// About how many bytes of keys and values a part of the checkpoint has.
    pub part_bytes: u64,
    /// Bytes of disk that are set aside so that deletions and compaction go on when it is full.
    pub reserve_bytes: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            history: HistoryLimits::default(),
            checkpoint_bytes: 64 << 20,
            segment_bytes: 16 << 20,
            part_bytes: 8 << 20,
            reserve_bytes: 32 << 20,
        }
    }
}

impl EmbeddedOptions {
    /// What suits a disk: a small one is not filled by history, and a checkpoint fits on it beside the log.
    fn fitted(mut self, room: Room) -> Self {
        let share = |bytes: u64, shares: u64| bytes.min(room.total / shares);
        self.reserve_bytes = share(self.reserve_bytes, 8);
        self.checkpoint_bytes = share(self.checkpoint_bytes, 8);
        self.part_bytes = share(self.part_bytes, 32);
        self.history.bytes = usize::try_from(share(self.history.bytes as u64, 16)).unwrap_or(usize::MAX);
        self
    }
}

/// A durable store in a folder. Dropping it without [`close`](Store::close) loses nothing that was acknowledged.
pub struct Embedded {
    published: Arc<Published>,
    requests: mpsc::Sender<Request>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens or makes the store in `dir`. Blocks while it reads the data.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Format`] when another version wrote it,
    /// [`StoreError::Corrupt`] when data is damaged other than by a crash, [`StoreError::Io`] for everything else.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Arc<Self>, StoreError> {
        let folder = Arc::new(Folder::open(dir)?);
        let options = options.fitted(Room::of(dir).map_err(StoreError::io("ask for room in", dir))?);
        let Loaded { index, manifest, segments } = prepare(&folder, options)?;
        let log = Log::open(folder.clone(), segments, index.revision(), options.segment_bytes)?;
        let published = Published::new(index);
        let compactor = Compactor::new(folder.clone(), manifest, options);
        let writer = Writer::new(folder, log, published.clone(), compactor, options)?;
        let (requests, receiver) = mpsc::channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(receiver));
        let thread = thread.map_err(StoreError::io("start a writer thread for", dir))?;
        Ok(Arc::new(Self { published, requests, writer: Mutex::new(Some(thread)) }))
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    fn join(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("store writer panicked");
        }
    }
}

/// Loads a locked folder, and brings it into the form that is written: of this format, with nothing superfluous.
fn prepare(folder: &Folder, options: EmbeddedOptions) -> Result<Loaded, StoreError> {
    if folder.format()?.is_none() {
        folder.write_format()?;
    }
    format1::upgrade(folder, options.part_bytes)?;
    let loaded = load::load(folder, options.history)?;
    loaded.manifest.remove_others(folder)?;
    Ok(loaded)
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<KeyValue>, StoreError> {
        self.published.load()?.get(key, at)
    }

    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        self.published.load()?.range(prefix, at)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        let value = if let Op::Put(value) = &txn.op { value.len() } else { 0 };
        let bytes = txn.key.len() + value;
        if bytes > MAX_DATA {
            return Err(StoreError::TooLarge { key: txn.key.to_string(), bytes, max: MAX_DATA });
        }
        self.ask(|answer| Request::Txn(txn, answer)).await
    }

    async fn current_revision(&self) -> Result<Revision, StoreError> {
        Ok(self.published.load()?.revision())
    }

    fn known_revision(&self) -> Option<Revision> {
        self.published.load().ok().map(|index| index.revision())
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        Ok(self.published.load()?.oldest())
    }

    async fn watch(&self, after: Revision) -> Result<Watch, StoreError> {
        self.published.watch(after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.ask(|answer| Request::Compact(revision, answer)).await
    }

    fn health(&self) -> Result<(), String> {
        self.published.health().map_err(|error| error.to_string())
    }

    async fn close(&self) -> Result<(), StoreError> {
        match self.ask(Request::Close).await {
            // The writer ends right after its answer.
            Ok(()) | Err(StoreError::Closed) => self.join(),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // The writer ends when nobody is left to ask it.
        (self.requests, _) = mpsc::channel(1);
        self.join();
    }
}
