//! What format 1 wrote: the whole state in one `checkpoint-N` file, `N` being its revision, and the same log behind it.
//! It is read for good, and written never again.

use std::{fs, path::Path};

use super::{
    checkpoint::{self, State},
    folder::{CHECKPOINT, Folder, Format},
    manifest::Manifest,
    part,
};
use crate::{
    Revision, StoreError,
    index::{Entries, FIRST_REVISION},
};

/// The newest good checkpoint; when a newer one is damaged, the log has to lead to its revision.
pub(super) struct Checkpoint {
    entries: Entries,
    revision: Revision,
    required: Option<(Revision, StoreError)>,
}

impl Checkpoint {
    /// What it says, as if it were a manifest.
    pub(super) fn without_parts(self) -> (Entries, Manifest, Option<(Revision, StoreError)>) {
        let manifest = Manifest { base: self.revision, ..Manifest::empty() };
        (self.entries, manifest, self.required)
    }
}

pub(super) fn load(folder: &Folder) -> Result<Checkpoint, StoreError> {
    let mut required = None;
    for (revision, path) in folder.numbered(CHECKPOINT)?.into_iter().rev() {
        match read(&path) {
            Ok((revision, entries)) => return Ok(Checkpoint { entries, revision, required }),
            Err(error) => {
                tracing::error!(%error, "checkpoint is unusable");
                required.get_or_insert((revision, error));
            }
        }
    }
    Ok(Checkpoint { entries: Entries::new(), revision: FIRST_REVISION, required })
}

/// The key count of an end record was in the place of the part's, and the revision in that of its number.
fn read(path: &Path) -> Result<(Revision, Entries), StoreError> {
    let content = fs::read(path).map_err(StoreError::io("read", path))?;
    let (revision, entries) = part::decode(path, &content, 0)?;
    Ok((revision, entries.into_iter().map(|entry| (entry.key_value.key.clone(), entry)).collect()))
}

/// Turns a folder of format 1 into one of format 2. A crash at any step leaves one that is read as before.
pub(super) fn upgrade(folder: &Folder, part_bytes: u64) -> Result<(), StoreError> {
    if folder.format()? == Some(Format::One) {
        // Reading all of it first: nothing is changed in a folder that is damaged.
        super::load::load(folder, crate::HistoryLimits::default())?;
        let (entries, mut manifest, _) = load(folder)?.without_parts();
        let state = State { entries, revision: manifest.base };
        checkpoint::save(folder, &mut manifest, &state, part_bytes)?;
        folder.write_format()?;
        tracing::info!(folder = %folder.path().display(), "upgraded the store from format 1 to 2");
    }
    for (_, path) in folder.numbered(CHECKPOINT)? {
        fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
    }
    folder.sync()
}
