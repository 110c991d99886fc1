//! What the log is written to: a file, or in tests one that fails.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::fs::FallocateFlags;

/// A file that is written from its start, position by position.
pub(super) trait Medium: Send {
    /// Writes at an offset.
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable. After an error, what is on disk is unknown.
    fn sync(&mut self) -> io::Result<()>;
    /// Sets the length, durably.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Makes room up to a length, filled with zeros.
    fn allocate(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_all()
    }

    fn allocate(&mut self, length: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(self, FallocateFlags::empty(), 0, length)?)
    }
}

/// Whether an error says that there is no room, which is no damage.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
pub(super) mod faulty {
    //! A file in memory, on a disk that the test fills and breaks.

    use std::sync::{Arc, Mutex};

    use super::{Medium, io};

    #[derive(Default)]
    pub(in crate::embedded) struct Disk {
        pub(in crate::embedded) content: Vec<u8>,
        /// Bytes that fit.
        pub(in crate::embedded) room: usize,
        pub(in crate::embedded) sync_fails: bool,
        pub(in crate::embedded) cut_fails: bool,
    }

    #[derive(Clone, Default)]
    pub(in crate::embedded) struct Faulty(pub(in crate::embedded) Arc<Mutex<Disk>>);

    impl Faulty {
        pub(in crate::embedded) fn with_room(room: usize) -> Self {
            let disk = Self::default();
            disk.change(|disk| disk.room = room);
            disk
        }

        pub(in crate::embedded) fn change<T>(&self, change: impl FnOnce(&mut Disk) -> T) -> T {
            change(&mut self.0.lock().unwrap())
        }
    }

    fn failed(fails: bool) -> io::Result<()> {
        if fails { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
    }

    impl Medium for Faulty {
        fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let offset = usize::try_from(offset).unwrap();
            self.change(|disk| {
                let fits = bytes.len().min(disk.room.saturating_sub(offset));
                disk.content.resize(offset + fits, 0);
                disk.content[offset..].copy_from_slice(&bytes[..fits]);
                if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
            })
        }

        fn sync(&mut self) -> io::Result<()> {
            self.change(|disk| failed(disk.sync_fails))
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.change(|disk| {
                disk.content.truncate(usize::try_from(length).unwrap());
                failed(disk.cut_fails)
            })
        }

        fn allocate(&mut self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
