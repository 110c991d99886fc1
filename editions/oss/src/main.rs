//! The OSS edition: the API server with its groups installed locally, and noop runners.
#![deny(unused_crate_dependencies)]

use detectviz_cli::Edition;
use std::process::ExitCode;

fn main() -> ExitCode {
    detectviz_cli::run(Edition { name: "oss" })
}
