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

/// A line of kubectl: what it asks of a server differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A current one: aggregated discovery, and OpenAPI v3.
    Current,
    /// 1.20, the oldest that is supported: legacy discovery, and OpenAPI v2 in protobuf.
    Old,
}

impl Line {
    /// The binary.
    pub(crate) fn kubectl(self) -> PathBuf {
        match self {
            Self::Current => variable("XTASK_KUBECTL").into(),
            Self::Old => variable(OLD).into(),
        }
    }
}

const OLD: &str = "XTASK_KUBECTL_OLD";

/// The lines that there are: the old one only where `cargo xtask test` could fetch it, which says so if not.
pub(crate) fn lines() -> Vec<Line> {
    match std::env::var_os(OLD) {
        Some(_) => vec![Line::Current, Line::Old],
        None => {
            eprintln!("not tested with the old line of kubectl: {OLD} names none");
            vec![Line::Current]
        }
    }
}

/// A built example.
pub(crate) fn example(name: &str) -> PathBuf {
    PathBuf::from(variable("XTASK_EXAMPLES")).join(name)
}

/// The library that makes a disk fail.
pub(crate) fn faulty_disk() -> PathBuf {
    PathBuf::from(variable("XTASK_EXAMPLES")).join("libfaulty_disk.so")
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "the suites run against built binaries, and {name} does not say where they are: run `cargo xtask test`"
        )
    })
}
