//! Output for people and for programs. The one place that writes to standard output and, for errors, standard error.
#![allow(clippy::print_stderr, reason = "this module is the command line's voice")]

use anyhow::Context;
use detectviz_core::Edition;
use detectviz_core::edition::Report;
use detectviz_core::options::Loaded;
use serde_json::json;
use std::io::{IsTerminal, Write};

use crate::args::Output;

/// Our own version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that the binary was built from.
pub(crate) const COMMIT: &str = env!("DETECTVIZ_COMMIT");
/// The compiler.
pub(crate) const RUSTC: &str = env!("DETECTVIZ_RUSTC");

/// Tells scripts that the server is ready, and where.
pub(crate) fn ready(url: &str) {
    // Nobody has to listen.
    let _ = say(&format!("ready {url}"));
}

/// Prints a line.
fn say(line: &str) -> anyhow::Result<()> {
    page(format!("{line}\n").as_bytes())
}

/// Prints what is ready to be printed; a reader that has gone away has read enough.
pub(crate) fn page(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(fault).context("write to standard output")
        }
        _ => Ok(()),
    }
}

/// Shows a person at a terminal what is being done; nobody else.
pub(crate) fn progress(step: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("{step} ...");
    }
}

pub(crate) fn error(fault: &anyhow::Error) {
    eprintln!("error: {fault:#}");
}

pub(crate) fn version(edition: Edition, output: Output) -> anyhow::Result<()> {
    let rows = [("version", VERSION), ("edition", edition.name), ("commit", COMMIT), ("rustc", RUSTC)];
    match output {
        Output::Json => json_document(
            &json!({"version": VERSION, "edition": edition.name, "commit": COMMIT, "rustc": RUSTC}),
        ),
        Output::Table => table(&rows.map(|(key, value)| vec![key.to_owned(), value.to_owned()])),
    }
}

pub(crate) fn editions(report: &Report, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        return json_document(&serde_json::to_value(report)?);
    }
    let mut rows =
        vec![["NAME", "KIND", "PROVIDED BY", "TOGGLE", "WOULD START", "REASON"].map(str::to_owned).to_vec()];
    rows.extend(report.entries.iter().map(|entry| {
        let starts = if entry.would_start { "yes" } else { "no" };
        [entry.name, entry.kind_text(), entry.implementation, entry.toggle, starts, &entry.reason]
            .map(str::to_owned)
            .to_vec()
    }));
    table(&rows)
}

pub(crate) fn config(loaded: &Loaded, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        let values: Vec<_> = loaded
            .values
            .iter()
            .map(|value| json!({"key": value.key, "value": value.value, "origin": value.origin}))
            .collect();
        return json_document(&json!({"values": values}));
    }
    let mut rows = vec![["KEY", "VALUE", "ORIGIN"].map(str::to_owned).to_vec()];
    rows.extend(
        loaded.values.iter().map(|value| vec![value.key.clone(), value.value.clone(), value.origin.clone()]),
    );
    table(&rows)
}

/// Prints a document for programs.
pub(crate) fn json_document(document: &serde_json::Value) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(document)?)
}

/// Prints rows in columns.
pub(crate) fn table(rows: &[Vec<String>]) -> anyhow::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        say(cells.collect::<Vec<_>>().join("   ").trim_end())?;
    }
    Ok(())
}
