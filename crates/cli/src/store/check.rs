//! `detectviz store check`: a report, and an exit code that a script can go by.

use anyhow::bail;
use detectviz_storage::embedded::admin::{self, Report};
use std::path::Path;

use super::{row, show};
use crate::args::Output;
use crate::{data_dir, print};

pub(super) fn run(data_dir: &Path, output: Output) -> anyhow::Result<()> {
    let report = admin::check(&data_dir::store(data_dir), &mut print::progress)?;
    show(&report, output, || rows(&report))?;
    if report.is_good() {
        return Ok(());
    }
    bail!(
        "check the store: {} damaged places, {} values that are no objects; restore a backup with detectviz store restore",
        report.damage.len(),
        report.bad_objects.len()
    )
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![["RESOURCE", "OBJECTS", "BYTES"].map(str::to_owned).to_vec()];
    for size in &report.resources {
        rows.push(vec![size.resource.clone(), size.objects.to_string(), size.bytes.to_string()]);
    }
    rows.push(Vec::new());
    rows.extend(report.revision.map(|revision| row("revision", revision)));
    rows.push(row("files", report.files));
    rows.push(row("bytes in files", report.bytes));
    if let Some(end) = &report.unfinished {
        let place = format!("{} at byte {}: the next start cuts it off", end.file.display(), end.offset);
        rows.push(row("unfinished write", place));
    }
    for damage in &report.damage {
        let place = format!("{} at byte {}: {}", damage.file.display(), damage.offset, damage.reason);
        rows.push(row("DAMAGED", place));
    }
    rows.extend(
        report.bad_objects.iter().map(|bad| row("NO OBJECT", format!("{}: {}", bad.key, bad.reason))),
    );
    rows
}
