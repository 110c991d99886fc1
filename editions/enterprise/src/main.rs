//! The enterprise edition: the API server, and the real runners that its features name.
#![deny(unused_crate_dependencies)]

// Each line links a crate whose registration nothing else names; without it the crate would silently be left out.
#[cfg(feature = "aggregator")]
use detectviz_aggregator as _;
#[cfg(feature = "dataplane")]
use detectviz_dataplane as _;

use detectviz_cli::Edition;
use std::process::ExitCode;

fn main() -> ExitCode {
    detectviz_cli::run(Edition { name: "enterprise" })
}
