//! The data folder: who may use it (`lock`), what wrote it (`format`), and its numbered files.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{Revision, StoreError};

/// The name of a log segment begins with this; the number is the first revision that it may hold.
pub(super) const SEGMENT: &str = "wal-";

/// The name of a part of the checkpoint begins with this; the number is never used again.
pub(super) const PART: &str = "part-";

/// The name of a checkpoint of format 1 begins with this; the number is its revision.
pub(super) const CHECKPOINT: &str = "checkpoint-";

/// A file that is being written has this suffix until it is complete.
const UNFINISHED: &str = ".tmp";

/// What wrote the folder: the content of the `format` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One checkpoint file; read, and upgraded when it is opened.
    One,
    /// A manifest and parts; the one that is written.
    Two,
}

impl Format {
    const ALL: [Self; 2] = [Self::One, Self::Two];

    fn line(self) -> &'static str {
        match self {
            Self::One => "detectviz-store 1\n",
            Self::Two => "detectviz-store 2\n",
        }
    }
}

/// A data folder, locked for this process until drop unless it is only read.
pub(super) struct Folder {
    path: PathBuf,
    /// Kept open, so that a sync does not fail for want of a file descriptor.
    directory: Option<File>,
    _lock: Option<File>,
}

impl Folder {
    /// Locks the folder, which is made if need be, and removes what was never finished.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        create_durably(path).map_err(StoreError::io("create data folder", path))?;
        let lock = lock(path.join("lock"))?;
        let directory = File::open(path).map_err(StoreError::io("open data folder", path))?;
        let folder = Self { path: path.into(), directory: Some(directory), _lock: Some(lock) };
        // Whose format is unknown is left alone.
        folder.format()?;
        folder.remove_unfinished()?;
        Ok(folder)
    }

    /// The folder for reading alone, also while another process writes in it.
    pub(super) fn unlocked(path: &Path) -> Self {
        Self { path: path.into(), directory: None, _lock: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn named(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn file(&self, kind: &str, number: u64) -> PathBuf {
        self.path.join(format!("{kind}{number:020}"))
    }

    /// The files of a kind, by number.
    pub(super) fn numbered(&self, kind: &str) -> Result<Vec<(Revision, PathBuf)>, StoreError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(StoreError::io("list data folder", &self.path))? {
            let entry = entry.map_err(StoreError::io("list data folder", &self.path))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(kind)?.parse().ok());
            found.extend(number.map(|number| (number, entry.path())));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Writes a file so that it is either there as a whole, durably, or not at all.
    pub(super) fn write_whole(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        rename_whole(path, |file| file.write_all(content))?;
        self.sync()
    }

    /// Makes created, renamed and removed names durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        match &self.directory {
            Some(directory) => directory.sync_all().map_err(StoreError::io("sync data folder", &self.path)),
            None => sync_folder(&self.path),
        }
    }

    /// What wrote the folder; `None` when it is new.
    pub(super) fn format(&self) -> Result<Option<Format>, StoreError> {
        let path = self.named("format");
        let mut found = String::new();
        match File::open(&path).and_then(|file| file.take(64).read_to_string(&mut found)) {
            Ok(_) => {
                let known = Format::ALL.into_iter().find(|known| known.line() == found);
                known.map(Some).ok_or_else(|| format_error(found.trim_end()))
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(format_error("binary data")),
            Err(error) if error.kind() == ErrorKind::NotFound && self.is_empty()? => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(format_error("data without a format file"))
            }
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// A folder without a format is new, or it is not ours to write in.
    fn is_empty(&self) -> Result<bool, StoreError> {
        for kind in [SEGMENT, PART, CHECKPOINT] {
            if !self.numbered(kind)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says that everything in the folder is of the format that this version writes.
    pub(super) fn write_format(&self) -> Result<(), StoreError> {
        self.write_whole(&self.named("format"), Format::Two.line().as_bytes())
    }

    fn remove_unfinished(&self) -> Result<(), StoreError> {
        for entry in fs::read_dir(&self.path).map_err(StoreError::io("list data folder", &self.path))? {
            let path = entry.map_err(StoreError::io("list data folder", &self.path))?.path();
            if path.to_str().is_some_and(|path| path.ends_with(UNFINISHED)) {
                fs::remove_file(&path).map_err(StoreError::io("remove unfinished", path))?;
            }
        }
        Ok(())
    }
}

fn format_error(found: &str) -> StoreError {
    StoreError::Format { found: found.into(), supported: Format::Two.line().trim_ascii_end() }
}

/// Writes a file, which only the owner may read, so that it is either there as a whole, durably, or not at all.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StoreError> {
    rename_whole(path, write)?;
    sync_folder(parent(path))
}

/// Writes a file as a whole, durably but for its name.
fn rename_whole(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let written = create(&unfinished).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // A full disk is not to be filled further by attempts.
        _ = fs::remove_file(&unfinished);
        return Err(StoreError::io("write", unfinished)(error));
    }
    fs::rename(&unfinished, path).map_err(StoreError::io("rename to", path))
}

/// Makes a file that only the owner may read, or empties it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The folder that a path is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes created, renamed and removed names durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(StoreError::io("sync data folder", path))
}

/// Makes a folder, with those above it, that is still there after a power cut. Only the owner may read it.
fn create_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    create_durably(parent(path))?;
    DirBuilder::new().mode(0o700).create(path)?;
    File::open(parent(path))?.sync_all()
}

/// Takes a lock file for this process, until drop.
pub(super) fn lock(path: PathBuf) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(StoreError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
    }
}
