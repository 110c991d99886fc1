//! The writer is one thread that turns whatever waits into one batch: decide all, append once, sync once, publish once,
//! answer all. While a sync runs the next batch gathers, so that more writers mean larger batches, not more syncs.

use std::{sync::Arc, thread::JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::{
    EmbeddedOptions, checkpoint,
    folder::Folder,
    log::Log,
    record::{Kind, Record},
};
use crate::{
    Event, EventKind, Revision, StoreError, Txn, TxnOutcome,
    index::{Index, Published},
};

/// The longest batch, in requests. Positions in a batch have to fit 16 bits.
const BATCH: usize = 1024;

/// No request is added to a batch that has this many bytes.
const BATCH_BYTES: usize = 4 << 20;

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
    checkpoint: Option<JoinHandle<()>>,
    /// The encoded writes of the batch that is being decided.
    buffer: Vec<u8>,
}

/// A batch that is being decided.
struct Batch {
    next: Index,
    /// The revision of the first write, if there is one.
    first: Revision,
    outcomes: Vec<(Answer<TxnOutcome>, Result<TxnOutcome, StoreError>)>,
    compactions: Vec<(Answer<()>, Result<(), StoreError>)>,
}

impl Batch {
    fn new(index: &Index) -> Self {
        let (next, first) = (index.clone(), index.revision() + 1);
        Self { next, first, outcomes: Vec::new(), compactions: Vec::new() }
    }

    /// Answers everyone with an error.
    fn answer_all(self, error: impl Fn() -> StoreError) {
        for (answer, _) in self.outcomes {
            _ = answer.send(Err(error()));
        }
        for (answer, _) in self.compactions {
            _ = answer.send(Err(error()));
        }
    }
}

impl Writer {
    pub(super) fn new(
        folder: Arc<Folder>,
        log: Log,
        published: Arc<Published>,
        options: EmbeddedOptions,
    ) -> Self {
        Self { folder, log, published, options, checkpoint: None, buffer: Vec::new() }
    }

    /// Works until it is asked to close, or nobody is left to ask.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut closed = None;
        while closed.is_none()
            && let Some(request) = requests.blocking_recv()
        {
            closed = self.batch(request, &mut requests);
        }
        self.finish();
        // Releases the lock of the folder before the close is answered.
        drop(self);
        if let Some(answer) = closed {
            _ = answer.send(Ok(()));
        }
    }

    /// Handles a request and those that wait behind it, up to a close.
    fn batch(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) -> Option<Answer<()>> {
        let Ok(index) = self.published.load() else { return None };
        let mut batch = Batch::new(&index);
        let mut request = first;
        let mut closed = None;
        for left in (0..BATCH).rev() {
            match request {
                Request::Txn(txn, answer) => self.decide(&mut batch, txn, answer),
                Request::Compact(revision, answer) => {
                    let result = batch.next.compact(revision);
                    batch.compactions.push((answer, result));
                }
                Request::Close(answer) => closed = Some(answer),
            }
            if left == 0 || closed.is_some() || self.buffer.len() >= BATCH_BYTES {
                break;
            }
            let Ok(waiting) = requests.try_recv() else { break };
            request = waiting;
        }
        self.commit(batch);
        self.checkpoint_if_due();
        closed
    }

    fn decide(&mut self, batch: &mut Batch, txn: Txn, answer: Answer<TxnOutcome>) {
        if let Err(error) = self.published.health() {
            batch.outcomes.push((answer, Err(error)));
            return;
        }
        let (outcome, event) = batch.next.decide(txn);
        if let Some(event) = event {
            let position = event.revision - batch.first;
            let position = u16::try_from(position).expect("a batch is shorter than 65536");
            record(&event, position).encode(&mut self.buffer);
        }
        batch.outcomes.push((answer, Ok(outcome)));
    }

    /// Makes the batch durable, then visible, then answers. When that fails nobody sees any of it: not even a conflict
    /// can be answered, since it may be with a write of this batch.
    fn commit(&mut self, batch: Batch) {
        let wrote = !self.buffer.is_empty();
        let appended = if wrote { self.log.append(&self.buffer) } else { Ok(()) };
        self.buffer.clear();
        self.buffer.shrink_to(BATCH_BYTES);
        if let Err(error) = appended {
            let reason = chain(&error);
            tracing::error!(reason, "store is read-only from now on");
            self.published.fail(reason.clone());
            return batch.answer_all(|| StoreError::ReadOnly { reason: reason.clone() });
        }
        if wrote || !batch.compactions.is_empty() {
            self.published.publish(batch.next);
        }
        // Whoever asked may have gone.
        for (answer, outcome) in batch.outcomes {
            _ = answer.send(outcome);
        }
        for (answer, result) in batch.compactions {
            _ = answer.send(result);
        }
    }

    /// Begins a checkpoint beside the writes: they go on in a new segment, while a thread writes the index of now.
    fn checkpoint_if_due(&mut self) {
        let running = self.checkpoint.as_ref().is_some_and(|thread| !thread.is_finished());
        if self.published.health().is_err() || running || self.log.bytes() < self.options.checkpoint_bytes {
            return;
        }
        self.join_checkpoint();
        if let Err(error) = self.begin_checkpoint() {
            tracing::error!(error = chain(&error), "cannot begin a checkpoint, the log keeps growing");
            self.log.reset_bytes();
        }
    }

    fn begin_checkpoint(&mut self) -> Result<(), StoreError> {
        let index = self.published.load()?;
        self.log.rotate(&self.folder, index.revision() + 1)?;
        let folder = self.folder.clone();
        let work = move || save(&folder, &index);
        let thread = std::thread::Builder::new().name("store-checkpoint".into()).spawn(work);
        self.checkpoint = Some(thread.map_err(StoreError::io("start a thread for", "checkpoint"))?);
        Ok(())
    }

    fn join_checkpoint(&mut self) {
        if let Some(thread) = self.checkpoint.take()
            && thread.join().is_err()
        {
            tracing::error!("checkpoint thread panicked");
        }
    }

    /// Shortens the next start when that is worth keeping less history for resuming watches.
    fn finish(&mut self) {
        self.join_checkpoint();
        if self.published.health().is_ok()
            && self.log.bytes() > self.options.checkpoint_bytes / 4
            && let Ok(index) = self.published.load()
        {
            save(&self.folder, &index);
        }
    }
}

impl Drop for Writer {
    /// Also when the thread panics: readers and watchers are not left with a store that never changes.
    fn drop(&mut self) {
        self.published.close();
    }
}

fn save(folder: &Folder, index: &Index) {
    if let Err(error) = checkpoint::save(folder, index) {
        tracing::error!(error = chain(&error), "cannot finish a checkpoint, older files are kept");
    }
}

fn record(event: &Event, position: u16) -> Record<'_> {
    let (kind, value) = match &event.kind {
        EventKind::Put { value, .. } => (Kind::Put, &value[..]),
        EventKind::Delete { .. } => (Kind::Delete, &[][..]),
    };
    let Event { key, revision, create_revision, .. } = event;
    Record { revision: *revision, create_revision: *create_revision, position, kind, key, value }
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::{
        Compare, Op,
        index::{FIRST_REVISION, HistoryLimits},
    };

    fn writer(dir: &Path, log: &Path) -> Writer {
        let folder = Arc::new(Folder::open(dir).unwrap());
        let published = Published::new(Index::new(HistoryLimits::default()));
        Writer::new(folder, Log::at(log), published, EmbeddedOptions::default())
    }

    fn create(key: &str) -> (Request, oneshot::Receiver<Result<TxnOutcome, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let op = Op::Put(Bytes::from_static(b"{}"));
        (Request::Txn(Txn::new(key, Compare::Absent, op), answer), answered)
    }

    /// Sends requests, of which the first is given to the writer; the answers are to all.
    fn batch(writer: &mut Writer, keys: &[&str]) -> Vec<Result<TxnOutcome, StoreError>> {
        let (sender, mut requests) = mpsc::channel(8);
        let answers: Vec<_> = keys.iter().map(|key| create(key)).collect();
        let (sent, answers): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        for request in sent {
            sender.try_send(request).unwrap_or_else(|_| panic!("queue is full"));
        }
        let first = requests.try_recv().unwrap();
        writer.batch(first, &mut requests);
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
    }

    #[test]
    fn what_waits_becomes_one_batch_that_sees_its_own_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut writer = writer(dir.path(), &path);
        let answers = batch(&mut writer, &["/a", "/b", "/a"]);
        assert!(matches!(answers[0], Ok(TxnOutcome::Committed { revision: 2, .. })));
        assert!(matches!(answers[1], Ok(TxnOutcome::Committed { revision: 3, .. })));
        assert!(
            matches!(&answers[2], Ok(TxnOutcome::Conflict { current: Some(found) }) if found.mod_revision == 2)
        );

        let log = std::fs::read(&path).unwrap();
        let (first, length) = Record::decode(&log).unwrap();
        let (second, _) = Record::decode(&log[length..]).unwrap();
        assert_eq!((first.batch(), second.batch(), second.position), (2, 2, 1));
    }

    #[test]
    fn after_a_failed_write_nothing_is_visible_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), Path::new("/dev/full"));
        for answer in batch(&mut writer, &["/a", "/a"]) {
            let Err(StoreError::ReadOnly { reason }) = answer else { panic!("{answer:?}") };
            assert!(reason.starts_with("append to /dev/full: "), "{reason}");
        }
        assert_eq!(writer.published.load().unwrap().revision(), FIRST_REVISION);
        let health = writer.published.health().unwrap_err().to_string();
        assert!(health.contains("read-only") && health.contains("/dev/full"), "{health}");

        let good = dir.path().join("log");
        writer.log = Log::at(&good);
        assert!(matches!(batch(&mut writer, &["/a"])[0], Err(StoreError::ReadOnly { .. })));
        assert_eq!(std::fs::metadata(&good).unwrap().len(), 0);
    }
}
