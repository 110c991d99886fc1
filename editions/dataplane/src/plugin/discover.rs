//! The plugin folder: a plugin a subfolder, or the folder itself. What is wrong with one plugin never hides another.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{FILE, Manifest, ManifestError};

/// A backend plugin on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) manifest: Manifest,
    /// Where its `plugin.json` is.
    pub(crate) folder: PathBuf,
    /// What to start.
    pub(crate) executable: PathBuf,
}

/// What is wrong with one folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Its `plugin.json`.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It has no executable for this platform.
    #[error("find the executable of plugin {id:?}: no file {path}")]
    Executable {
        /// The plugin.
        id: String,
        /// What should be there.
        path: PathBuf,
    },
    /// Another folder has a plugin of this id, which is used.
    #[error("add plugin {id:?} of {second}: {first} has it already")]
    Twice {
        /// The plugin.
        id: String,
        /// The folder that is used.
        first: PathBuf,
        /// The folder that is not.
        second: PathBuf,
    },
}

/// The plugins by id, and what was wrong elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    pub(crate) found: BTreeMap<String, Found>,
    pub(crate) faults: Vec<Fault>,
}

/// Looks through `dir` and the folders in it.
///
/// # Errors
/// When `dir` cannot be listed.
pub(crate) fn discover(dir: &Path) -> io::Result<Discovery> {
    let mut folders = vec![dir.to_owned()];
    for entry in fs::read_dir(dir)? {
        folders.push(entry?.path());
    }
    // In the order of their names, so that the same folder wins each time.
    folders.sort();
    let mut discovery = Discovery::default();
    for folder in folders.into_iter().filter(|folder| folder.join(FILE).is_file()) {
        if let Err(fault) = discovery.add(folder) {
            discovery.faults.push(fault);
        }
    }
    Ok(discovery)
}

impl Discovery {
    fn add(&mut self, folder: PathBuf) -> Result<(), Fault> {
        let Some(manifest) = Manifest::read(&folder.join(FILE))? else { return Ok(()) };
        let id = manifest.id.clone();
        let executable = folder.join(file_name(&manifest.executable));
        if !executable.is_file() {
            return Err(Fault::Executable { id, path: executable });
        }
        if let Some(first) = self.found.get(&id) {
            return Err(Fault::Twice { id, first: first.folder.clone(), second: folder });
        }
        self.found.insert(id, Found { manifest, folder, executable });
        Ok(())
    }
}

/// The file of an executable for this platform, such as `gpx_x_linux_amd64`.
fn file_name(executable: &str) -> String {
    format!("{executable}_{}_{}", go_os(), go_arch())
}

/// This operating system by its Go name.
pub(crate) fn go_os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// This architecture by its Go name.
pub(crate) fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(folder: &Path, id: &str, executable: bool) {
        fs::create_dir_all(folder).unwrap();
        let json = format!(r#"{{"id":"{id}","type":"datasource","backend":true,"executable":"gpx"}}"#);
        fs::write(folder.join(FILE), json).unwrap();
        if executable {
            fs::write(folder.join(file_name("gpx")), "").unwrap();
        }
    }

    #[test]
    fn plugins_are_found_in_subfolders_and_in_the_folder_itself() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), "self", true);
        install(&dir.path().join("a"), "a", true);
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let discovery = discover(dir.path()).unwrap();
        assert_eq!(discovery.found.keys().collect::<Vec<_>>(), ["a", "self"]);
        assert_eq!(discovery.found["a"].executable, dir.path().join("a").join(file_name("gpx")));
        assert!(discovery.faults.is_empty());
    }

    #[test]
    fn one_faulty_plugin_does_not_hide_another() {
        let dir = tempfile::tempdir().unwrap();
        install(&dir.path().join("a"), "a", true);
        install(&dir.path().join("b"), "a", true);
        install(&dir.path().join("c"), "c", false);
        install(&dir.path().join("d"), "../d", true);
        let discovery = discover(dir.path()).unwrap();
        assert_eq!(discovery.found["a"].folder, dir.path().join("a"));
        let [twice, executable, manifest] = &discovery.faults[..] else { panic!("{:?}", discovery.faults) };
        assert!(matches!(twice, Fault::Twice { .. }) && matches!(manifest, Fault::Manifest(_)));
        assert!(executable.to_string().contains(&file_name("gpx")), "{executable}");
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        assert!(discover(Path::new("/no/such/folder")).is_err());
    }
}
