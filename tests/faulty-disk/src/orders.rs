//! What is ordered at the moment, and for which files.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The path behind `fd`, when it is the folder in question or below it.
pub(crate) fn ours(fd: i32) -> Option<PathBuf> {
    let folder = std::env::var_os("FAULTY_DISK_DIR")?;
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    path.starts_with(folder).then_some(path)
}

/// The value of `order` now.
fn order(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(std::env::var_os("FAULTY_DISK_ORDERS")?).ok()?;
    let mut orders = text.split_whitespace().filter_map(|word| word.split_once('='));
    orders.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}

/// What becomes of a write.
pub(crate) enum Write {
    Pass,
    Fail(i32),
    /// So many bytes, and then the end.
    Torn(usize),
}

/// What is ordered for a write of `length` bytes.
pub(crate) fn write(length: usize) -> Write {
    match order("write").as_deref() {
        Some("fail") => return Write::Fail(libc::EIO),
        Some("full") => return Write::Fail(libc::ENOSPC),
        _ => {}
    }
    let torn = order("torn").and_then(|bytes| bytes.parse().ok()).filter(|bytes| *bytes < length);
    torn.map_or(Write::Pass, Write::Torn)
}

/// What becomes of a sync.
pub(crate) enum Sync {
    Pass,
    Fail,
    Kill,
}

/// What is ordered for a sync of the file at `path`, once it is not held.
pub(crate) fn sync(path: &Path) -> Sync {
    while order("hold").is_some_and(|text| contains(path, text.as_bytes())) {
        pause();
    }
    match order("sync").as_deref() {
        Some("fail") => Sync::Fail,
        Some("kill") => Sync::Kill,
        _ => Sync::Pass,
    }
}

/// Whether there is such a text in a file; a folder has none.
fn contains(path: &Path, text: &[u8]) -> bool {
    std::fs::read(path).is_ok_and(|content| content.windows(text.len()).any(|window| window == text))
}

/// Whether the process is to be killed before it renames or removes this path.
pub(crate) fn kills(what: &str, path: &Path) -> bool {
    let ours = std::env::var_os("FAULTY_DISK_DIR").is_some_and(|folder| path.starts_with(folder));
    ours && order(what).as_deref() == Some("kill")
}

#[allow(clippy::disallowed_methods, reason = "a sync blocks its thread, and this stands in for one")]
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}
