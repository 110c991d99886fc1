//! `detectviz serve`: the server is composed in named phases, each its own function, in this order:
//! options, telemetry, auth, store, catalog, core server, extensions, aggregator, dataplane, modules, listen.

mod compose;
mod phases;
mod shutdown;
mod store;

use anyhow::Context;
use detectviz_core::EditionTable;
use detectviz_core::options::Loaded;
use std::time::Instant;

use crate::telemetry;

/// Serves until told to stop.
pub(crate) fn run(table: &EditionTable, loaded: Loaded) -> anyhow::Result<()> {
    let started = Instant::now();
    telemetry::start(&loaded.options.log)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(compose::serve(table.clone(), loaded.options, started))
}
