//! How large the disk is, and how full.

use std::{io, path::Path};

/// Room on the file system of a folder, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// All there is.
    pub(super) total: u64,
    /// What this process may still take.
    pub(super) free: u64,
}

impl Room {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        if found.f_blocks == 0 {
            // Some file systems do not say.
            return Ok(Self { total: u64::MAX, free: u64::MAX });
        }
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_does_not_say_is_large() {
        assert_eq!(Room::of(Path::new("/proc")).unwrap().total, u64::MAX);
    }
}
