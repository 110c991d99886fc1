//! Log lines go to standard error, so that standard output stays for what a command prints.

use anyhow::Context;
use detectviz_core::options::{LogFormat, LogOptions};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging for the whole process.
pub(crate) fn start(options: &LogOptions) -> anyhow::Result<()> {
    let filter: Targets =
        options.level.parse().with_context(|| format!("read log.level {:?}", options.level))?;
    let registry = tracing_subscriber::registry().with(filter);
    match options.format {
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            registry.with(fmt::layer().with_ansi(colours()).with_writer(std::io::stderr)).try_init()
        }
    }
    .context("start logging")
}

/// Colours are for people who look at a terminal.
fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
