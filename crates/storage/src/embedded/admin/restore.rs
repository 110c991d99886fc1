//! Restoring makes a new folder beside the old one and puts it in its place: nothing is deleted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags};
use serde::Serialize;

use super::{AdminError, BACKUP, Progress};
use crate::{
    Revision, StoreError,
    embedded::{
        EmbeddedOptions,
        checkpoint::{self, State},
        folder::{self, CHECKPOINT, Folder, SEGMENT},
        manifest::Manifest,
        part,
        record::Record,
    },
    index::FIRST_REVISION,
};

/// What a store became.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The revision of the backup.
    pub backup_revision: Revision,
    /// The newest revision that the replaced store had handed out, as far as it can be read.
    pub replaced_revision: Option<Revision>,
    /// The revision that the store has now; it has no history before.
    pub revision: Revision,
    /// Keys in it.
    pub keys: u64,
    /// Where the replaced store is now.
    pub replaced: Option<PathBuf>,
}

/// Puts the content of a backup in the place of the store in `dir`, which is moved aside. The new revision is `bump` above
/// any that was seen, so that no client has a version from a future that was undone, and old watches have to list again.
///
/// # Errors
/// When the bump is 0 or too large, when the file is no backup or is damaged, when a process has the store open, or when files cannot be written. Until
/// the last step the old store is untouched.
pub fn restore(file: &Path, dir: &Path, bump: u64, progress: Progress<'_>) -> Result<Restored, AdminError> {
    if bump == 0 {
        return Err(AdminError::NoBump);
    }
    progress("reading the backup");
    let content = fs::read(file).map_err(StoreError::io("read", file))?;
    if !content.starts_with(BACKUP) {
        return Err(AdminError::NoBackup { path: file.into() });
    }
    let (backup_revision, entries) = part::decode(file, &content, BACKUP.len())?;
    drop(content);
    // Held until the new store is in place.
    let lock = if dir.is_dir() { Some(folder::lock(dir.join("lock"))?) } else { None };
    let replaced_revision = lock.as_ref().map(|_| newest(&Folder::unlocked(dir))).transpose()?;
    let staging = beside(dir, "restoring");
    let aside = keep(&staging, dir, progress)?;
    let from = backup_revision.max(replaced_revision.unwrap_or(0)).max(aside.unwrap_or(0));
    let revision = from.checked_add(bump).ok_or(AdminError::Bump { from, by: bump })?;

    progress(&format!("writing {} keys", entries.len()));
    let keys = entries.len() as u64;
    let entries = entries.into_iter().map(|entry| (entry.key_value.key.clone(), entry)).collect();
    let made = make(&staging, &State { entries, revision })
        // Room that cannot be used is not kept.
        .inspect_err(|_| _ = fs::remove_dir_all(&staging))?;
    let replaced = if lock.is_some() { Some(exchange(&made, dir, revision)?) } else { None };
    if lock.is_none() {
        fs::rename(&made, dir).map_err(StoreError::io("rename to", dir))?;
    }
    folder::sync_folder(folder::parent(dir))?;
    Ok(Restored { backup_revision, replaced_revision, revision, keys, replaced })
}

/// Moves aside what a restore that was killed in its last step left: a whole store, the new one or the one it replaced.
/// Gives the newest revision in it. The format is written last, and an unfinished store has no log.
fn keep(staging: &Path, dir: &Path, progress: Progress<'_>) -> Result<Option<Revision>, StoreError> {
    let folder = Folder::unlocked(staging);
    if !staging.is_dir() || !staging.join("format").exists() && folder.numbered(SEGMENT)?.is_empty() {
        return Ok(None);
    }
    let revision = newest(&folder)?;
    let name = free_name(dir, revision);
    fs::rename(staging, &name).map_err(StoreError::io("rename to", &name))?;
    progress(&format!("keeping what an interrupted restore left in {}", name.display()));
    Ok(Some(revision))
}

/// A name for a replaced store of a revision.
fn free_name(dir: &Path, revision: Revision) -> PathBuf {
    let names = (0..).map(|number| match number {
        0 => beside(dir, &format!("replaced-{revision}")),
        number => beside(dir, &format!("replaced-{revision}-{number}")),
    });
    { names }.find(|name| !name.exists()).unwrap_or_default()
}

/// Makes a whole store in a folder of its own.
fn make(path: &Path, state: &State) -> Result<PathBuf, StoreError> {
    if path.exists() {
        // Left by a restore that was killed; it was never in use.
        fs::remove_dir_all(path).map_err(StoreError::io("remove unfinished", path))?;
    }
    let folder = Folder::open(path)?;
    let part_bytes = EmbeddedOptions::default().part_bytes;
    checkpoint::save(&folder, &mut Manifest::empty(), state, part_bytes)?;
    folder.write_format()?;
    Ok(path.into())
}

/// Swaps the new folder with the old one in one step, where the file system can, and gives the old one a name for good.
fn exchange(made: &Path, dir: &Path, revision: Revision) -> Result<PathBuf, StoreError> {
    let replaced = free_name(dir, revision);
    let swapped = rustix::fs::renameat_with(CWD, made, CWD, dir, RenameFlags::EXCHANGE);
    let moved = match swapped {
        Ok(()) => fs::rename(made, &replaced),
        Err(_) => fs::rename(dir, &replaced).and_then(|()| fs::rename(made, dir)),
    };
    moved.map_err(StoreError::io("move the replaced store to", &replaced))?;
    Ok(replaced)
}

/// A name in the same folder.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    dir.with_file_name(name)
}

/// The newest revision in a folder, whatever else in it is damaged.
fn newest(folder: &Folder) -> Result<Revision, StoreError> {
    let mut newest = Manifest::read(folder).map_or(FIRST_REVISION, |manifest| manifest.revision());
    for (revision, _) in folder.numbered(CHECKPOINT)? {
        newest = newest.max(revision);
    }
    for (first, path) in folder.numbered(SEGMENT)? {
        let content = fs::read(&path).map_err(StoreError::io("read", path))?;
        newest = newest.max(first - 1).max(newest_record(&content));
    }
    Ok(newest)
}

/// Reads on behind damage.
fn newest_record(content: &[u8]) -> Revision {
    let (mut newest, mut offset) = (0, 0);
    while offset < content.len() {
        match Record::decode(&content[offset..]) {
            Ok((record, length)) => {
                newest = newest.max(record.revision);
                offset += length;
            }
            Err(_) => offset += 1,
        }
    }
    newest
}
