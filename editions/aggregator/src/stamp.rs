//! Whether a file has changed, without reading it: by what changes whenever it is written or replaced.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// How often files are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// One state of a file; of one that is not there, that it is not. Links are followed, so that what they point to counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    /// The state of the file at `path` now. Take it before reading: what is written in between then counts as a change.
    pub(crate) async fn of(path: &Path) -> Self {
        let found = tokio::fs::metadata(path).await.ok();
        Self(found.map(|file| (file.dev(), file.ino(), file.len(), file.ctime(), file.ctime_nsec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_written_replaced_or_removed_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        let mut seen = vec![Stamp::of(&path).await];
        assert_eq!(seen[0], Stamp::default());
        std::fs::write(&path, "one").unwrap();
        seen.push(Stamp::of(&path).await);
        assert_eq!(seen[1], Stamp::of(&path).await);
        std::fs::write(&path, "longer").unwrap();
        seen.push(Stamp::of(&path).await);
        // Of the same length, and as old as one likes: it is another file.
        std::fs::write(&other, "second").unwrap();
        std::fs::rename(&other, &path).unwrap();
        seen.push(Stamp::of(&path).await);
        for (index, stamp) in seen.iter().enumerate() {
            assert!(!seen[..index].contains(stamp), "{seen:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Stamp::of(&path).await, Stamp::default());
    }
}
