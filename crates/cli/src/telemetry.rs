//! Log lines go to standard error, so that standard output stays for what a command prints.

use anyhow::Context;
use detectviz_core::options::{LogFormat, LogOptions};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The library that speaks HTTP/2.
const HTTP2: &str = "h2";

/// Starts logging for the whole process.
pub(crate) fn start(options: &LogOptions) -> anyhow::Result<()> {
    let filter: Targets =
        options.level.parse().with_context(|| format!("read log.level {:?}", options.level))?;
    let registry = tracing_subscriber::registry().with(without_floods(filter));
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

/// Keeps what any client can make HTTP/2 say as often as it likes, a warning for each frame that makes no sense, out of a
/// log that was not asked to tell everything.
fn without_floods(filter: Targets) -> Targets {
    let is_named = filter.iter().any(|(target, _)| target.starts_with(HTTP2));
    match filter.default_level() {
        Some(level) if level <= LevelFilter::INFO && !is_named => {
            filter.with_target(HTTP2, level.min(LevelFilter::ERROR))
        }
        _ => filter,
    }
}

/// Colours are for people who look at a terminal.
fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn clients_cannot_fill_the_log_with_warnings_unless_it_was_asked_for_them() {
        for (level, warns, fails, others) in [
            ("info", false, true, true),
            ("warn", false, true, true),
            ("error", false, true, false),
            ("off", false, false, false),
            ("debug", true, true, true),
            ("info,h2=warn", true, true, true),
            ("h2::proto=info,warn", true, true, true),
        ] {
            let filter = without_floods(level.parse().unwrap());
            let tells = |target, level| filter.would_enable(target, &level);
            let found = (
                tells("h2::proto::streams::streams", Level::WARN),
                tells("h2::proto::streams::streams", Level::ERROR),
                tells("detectviz_server::listener", Level::WARN),
            );
            assert_eq!(found, (warns, fails, others), "{level}");
        }
    }
}
