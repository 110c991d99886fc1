//! `detectviz store`: what an administrator does to the embedded store without asking a server.

mod check;

use anyhow::{Context, bail};
use detectviz_core::EditionTable;
use detectviz_core::options::{Loaded, StorageKind};
use detectviz_storage::embedded::admin::{self, AdminError, Compacted, Restored};
use serde::Serialize;
use std::path::{Path, PathBuf};

use crate::args::{Backup, Output, Restore, Store, Stored};
use crate::data_dir::{self, DataDir};
use crate::print;

/// Runs one of the commands.
pub(crate) fn run(table: &EditionTable, command: &Store) -> anyhow::Result<()> {
    match command {
        Store::Backup(arguments) => backup(&folder(table, &arguments.stored)?, arguments),
        Store::Restore(arguments) => restore(&folder(table, &arguments.stored)?, arguments),
        Store::Check(arguments) => check::run(&folder(table, arguments)?, arguments.output),
        Store::Compact(arguments) => compact(&folder(table, arguments)?, arguments.output),
    }
}

/// The data folder, when it holds the store.
fn folder(table: &EditionTable, stored: &Stored) -> anyhow::Result<PathBuf> {
    let options = Loaded::load(&stored.sources(), &table.toggles())?.options;
    match options.storage {
        StorageKind::Embedded => Ok(options.data_dir),
        StorageKind::Etcd => bail!(
            "find the store: storage is etcd, which has its own tools: etcdctl snapshot save, etcdutl snapshot restore, \
             etcdutl hashkv and etcdctl compact; to work on an embedded store, set storage to embedded"
        ),
        StorageKind::Memory => bail!(
            "find the store: storage is memory, which ends with the server: read what is in it with kubectl get -o yaml; \
             to work on an embedded store, set storage to embedded"
        ),
    }
}

fn backup(data_dir: &Path, arguments: &Backup) -> anyhow::Result<()> {
    let made =
        admin::backup(&data_dir::store(data_dir), &arguments.file, arguments.force, &mut print::progress);
    let made = made.map_err(|error| match error {
        AdminError::Exists { .. } => anyhow::Error::new(error).context("back up (--force overwrites)"),
        error => error.into(),
    })?;
    show(&made, arguments.stored.output, || {
        vec![
            row("file", arguments.file.display()),
            row("revision", made.revision),
            row("keys", made.keys),
            row("bytes", made.bytes),
        ]
    })
}

fn restore(data_dir: &Path, arguments: &Restore) -> anyhow::Result<()> {
    // Held until the end: no server starts meanwhile.
    let data = DataDir::open(data_dir)?;
    let restored =
        admin::restore(&arguments.file, &data.store(), arguments.bump_revision, &mut print::progress)?;
    show(&restored, arguments.stored.output, || restored_rows(&restored))
}

fn restored_rows(restored: &Restored) -> Vec<Vec<String>> {
    let mut rows = vec![
        row("keys", restored.keys),
        row("revision", restored.revision),
        row("revision of the backup", restored.backup_revision),
    ];
    rows.extend(restored.replaced_revision.map(|revision| row("revision of the replaced store", revision)));
    rows.extend(restored.replaced.as_ref().map(|path| row("the replaced store is in", path.display())));
    rows
}

fn compact(data_dir: &Path, output: Output) -> anyhow::Result<()> {
    let compacted: Compacted = admin::compact(&data_dir::store(data_dir), &mut print::progress)
        .map_err(anyhow::Error::new)
        .context("compact (a running server does it by itself)")?;
    show(&compacted, output, || {
        vec![
            row("revision", compacted.revision),
            row("bytes before", compacted.bytes_before),
            row("bytes", compacted.bytes),
        ]
    })
}

fn row(name: &str, value: impl ToString) -> Vec<String> {
    vec![name.to_owned(), value.to_string()]
}

/// Prints a result as JSON, or its rows as a table.
fn show(
    result: &impl Serialize,
    output: Output,
    rows: impl FnOnce() -> Vec<Vec<String>>,
) -> anyhow::Result<()> {
    match output {
        Output::Json => print::json_document(&serde_json::to_value(result)?),
        Output::Table => print::table(&rows()),
    }
}
