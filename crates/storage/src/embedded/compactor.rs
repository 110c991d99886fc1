//! Decides when a checkpoint is worth its cost, and runs it beside the writes. One is begun when the log grew by as much
//! as all keys take, so that a byte is written again about once, however large the store is.

use std::{sync::Arc, thread::JoinHandle};

use super::{
    EmbeddedOptions,
    checkpoint::{self, State},
    disk::Room,
    folder::Folder,
    log::Log,
    manifest::Manifest,
    writer::chain,
};
use crate::{Revision, StoreError, index::Index, published::Published};

/// The one who makes checkpoints.
pub(super) struct Compactor {
    folder: Arc<Folder>,
    options: EmbeddedOptions,
    manifest: Manifest,
    running: Option<JoinHandle<Ended>>,
    /// Whether the last one failed, which is told once.
    failed: bool,
}

/// What a thread leaves: what counts now, and whether the checkpoint failed.
type Ended = (Manifest, bool);

type Make = fn(&Folder, &mut Manifest, &State, u64) -> Result<(), StoreError>;

impl Compactor {
    pub(super) fn new(folder: Arc<Folder>, manifest: Manifest, options: EmbeddedOptions) -> Self {
        Self { folder, options, manifest, running: None, failed: false }
    }

    /// Whether the log is long enough, and no checkpoint is being made.
    pub(super) fn is_due(&mut self, log: &Log) -> bool {
        log.bytes() > self.worth() && !self.is_running()
    }

    /// Whether a checkpoint that waits any longer may not fit beside the log.
    pub(super) fn is_tight(&self, log: &Log) -> bool {
        log.bytes() > self.options.checkpoint_bytes / 16
            && Room::of(self.folder.path()).is_ok_and(|room| room.free / 2 < log.bytes())
    }

    /// On close, a quarter suffices.
    pub(super) fn is_due_at_close(&mut self, log: &Log) -> bool {
        log.bytes() > self.worth() / 4
    }

    fn worth(&self) -> u64 {
        self.options.checkpoint_bytes.max(self.manifest.bytes())
    }

    pub(super) fn is_running(&mut self) -> bool {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish();
        }
        self.running.is_some()
    }

    /// Whether a checkpoint of now would differ from the last one.
    pub(super) fn is_behind(&self, published: &Published) -> bool {
        published.load().is_ok_and(|index| index.revision() > self.manifest.base)
    }

    /// Begins a checkpoint of the oldest kept revision, so that the log behind it is the kept history. Waits for one that
    /// is being made.
    pub(super) fn begin(&mut self, index: Arc<Index>) {
        let at = index.oldest();
        self.start(index, at, checkpoint::save, "cannot finish a checkpoint");
    }

    /// Begins one of a kept revision that needs little room.
    pub(super) fn begin_squeeze(&mut self, index: Arc<Index>, at: Revision) {
        self.start(index, at, checkpoint::squeeze, "cannot make room");
    }

    fn start(&mut self, index: Arc<Index>, at: Revision, make: Make, complaint: &'static str) {
        self.finish();
        let (folder, part_bytes, failed) = (self.folder.clone(), self.options.part_bytes, self.failed);
        let mut manifest = self.manifest.clone();
        let work = move || {
            // Never back: the log before may be gone.
            let revision = at.max(manifest.revision());
            let state = State { entries: index.entries_at("", revision), revision };
            drop(index);
            let made = make(&folder, &mut manifest, &state, part_bytes);
            let made = made.and_then(|()| manifest.remove_others(&folder));
            if let Err(error) = &made
                && !failed
            {
                tracing::error!(error = chain(error), "{complaint}, older files are kept");
            }
            (manifest, made.is_err())
        };
        match std::thread::Builder::new().name("store-checkpoint".into()).spawn(work) {
            Ok(thread) => self.running = Some(thread),
            Err(error) => tracing::error!(%error, "cannot begin a checkpoint, the log keeps growing"),
        }
    }

    /// Waits for a checkpoint that is being made.
    pub(super) fn finish(&mut self) {
        match self.running.take().map(JoinHandle::join) {
            Some(Ok(ended)) => (self.manifest, self.failed) = ended,
            Some(Err(_)) => tracing::error!("checkpoint thread panicked"),
            None => {}
        }
    }
}
