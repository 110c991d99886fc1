//! `/version`: the Kubernetes version whose behaviour we follow, and the build that answers.

use serde_json::{Value, json};

/// The Kubernetes minor version that is the reference for our behaviour.
const KUBERNETES: (&str, &str) = ("1", "36");

/// What this binary was built from.
#[derive(Clone, Debug)]
pub struct Version {
    /// Our own version.
    pub version: &'static str,
    /// The commit.
    pub commit: &'static str,
    /// The compiler.
    pub rustc: &'static str,
    /// The edition.
    pub edition: &'static str,
}

impl Version {
    pub(super) fn to_json(&self) -> Value {
        let (major, minor) = KUBERNETES;
        json!({
            "major": major, "minor": minor,
            "gitVersion": format!("v{major}.{minor}.0+detectviz.{}", self.version),
            "gitCommit": self.commit, "gitTreeState": if self.commit.ends_with("-dirty") { "dirty" } else { "clean" },
            "buildDate": "", "goVersion": "", "compiler": self.rustc,
            "platform": format!("{}/{}", std::env::consts::OS, go_architecture()),
        })
    }
}

/// The architecture as Go names it, which is how clients read a platform.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
