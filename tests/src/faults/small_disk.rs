//! A disk that is full soon: a file system in memory that the server's processes alone see, at the store's folder. The
//! kernel counts its bytes, so that what is removed or cut gives room as on a real disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Running;
use crate::server::Builder;

/// The disk; it lasts as long as the value.
pub struct SmallDisk {
    /// Holds the mount: a shell that waits for the end of its input.
    holder: Running,
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of `mebibytes` for the store; `None`, with a message, where that is not allowed.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn under(builder: Builder, mebibytes: u32) -> Option<(Builder, Self)> {
        let path = builder.store_dir();
        std::fs::create_dir_all(&path).expect("make the store's folder");
        let script =
            r#"mount -t tmpfs -o "size=$1m,mode=0700" small "$0" && echo mounted && exec sleep infinity"#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", script]).arg(&path).arg(mebibytes.to_string());
        let mut holder = Running::start(&mut command, "");
        if holder.next_line().as_deref() != Some("mounted") {
            holder.wait();
            eprintln!("nothing to test: a disk cannot be mounted here: {}", holder.errors().join("; "));
            return None;
        }
        let namespace = format!("--mount=/proc/{}/ns/mnt", holder.id());
        let enter = ["nsenter", &namespace, "--"].map(str::to_owned);
        Some((builder.launcher(&enter), Self { holder, path }))
    }

    /// The disk's root, as this process sees it.
    pub fn root(&self) -> PathBuf {
        let below = self.path.strip_prefix("/").unwrap_or(&self.path);
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(below)
    }
}
