//! A `.tar.gz` of which every byte follows from the files: sorted, owned by nobody in particular, of one time.

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The unit of tar.
const BLOCK: usize = 512;
/// The most bytes of a name in a ustar header without its prefix field.
const NAME: usize = 100;

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    name: String,
    mode: u32,
    bytes: Vec<u8>,
}

impl Entry {
    /// A file that is read.
    pub(super) fn file(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), mode: 0o644, bytes }
    }

    /// A file that is run.
    pub(super) fn program(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), mode: 0o755, bytes }
    }

    /// The same in a folder.
    pub(super) fn below(self, folder: &str) -> Self {
        Self { name: format!("{folder}/{}", self.name), ..self }
    }
}

/// The archive of `entries`, in order of their names, all of `time` in seconds since 1970.
///
/// # Errors
/// When a name or a file is too long for the format.
pub(super) fn archive(mut entries: Vec<Entry>, time: u64) -> anyhow::Result<Vec<u8>> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    // Without a name and a time of its own: the header of gzip has places for both.
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    for entry in &entries {
        out.write_all(&header(entry, time).with_context(|| format!("archive {}", entry.name))?)?;
        out.write_all(&entry.bytes)?;
        out.write_all(&vec![0; entry.bytes.len().next_multiple_of(BLOCK) - entry.bytes.len()])?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.finish().context("compress the archive")
}

/// Source: `ustar` of POSIX.1-2017, pax.
fn header(entry: &Entry, time: u64) -> anyhow::Result<[u8; BLOCK]> {
    ensure!(entry.name.len() <= NAME, "a name may have {NAME} bytes, it has {}", entry.name.len());
    ensure!(entry.bytes.len() < 1 << 33, "a file must be smaller than 8 GiB");
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, entry.name.as_bytes());
    put(100, format!("{:07o}\0", entry.mode).as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", entry.bytes.len()).as_bytes());
    put(136, format!("{time:011o}\0").as_bytes());
    // The sum counts its own field as spaces.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn entries() -> Vec<Entry> {
        let long = vec![7; 3 * BLOCK + 1];
        vec![Entry::file("z.txt", long), Entry::program("a", b"#!/bin/sh\n".to_vec()).below("bin")]
    }

    #[test]
    fn two_runs_give_the_same_bytes_whatever_the_order() {
        let (mut turned, first) = (entries(), archive(entries(), 1_700_000_000).unwrap());
        turned.reverse();
        assert_eq!(archive(turned, 1_700_000_000).unwrap(), first);
        assert_ne!(archive(entries(), 1_700_000_001).unwrap(), first, "the time is in it");
    }

    #[test]
    fn the_systems_tar_reads_it() {
        let folder = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("x.tar.gz"), archive(entries(), 1_700_000_000).unwrap()).unwrap();
        let unpacked = Command::new("tar").current_dir(&folder).args(["-xzf", "x.tar.gz"]).status().unwrap();
        assert!(unpacked.success());
        assert_eq!(std::fs::read(folder.join("z.txt")).unwrap(), vec![7; 3 * BLOCK + 1]);
        let program = std::fs::metadata(folder.join("bin/a")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&program.permissions());
        assert_eq!((program.len(), mode & 0o777), (10, 0o755));
        let modified = program.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(modified.as_secs(), 1_700_000_000);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_name_that_does_not_fit_is_an_error() {
        let fault = archive(vec![Entry::file(&"n".repeat(NAME + 1), Vec::new())], 0).unwrap_err();
        assert!(format!("{fault:#}").contains("a name may have 100 bytes, it has 101"), "{fault:#}");
    }
}
