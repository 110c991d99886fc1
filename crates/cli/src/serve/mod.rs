//! `detectviz serve`: the server is composed in named phases, each its own function, in this order:
//! options, telemetry, credentials, store, catalog, core server, extensions, aggregator, dataplane, modules, listen.

mod compose;
mod credentials;
mod expiry;
mod phases;
mod reload;
mod shutdown;
mod store;
mod switchboard;

use anyhow::Context;
use detectviz_core::EditionTable;
use detectviz_core::options::{Loaded, Sources};
use std::time::Instant;

use crate::telemetry;

/// Serves until told to stop.
pub(crate) fn run(table: &EditionTable, sources: Sources) -> anyhow::Result<()> {
    let started = Instant::now();
    let loaded = Loaded::load(&sources, &table.toggles())?;
    telemetry::start(&loaded.options.log)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(compose::serve(table.clone(), loaded, sources, started))
}
