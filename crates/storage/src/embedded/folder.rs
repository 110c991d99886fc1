//! The data folder: who may use it (`lock`), what wrote it (`format`), and its numbered files.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::{Revision, StoreError};

/// The content of the `format` file that this version reads and writes.
const FORMAT: &str = "detectviz-store 1\n";

/// The name of a log segment begins with this; the number is the first revision that it may hold.
pub(super) const SEGMENT: &str = "wal-";

/// The name of a checkpoint begins with this; the number is its revision.
pub(super) const CHECKPOINT: &str = "checkpoint-";

/// A file that is being written has this suffix until it is complete.
const UNFINISHED: &str = ".tmp";

/// A data folder that is locked for this process until drop.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Locks the folder, which is made if need be, and checks its format.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        create_durably(path).map_err(StoreError::io("create data folder", path))?;
        let folder = Self { path: path.into(), _lock: lock(path.join("lock"))? };
        folder.check_format()?;
        folder.remove_unfinished()?;
        Ok(folder)
    }

    pub(super) fn file(&self, kind: &str, number: Revision) -> PathBuf {
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
    pub(super) fn write_whole(
        &self,
        path: &Path,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let written = File::create(&unfinished).and_then(|mut file| {
            write(&mut file)?;
            file.sync_all()
        });
        if let Err(error) = written {
            // A full disk is not to be filled further by attempts.
            _ = fs::remove_file(&unfinished);
            return Err(StoreError::io("write", unfinished)(error));
        }
        fs::rename(&unfinished, path).map_err(StoreError::io("rename to", path))?;
        self.sync()
    }

    /// Makes created, renamed and removed names durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(StoreError::io("sync data folder", &self.path))
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let path = self.path.join("format");
        let mut found = String::new();
        match File::open(&path).and_then(|file| file.take(64).read_to_string(&mut found)) {
            Ok(_) if found == FORMAT => Ok(()),
            Ok(_) => Err(format_error(found.trim_end())),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(format_error("binary data")),
            Err(error) if error.kind() == ErrorKind::NotFound => self.write_format(&path),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// A folder without a format is new, or it is not ours to write in.
    fn write_format(&self, path: &Path) -> Result<(), StoreError> {
        if !self.numbered(SEGMENT)?.is_empty() || !self.numbered(CHECKPOINT)?.is_empty() {
            return Err(format_error("data without a format file"));
        }
        self.write_whole(path, |file| file.write_all(FORMAT.as_bytes()))
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
    StoreError::Format { found: found.into(), supported: FORMAT.trim_ascii_end() }
}

/// Makes a folder, with those above it, that is still there after a power cut. Only the owner may read it.
fn create_durably(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_durably(parent)?;
    DirBuilder::new().mode(0o700).create(path)?;
    File::open(parent)?.sync_all()
}

fn lock(path: PathBuf) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(StoreError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
    }
}
