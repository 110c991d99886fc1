//! The writer is one thread that turns whatever waits into one batch: decide all, append once, sync once, publish once,
//! answer all. While a sync runs the next batch gathers, so that more writers mean larger batches, not more syncs.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

use super::{
    EmbeddedOptions, compactor::Compactor, disk::Room, folder::Folder, load, log::Log, record::Record,
    reserve,
};
use crate::{Op, Revision, StoreError, Txn, TxnOutcome, expiry, index::Index, published::Published};

/// The longest batch, in requests. Positions in a batch have to fit 16 bits.
const BATCH: usize = 1024;

/// Nothing is added to a batch that has this many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// The pause after which a full disk is looked at again.
const RETRY: Duration = Duration::from_secs(1);

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub(super) enum Request {
    Txn(Txn, Answer<TxnOutcome>),
    Compact(Revision, Answer<()>),
    Close(Answer<()>),
}

/// The state of the writer thread.
pub(super) struct Writer {
    folder: Arc<Folder>,
    log: Log,
    published: Arc<Published>,
    options: EmbeddedOptions,
    compactor: Compactor,
    /// For waiting until a time.
    runtime: Runtime,
    /// The encoded writes of the batch that is being decided.
    buffer: Vec<u8>,
    /// The revision of the last checkpoint that was begun on a full disk, and the free bytes then.
    squeezed: Option<(Revision, u64)>,
}

/// A transaction, and who waits for it: nobody for the deletion of a key that ended.
type Asked = (Txn, Option<Answer<TxnOutcome>>);

/// What waited when the writer was free.
#[derive(Default)]
struct Gathered {
    txns: Vec<Asked>,
    compactions: Vec<(Revision, Answer<()>)>,
    closed: Option<Answer<()>>,
}

impl Writer {
    pub(super) fn new(
        folder: Arc<Folder>,
        log: Log,
        published: Arc<Published>,
        compactor: Compactor,
        options: EmbeddedOptions,
    ) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(StoreError::io("start a timer for", folder.path()))?;
        let (buffer, squeezed) = (Vec::new(), None);
        let mut writer = Self { folder, log, published, options, compactor, runtime, buffer, squeezed };
        writer.take_reserve();
        Ok(writer)
    }

    /// Works until it is asked to close, or nobody is left to ask.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = Vec::with_capacity(BATCH);
        let closed = loop {
            if !self.wait(&mut requests, &mut waiting) {
                break None;
            }
            let gathered = gather(&mut waiting);
            for batch in batches(gathered.txns) {
                self.serve(batch);
            }
            self.compact(gathered.compactions);
            self.expire();
            self.look_after_the_disk();
            if gathered.closed.is_some() {
                break gathered.closed;
            }
        };
        self.finish();
        // Releases the lock of the folder before the close is answered.
        drop(self);
        if let Some(answer) = closed {
            _ = answer.send(Ok(()));
        }
    }

    /// Waits for requests, or until something else is to be done. `false` when nobody is left to ask.
    fn wait(&self, requests: &mut mpsc::Receiver<Request>, waiting: &mut Vec<Request>) -> bool {
        match self.timeout() {
            None => requests.blocking_recv_many(waiting, BATCH) > 0,
            Some(timeout) => {
                let received = requests.recv_many(waiting, BATCH);
                let received = self.runtime.block_on(async { tokio::time::timeout(timeout, received).await });
                !matches!(received, Ok(0))
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        match self.published.health() {
            Ok(()) => Some(expiry::until(self.published.load().ok()?.next_due()?)),
            Err(StoreError::Full { .. }) => Some(RETRY),
            Err(_) => None,
        }
    }

    /// Decides transactions in one batch, and makes it durable, then visible, then answers. When that fails nobody sees
    /// any of it: not even a conflict can be answered, since it may be with a write of this batch.
    fn serve(&mut self, txns: Vec<Asked>) {
        match self.commit(&txns) {
            Ok(outcomes) => {
                for ((_, answer), outcome) in txns.into_iter().zip(outcomes) {
                    // Whoever asked may have gone.
                    _ = answer.map(|answer| answer.send(outcome));
                }
            }
            Err(StoreError::Full { reason }) if self.published.health().is_ok() => {
                self.begin_full(reason);
                self.serve(txns);
            }
            Err(StoreError::Full { reason }) => {
                answer_all(txns, || StoreError::Full { reason: reason.clone() });
            }
            Err(StoreError::ReadOnly { reason }) => {
                answer_all(txns, || StoreError::ReadOnly { reason: reason.clone() });
            }
            Err(error) => {
                let reason = self.fail(&error);
                answer_all(txns, || StoreError::ReadOnly { reason: reason.clone() });
            }
        }
    }

    /// Writes nothing from now on.
    fn fail(&self, error: &StoreError) -> String {
        let reason = chain(error);
        tracing::error!(reason, "store is read-only from now on");
        self.published.fail(reason.clone());
        reason
    }

    fn commit(&mut self, txns: &[Asked]) -> Result<Vec<Result<TxnOutcome, StoreError>>, StoreError> {
        let health = self.published.health();
        if let Err(error @ (StoreError::ReadOnly { .. } | StoreError::Closed)) = health {
            return Err(error);
        }
        let mut next = Index::clone(&*self.published.load()?);
        let first = next.revision() + 1;
        self.buffer.clear();
        let outcomes = txns.iter().map(|(txn, _)| match (&health, &txn.op) {
            (Err(StoreError::Full { reason }), Op::Put(_)) => {
                Err(StoreError::Full { reason: reason.clone() })
            }
            _ => Ok(decide(&mut next, txn, first, &mut self.buffer)),
        });
        let outcomes = outcomes.collect();
        if !self.buffer.is_empty() {
            self.log.append(&self.buffer, first)?;
            self.published.publish(next);
            self.buffer.shrink_to(BATCH_BYTES);
        }
        Ok(outcomes)
    }

    /// Forgets history, durably, after what waited before was written.
    fn compact(&mut self, compactions: Vec<(Revision, Answer<()>)>) {
        for (revision, answer) in compactions {
            _ = answer.send(self.forget(revision));
        }
    }

    fn forget(&mut self, revision: Revision) -> Result<(), StoreError> {
        let mut next = Index::clone(&*self.published.load()?);
        next.compact(revision)?;
        load::remember_compaction(&self.folder, next.oldest())?;
        self.published.publish(next);
        Ok(())
    }

    /// Deletes keys whose time has come, a round of them.
    fn expire(&mut self) {
        let Ok(index) = self.published.load() else { return };
        if index.next_due().is_some_and(|due| due <= expiry::now()) {
            let ended = index.expired(expiry::now(), expiry::ROUND);
            self.serve(ended.into_iter().map(|deletion| (deletion, None)).collect());
        }
    }

    fn look_after_the_disk(&mut self) {
        match self.published.health() {
            // The one case in which writes wait for a checkpoint: else the log would take the room that it needs.
            Ok(()) if self.compactor.is_tight(&self.log) => self.checkpoint(|compactor, index| {
                let at = index.oldest();
                compactor.begin_squeeze(index, at);
            }),
            Ok(()) if self.compactor.is_due(&self.log) => self.checkpoint(Compactor::begin),
            Err(StoreError::Full { .. }) if !self.compactor.is_running() => self.retry_full(),
            _ => {}
        }
    }

    fn checkpoint(&mut self, begin: fn(&mut Compactor, Arc<Index>)) {
        if let Ok(index) = self.published.load() {
            self.log.reset_bytes();
            begin(&mut self.compactor, index);
        }
    }

    /// Refuses puts from now on, and makes what room there can be.
    fn begin_full(&mut self, reason: String) {
        tracing::error!(reason, "disk is full: only deletions are written until there is room");
        self.published.set_full(Some(reason));
        reserve::give_back(&self.folder);
        // So that the segments until now can go.
        let next = self.published.load().map_or(0, |index| index.revision() + 1);
        match self.log.rotate(next) {
            Ok(()) => {
                self.squeezed = None;
                self.squeeze(self.free());
            }
            Err(error) => _ = self.fail(&error),
        }
    }

    /// Takes puts again when there is room for the reserve and some more; until then makes room whenever something was
    /// deleted.
    fn retry_full(&mut self) {
        let needed = self.options.reserve_bytes + self.options.reserve_bytes / 32;
        let free = self.free();
        if free >= needed {
            self.take_reserve();
        }
        if self.published.health().is_err() && self.compactor.is_behind(&self.published) {
            self.squeeze(free);
        }
    }

    fn free(&self) -> u64 {
        Room::of(self.folder.path()).map_or(0, |room| room.free)
    }

    /// A checkpoint of now, so that all of the log can go: history needs log, and is kept in memory alone. It is tried
    /// again when something was written or there is more room than when it was tried last.
    fn squeeze(&mut self, free: u64) {
        let Ok(index) = self.published.load() else { return };
        let at = index.revision();
        if self.squeezed.is_none_or(|(revision, room)| revision != at || room < free) {
            self.squeezed = Some((at, free));
            self.compactor.begin_squeeze(index, at);
        }
    }

    fn take_reserve(&mut self) {
        let taken = reserve::take(&self.folder, self.options.reserve_bytes);
        let was_full = self.published.health().is_err();
        match taken {
            Ok(()) if was_full => {
                tracing::warn!("disk has room again: everything is written");
                self.published.set_full(None);
            }
            Ok(()) => {}
            Err(error) => {
                let reason = chain(&error);
                if !was_full {
                    tracing::error!(reason, "disk is full: only deletions are written until there is room");
                }
                self.published.set_full(Some(reason));
            }
        }
    }

    /// Shortens the next start when that is worth a checkpoint.
    fn finish(&mut self) {
        if self.published.health().is_ok() && self.compactor.is_due_at_close(&self.log) {
            self.checkpoint(Compactor::begin);
        }
        self.compactor.finish();
        let failed = matches!(self.published.health(), Err(StoreError::ReadOnly { .. }));
        if !failed && let Err(error) = self.log.close() {
            tracing::error!(error = chain(&error), "cannot finish the log");
        }
    }
}

impl Drop for Writer {
    /// Also when the thread panics: readers and watchers are not left with a store that never changes.
    fn drop(&mut self) {
        self.published.close();
    }
}

/// Sorts what waited; what came after a close is dropped, which answers it.
fn gather(waiting: &mut Vec<Request>) -> Gathered {
    let mut gathered = Gathered::default();
    for request in waiting.drain(..) {
        match request {
            _ if gathered.closed.is_some() => {}
            Request::Txn(txn, answer) => gathered.txns.push((txn, Some(answer))),
            Request::Compact(revision, answer) => gathered.compactions.push((revision, answer)),
            Request::Close(answer) => gathered.closed = Some(answer),
        }
    }
    gathered
}

/// Cuts what waited where it gets too long for one batch.
fn batches(txns: Vec<Asked>) -> Vec<Vec<Asked>> {
    let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
    for asked in txns {
        bytes += if let Op::Put(value) = &asked.0.op { value.len() } else { 0 };
        batch.push(asked);
        if bytes >= BATCH_BYTES {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
    }
    batches.extend((!batch.is_empty()).then_some(batch));
    batches
}

fn decide(next: &mut Index, txn: &Txn, first: Revision, buffer: &mut Vec<u8>) -> TxnOutcome {
    let expires = expiry::deadline(txn);
    let (outcome, event) = next.decide(txn, expires);
    if let Some(event) = event {
        let position = u16::try_from(event.revision - first).expect("a batch is shorter than 65536");
        Record::of_event(&event, position, expires).encode(buffer);
    }
    outcome
}

fn answer_all(txns: Vec<Asked>, error: impl Fn() -> StoreError) {
    for answer in txns.into_iter().filter_map(|(_, answer)| answer) {
        _ = answer.send(Err(error()));
    }
}

/// An error with its causes, as one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[cfg(test)]
mod tests;
