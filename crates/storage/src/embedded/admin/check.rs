//! A check reads every record of every file that counts, and goes on behind damage, so that all of it is named at once.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{ATTEMPTS, AdminError, NO_HISTORY, Progress, existing};
use crate::{
    Revision, StoreError,
    cache::Object,
    embedded::{
        folder::{Folder, Format, PART, SEGMENT},
        load::{self, Loaded},
        manifest::Manifest,
        part,
        record::Record,
    },
    index::Index,
    keys,
};

/// What is in a store, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The newest revision; absent when damage hides it.
    pub revision: Option<Revision>,
    /// Files that were read, and their length.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// What each resource has; empty when damage hides it.
    pub resources: Vec<ResourceSize>,
    /// Places in files that are not as they were written.
    pub damage: Vec<Damage>,
    /// Values that are well kept, and yet no objects.
    pub bad_objects: Vec<BadObject>,
    /// A write that was never acknowledged; the next start cuts it off.
    pub unfinished: Option<Unfinished>,
}

impl Report {
    /// Whether everything is as it has to be.
    pub fn is_good(&self) -> bool {
        self.damage.is_empty() && self.bad_objects.is_empty()
    }
}

/// Objects of a resource.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSize {
    /// The part of the key that names it, `GROUP/RESOURCE`; the whole key of what is no object.
    pub resource: String,
    /// How many.
    pub objects: u64,
    /// Bytes of their values.
    pub bytes: u64,
}

/// A place in a file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where the bad record begins, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

/// A value that is no object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BadObject {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The end of the log, where a write was not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfinished {
    /// The segment.
    pub file: PathBuf,
    /// Where the write begins, in bytes.
    pub offset: u64,
}

/// Reads everything in the store of `dir`, beside a server or not.
///
/// # Errors
/// When there is no store, or it cannot be read; damage is no error but in the report.
pub fn check(dir: &Path, progress: Progress<'_>) -> Result<Report, AdminError> {
    let folder = existing(dir)?;
    let mut report = examine(&folder, progress)?;
    for _ in 1..ATTEMPTS {
        if report.damage.is_empty() {
            break;
        }
        // A server may have replaced files while they were read; true damage is there again.
        report = examine(&folder, progress)?;
    }
    Ok(report)
}

fn examine(folder: &Folder, progress: Progress<'_>) -> Result<Report, AdminError> {
    let mut report = Report::default();
    progress("reading the checkpoint");
    let known = report.note(manifest(folder))?;
    let is_known = known.is_some();
    let manifest = known.unwrap_or_else(Manifest::empty);
    for part in &manifest.parts {
        report.count(part.bytes);
        report.note(part::read(folder, part))?;
    }
    // Without a manifest, nobody knows which parts count.
    for (_, path) in if is_known { Vec::new() } else { folder.numbered(PART)? } {
        let content = fs::read(&path).map_err(StoreError::io("read", &path))?;
        report.count(content.len() as u64);
        report.note(part::decode(&path, &content, 0))?;
    }
    let segments = folder.numbered(SEGMENT)?;
    for (_, path) in manifest.needed(&segments) {
        progress(&format!("reading {}", path.display()));
        let content = fs::read(path).map_err(StoreError::io("read", path));
        let Some(content) = report.note(content)? else { continue };
        report.count(content.len() as u64);
        let is_last = segments.last().is_some_and(|(_, last)| last == path);
        if !is_last && let Some(damage) = records(path, &content) {
            report.damage.push(damage);
        }
    }
    // What files say together: revisions without a gap, and the end of the log.
    let loaded = load::load(folder, NO_HISTORY);
    if let Some(Loaded { index, segments, .. }) = report.note(loaded)? {
        progress("parsing objects");
        report.revision = Some(index.revision());
        let torn = segments.into_iter().find(|segment| segment.torn);
        report.unfinished = torn.map(|torn| Unfinished { file: torn.path, offset: torn.good });
        report.parse(&index);
    }
    Ok(report)
}

/// Format 1 has none.
fn manifest(folder: &Folder) -> Result<Manifest, StoreError> {
    match folder.format()? {
        Some(Format::One) => Ok(Manifest::empty()),
        _ => Manifest::read(folder),
    }
}

/// The first bad record of a segment.
fn records(path: &Path, content: &[u8]) -> Option<Damage> {
    let mut offset = 0;
    while offset < content.len() {
        match Record::decode(&content[offset..]) {
            Ok((_, length)) => offset += length,
            Err(reason) => {
                return Some(Damage { file: path.into(), offset: offset as u64, reason: reason.into() });
            }
        }
    }
    None
}

impl Report {
    fn count(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    /// Turns damage into a line of the report.
    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        let damage = match result {
            Ok(value) => return Ok(Some(value)),
            Err(StoreError::Corrupt { file, offset, reason }) => Damage { file, offset, reason },
            Err(StoreError::Io { path, source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Damage { file: path, offset: 0, reason: "file is missing".into() }
            }
            Err(error) => return Err(error),
        };
        if !self.damage.contains(&damage) {
            self.damage.push(damage);
        }
        Ok(None)
    }

    fn parse(&mut self, index: &Index) {
        let mut sizes = BTreeMap::<&str, (u64, u64)>::new();
        for entry in index.entries().values() {
            let item = &entry.key_value;
            let (objects, bytes) = sizes.entry(resource(&item.key)).or_default();
            *objects += 1;
            *bytes += item.value.len() as u64;
            let parsed =
                Object::parse(item.key.clone(), item.value.clone(), item.mod_revision, item.create_revision);
            if let Err(error) = parsed {
                self.bad_objects.push(BadObject { key: item.key.to_string(), reason: error.to_string() });
            }
        }
        let sizes = sizes.into_iter().map(|(resource, (objects, bytes))| {
            let resource = resource.to_owned();
            ResourceSize { resource, objects, bytes }
        });
        self.resources = sizes.collect();
    }
}

/// `GROUP/RESOURCE` of a key.
fn resource(key: &str) -> &str {
    let resource = keys::prefix_of(key).and_then(|prefix| {
        let (group_and_resource, _) =
            prefix.strip_prefix(keys::ROOT)?.trim_end_matches('/').rsplit_once('/')?;
        Some(group_and_resource)
    });
    resource.unwrap_or(key)
}
