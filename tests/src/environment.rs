//! What the suites run against. `cargo xtask test` says it in variables, since only it has built what they name.

use std::fmt;
use std::path::PathBuf;

/// An edition of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// The API server alone.
    Oss,
    /// With the aggregator and the dataplane.
    Enterprise,
}

impl Edition {
    /// Its name, in paths and in what the server says.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oss => "oss",
            Self::Enterprise => "enterprise",
        }
    }

    /// The built binary.
    pub fn binary(self) -> PathBuf {
        PathBuf::from(variable("XTASK_DIST")).join(self.name()).join("detectviz")
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The editions that were built; both, unless `cargo xtask test` was told otherwise.
pub fn editions() -> Vec<Edition> {
    let named = std::env::var("XTASK_EDITIONS").unwrap_or_else(|_| "oss,enterprise".to_owned());
    let known = [Edition::Oss, Edition::Enterprise];
    known.into_iter().filter(|edition| named.split(',').any(|name| name == edition.name())).collect()
}

/// The real kubectl.
pub(crate) fn kubectl() -> PathBuf {
    variable("XTASK_KUBECTL").into()
}

/// A built example.
pub(crate) fn example(name: &str) -> PathBuf {
    PathBuf::from(variable("XTASK_EXAMPLES")).join(name)
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "the suites run against built binaries, and {name} does not say where they are: run `cargo xtask test`"
        )
    })
}
