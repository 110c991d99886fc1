//! A plugin folder is what `--plugin-dir` points above: `plugin.json` beside `<executable>_<os>_<arch>`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::build;
use crate::workspace::Workspace;

/// The example's manifest in the checkout.
const MANIFEST: &str = "examples/host-metrics-plugin/plugin.json";

/// What installing needs from `plugin.json`.
#[derive(Deserialize)]
struct Manifest {
    id: String,
    executable: String,
}

/// Installs the example plugin from `built` (the folder of its binary), and returns the plugin folder's parent.
pub(crate) fn install(workspace: &Workspace, built: &Path) -> anyhow::Result<PathBuf> {
    let source = workspace.path(MANIFEST);
    let text = std::fs::read_to_string(&source).with_context(|| format!("read {MANIFEST}"))?;
    let manifest: Manifest = serde_json::from_str(&text).with_context(|| format!("parse {MANIFEST}"))?;
    let plugins = workspace.dist().join("plugins");
    let folder = plugins.join(&manifest.id);
    let executable = executable(&manifest.executable, std::env::consts::OS, std::env::consts::ARCH);
    build::place(&built.join("host-metrics-plugin"), &folder.join(executable))?;
    build::place(&source, &folder.join("plugin.json"))?;
    Ok(plugins)
}

/// The file name of a backend plugin's executable: the protocol names systems in Go's words.
fn executable(base: &str, os: &str, arch: &str) -> String {
    let os = if os == "macos" { "darwin" } else { os };
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{base}_{os}_{arch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_carries_gos_names_of_system_and_processor() {
        assert_eq!(executable("gpx_host_metrics", "linux", "x86_64"), "gpx_host_metrics_linux_amd64");
        assert_eq!(executable("gpx", "macos", "aarch64"), "gpx_darwin_arm64");
    }
}
