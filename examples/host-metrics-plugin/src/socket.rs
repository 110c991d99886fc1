//! The socket's file lives as long as the value: who ends the plugin, however kindly, leaves nothing behind.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use anyhow::Context as _;
use detectviz_pluginv2::handshake::UNIX_SOCKET_DIR;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::UnixListener;

/// A unix socket that only this user may connect to.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens on a new socket in the host's socket folder, or else in the temporary folder.
    pub(crate) fn bind() -> anyhow::Result<Self> {
        let path = folder().join(unique_name());
        // The mode is there from the first moment, without a gap between bind and chmod.
        let previous = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(&path);
        umask(previous);
        let listener = bound.with_context(|| format!("listen on {}", path.display()))?;
        Ok(Self { listener, path })
    }

    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Gone already is as good as removed.
        let _ = fs::remove_file(&self.path);
    }
}

fn folder() -> PathBuf {
    match env::var_os(UNIX_SOCKET_DIR) {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => env::temp_dir(),
    }
}

/// Two plugins never share a process id at the same nanosecond, and `bind` refuses a name that is taken.
fn unique_name() -> String {
    let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.subsec_nanos());
    format!("plugin{}-{nanos}", process::id())
}
