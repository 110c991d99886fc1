//! A plugin folder for one test, with the real example plugin or with scripts, and what is left of their processes.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use detectviz_core::Options;
use rustix::process::Pid;
use serde_json::json;
use tempfile::TempDir;

/// A folder of plugins and a data folder beside it.
pub(crate) struct Plugins {
    path: PathBuf,
    _made: Option<TempDir>,
}

impl Plugins {
    /// Short, since sockets are made in the data folder.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("dv").rand_bytes(6).tempdir_in("/tmp").unwrap();
        fs::create_dir(dir.path().join("plugins")).unwrap();
        Self { path: dir.path().to_owned(), _made: Some(dir) }
    }

    /// What another process has made.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path, _made: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn options(&self) -> Options {
        let (data_dir, plugin_dir) = (self.path().join("data"), self.path().join("plugins"));
        Options { data_dir, plugin_dir, ..Options::default() }
    }

    /// Installs the example plugin as its README says.
    pub(crate) fn install_host_metrics(&self) {
        let folder = self.path().join("plugins").join("host-metrics");
        fs::create_dir(&folder).unwrap();
        let manifest = workspace().join("examples/host-metrics-plugin/plugin.json");
        fs::copy(manifest, folder.join("plugin.json")).unwrap();
        // No copy: a file that was just written cannot be executed while a process forked meanwhile has it open.
        symlink(host_metrics(), folder.join(executable("gpx_host_metrics"))).unwrap();
    }

    /// Installs a plugin that is a shell script.
    pub(crate) fn install_script(&self, id: &str, script: &str) {
        let folder = self.path().join("plugins").join(id);
        fs::create_dir(&folder).unwrap();
        let manifest = json!({"id": id, "type": "datasource", "backend": true, "executable": "gpx"});
        fs::write(folder.join("plugin.json"), manifest.to_string()).unwrap();
        let file = folder.join(executable("gpx"));
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Takes the right to execute a script away.
    pub(crate) fn forbid(&self, id: &str) {
        let file = self.path().join("plugins").join(id).join(executable("gpx"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// The sockets in the data folder.
    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.path().join("data/run/plugins")).unwrap();
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        let sockets = files.map(Result::unwrap).filter(|file| file.file_type().unwrap().is_socket());
        sockets.map(|file| file.path()).collect()
    }
}

fn executable(name: &str) -> String {
    let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    format!("{name}_{os}_{arch}")
}

/// The processes that work in `folder` or below, which is where plugins work.
pub(crate) fn processes_of(folder: &Path) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)))
        .filter_map(|process| process.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .collect()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The example plugin, built once.
fn host_metrics() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "host-metrics-plugin"]).current_dir(workspace());
        assert!(cargo.status().unwrap().success(), "build the example plugin");
        // target/debug/deps/TEST → target/debug
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("host-metrics-plugin")
    })
}
