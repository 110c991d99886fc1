//! A disk that fails on order: the library of `tests/faulty-disk`, loaded into the server for the store's folder alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::environment;
use crate::server::Builder;

/// The disk under one server's store, and its orders; they last over restarts.
pub struct FaultyDisk {
    store: PathBuf,
    orders: PathBuf,
    synced: PathBuf,
}

impl FaultyDisk {
    /// Puts the disk under the server; `None`, with a message, where the library cannot be loaded.
    ///
    /// # Panics
    /// When a file cannot be made.
    pub fn under(builder: Builder) -> Option<(Builder, Self)> {
        if !cfg!(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")) {
            eprintln!(
                "nothing to test: a disk is made to fail by a library for Linux with the GNU C library"
            );
            return None;
        }
        let folder = builder.folder();
        let disk =
            Self { store: builder.store_dir(), orders: folder.join("orders"), synced: folder.join("synced") };
        fs::create_dir(&disk.synced).expect("make a folder");
        disk.order("");
        let library = environment::faulty_disk();
        assert!(library.exists(), "{} is not built: run `cargo xtask test`", library.display());
        let builder = builder.environment("LD_PRELOAD", library).environment("FAULTY_DISK_DIR", &disk.store);
        let builder = builder.environment("FAULTY_DISK_ORDERS", &disk.orders);
        Some((builder, disk))
    }

    /// Lets the disk remember what it synced, for [`Self::cut_power`].
    #[must_use]
    pub fn remembering(&self, builder: Builder) -> Builder {
        builder.environment("FAULTY_DISK_SYNCED", &self.synced)
    }

    /// Gives the orders of `tests/faulty-disk`, instead of those before.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn order(&self, orders: &str) {
        let unfinished = self.orders.with_extension("new");
        fs::write(&unfinished, orders)
            .and_then(|()| fs::rename(unfinished, &self.orders))
            .expect("give orders");
    }

    /// Leaves in the store's folder what was synced and nothing else, as if the power had gone when the server was killed.
    ///
    /// # Panics
    /// When nothing was ever synced, or a file cannot be written.
    pub fn cut_power(&self) {
        let names = fs::read_to_string(self.synced.join("names")).expect("the folder was synced once");
        fs::remove_dir_all(&self.store).and_then(|()| fs::create_dir(&self.store)).expect("empty the folder");
        for (identity, name) in names.lines().filter_map(|line| line.split_once(' ')) {
            // What was never synced may be there by name, without content.
            let content = fs::read(self.synced.join(identity)).unwrap_or_default();
            fs::write(self.store.join(name), content).expect("write what is left of a file");
        }
        self.remember();
    }

    /// What is in the folder now is taken for synced.
    fn remember(&self) {
        let mut names = String::new();
        for entry in
            fs::read_dir(&self.store).expect("list the folder").map(|entry| entry.expect("list the folder"))
        {
            let identity = identity(&entry.metadata().expect("look at a file"));
            fs::copy(entry.path(), self.synced.join(&identity)).expect("remember a file");
            names.push_str(&format!("{identity} {}\n", entry.file_name().to_string_lossy()));
        }
        fs::write(self.synced.join("names"), names).expect("remember the names");
    }
}

/// A file's name among what was synced; the library makes the same.
fn identity(metadata: &fs::Metadata) -> String {
    let made = metadata.created().ok().and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!("{}-{}", metadata.ino(), made.unwrap_or_default().as_nanos())
}
