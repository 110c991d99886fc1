//! What a person can ask of the benchmarks. Compiled into xtask too, so that help and mistakes cost no build.

use std::path::PathBuf;

use clap::ValueEnum;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Creates and updates a second of 1 KiB objects at 1, 16 and 64 clients, beside etcd's put
    Writes,
    /// Updates and patches a second of an object of 3 KiB with managedFields, beside the update of one without
    Changes,
    /// Server-side applies a second of such an object, beside the same
    Apply,
    /// Memory of 100,000 such objects a byte of their size, beside those without managedFields
    Managed,
    /// Gets a second, and CPU a get, beside etcd's range of one key and nginx's static file
    Gets,
    /// Gets through the aggregator of 1 KiB and 1 MiB, and memory of connections and streams, beside nginx as reverse proxy
    Proxy,
    /// A list of 10,000 objects, whole, in pages and to a slow reader: time and memory
    List,
    /// 1,000 watchers at 50 events a second each: lag, CPU, and memory a watcher and a connection
    Watch,
    /// Restart with 100,000 objects after kill -9
    Restart,
    /// Start of an empty server, memory of an idle one, size of the binary
    Footprint,
}

impl Scenario {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What is measured, how long, and where the report goes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Measure only these scenarios, separated by commas; the report is printed and not filed
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO")]
    pub(crate) only: Vec<Scenario>,
    /// Of scenarios with many cases, measure only those whose name has this text, such as "1 KiB, HTTP/2"
    #[arg(long, value_name = "TEXT", requires = "only")]
    pub(crate) case: Option<String>,
    /// Measure little and shortly, to see that everything works; the figures mean nothing and are not filed
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure ours and the peers in turn so often; the report tells the median and the spread [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: Option<u32>,
    /// Measure this server instead of building the release one
    #[arg(long, value_name = "PATH")]
    pub(crate) server_bin: Option<PathBuf>,
    /// Write the report as JSON here too, whatever was measured
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,
}
