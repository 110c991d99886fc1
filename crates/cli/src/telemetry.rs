//! Log lines go to standard error, so that standard output stays for what a command prints.

use std::io::{self, Write};

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
            let line = || OneLine(io::stderr());
            registry.with(fmt::layer().with_ansi(colours()).with_writer(line)).try_init()
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

/// Writes each event as one line, whatever stands in it: what others chose, such as names, must not look like an event.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// Takes all of `event`, as the layer gives it.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.split_last() {
            Some((b'\n', text)) => (text, &b"\n"[..]),
            _ => (event, &b""[..]),
        };
        if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            let escaped = |byte: &u8| match byte {
                b'\n' => b"\\n".to_vec(),
                b'\r' => b"\\r".to_vec(),
                other => vec![*other],
            };
            let line: Vec<u8> = text.iter().flat_map(escaped).chain(end.iter().copied()).collect();
            self.0.write_all(&line)?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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
    fn an_event_is_one_line_whatever_stands_in_it() {
        let written = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        struct Kept(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = std::sync::Arc::clone(&written);
        let layer = fmt::layer().with_ansi(false).with_writer(move || OneLine(Kept(kept.clone())));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let name = "x\n2026-01-01T00:00:00Z ERROR forged\r";
            tracing::info!(error = %name, name, "message {name}");
            tracing::info!("another");
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("forged") && text.ends_with("another\n") && !text.contains('\r'), "{text}");
    }

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
