//! Compaction by hand: what a running server does by itself, with all history forgotten.

use std::{fs, path::Path};

use serde::Serialize;

use super::{AdminError, NO_HISTORY, Progress, existing};
use crate::{
    Revision, StoreError,
    embedded::{
        EmbeddedOptions,
        checkpoint::{self, State},
        folder::{Folder, PART, SEGMENT},
        load::{self, Loaded},
        prepare, reserve,
    },
};

/// What a compaction did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compacted {
    /// The revision, before which there is no history now.
    pub revision: Revision,
    /// Bytes of log and parts before.
    pub bytes_before: u64,
    /// Bytes of log and parts now.
    pub bytes: u64,
}

/// Forgets all history in the store of `dir`, and replaces its log by a checkpoint.
///
/// # Errors
/// When a process has the store open, when it is damaged, or when there is no room for the checkpoint.
pub fn compact(dir: &Path, progress: Progress<'_>) -> Result<Compacted, AdminError> {
    existing(dir)?;
    let folder = Folder::open(dir)?;
    progress("reading the store");
    let options = EmbeddedOptions { history: NO_HISTORY, ..EmbeddedOptions::default() };
    let bytes_before = size(&folder)?;
    let Loaded { index, mut manifest, .. } = prepare(&folder, options)?;
    // On a full disk it is what the checkpoint is written to; the next server takes it again.
    reserve::give_back(&folder);
    progress("writing a checkpoint");
    let revision = index.revision();
    load::remember_compaction(&folder, revision)?;
    let state = State { entries: index.entries().clone(), revision };
    checkpoint::save(&folder, &mut manifest, &state, options.part_bytes)?;
    manifest.remove_others(&folder)?;
    // Also the newest segment: everything in it is in the checkpoint.
    for (_, path) in folder.numbered(SEGMENT)? {
        fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
    }
    folder.sync()?;
    Ok(Compacted { revision, bytes_before, bytes: size(&folder)? })
}

fn size(folder: &Folder) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for kind in [SEGMENT, PART] {
        for (_, path) in folder.numbered(kind)? {
            bytes += fs::metadata(&path).map_err(StoreError::io("read", path))?.len();
        }
    }
    Ok(bytes)
}
