//! What a power cut would leave: contents as of their last sync, names as of the folder's.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Keeps what has just been synced, when that is asked for.
pub(crate) fn keep(fd: i32, path: &Path) {
    let Some(kept) = std::env::var_os("FAULTY_DISK_SYNCED").map(PathBuf::from) else { return };
    let keep = if path.is_dir() { names(path, &kept) } else { content(fd, &kept) };
    keep.unwrap_or_else(|fault| panic!("keep what was synced of {}: {fault}", path.display()));
}

fn content(fd: i32, kept: &Path) -> io::Result<()> {
    // Opened anew, so that the position of the descriptor stays where it is; it may not be readable either.
    let file = File::open(format!("/proc/self/fd/{fd}"))?;
    replace(kept, &identity(&file.metadata()?), |target| io::copy(&mut &file, target).map(drop))
}

fn names(folder: &Path, kept: &Path) -> io::Result<()> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // One that is removed meanwhile may be missed by a power cut as well.
        let Ok(metadata) = entry.metadata() else { continue };
        text.push_str(&format!("{} {}\n", identity(&metadata), entry.file_name().to_string_lossy()));
    }
    replace(kept, "names", |target| io::Write::write_all(target, text.as_bytes()))
}

/// Inodes are used again, for files that were made at another time.
fn identity(metadata: &fs::Metadata) -> String {
    let made = metadata.created().ok().and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!("{}-{}", metadata.ino(), made.unwrap_or_default().as_nanos())
}

/// A file that is either the old or the new one, whenever the process is killed.
fn replace(kept: &Path, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let unfinished = kept.join(format!("{name}.{:?}", std::thread::current().id()));
    write(&mut File::create(&unfinished)?)?;
    fs::rename(unfinished, kept.join(name))
}
