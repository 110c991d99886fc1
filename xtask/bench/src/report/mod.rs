//! What was found: figures beside aims and peers, with the machine they were found on. Ratios say most: above 1 is better
//! than the peer, whatever is measured.

mod figure;
mod machine;
mod table;

pub(crate) use figure::{Figure, Series};
pub(crate) use machine::{Load, Machine};

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

/// The report of one run.
#[derive(Serialize)]
pub(crate) struct Report {
    /// When it ended, in UTC.
    pub(crate) date: String,
    /// The server's version and commit.
    pub(crate) server: String,
    /// The peers' versions.
    pub(crate) peers: Vec<String>,
    /// How often each contestant took its turn.
    pub(crate) rounds: u32,
    /// Whether only a smoke test was made, whose figures mean nothing.
    pub(crate) quick: bool,
    /// What it was measured on.
    pub(crate) machine: Machine,
    /// How busy the machine was with other things before and after.
    pub(crate) load: [Load; 2],
    /// What was found.
    pub(crate) figures: Vec<Figure>,
    /// The scenarios that could not be measured, and why; a report with any is not filed.
    pub(crate) failures: Vec<String>,
}

impl Report {
    /// Now, as the report says it.
    pub(crate) fn now() -> anyhow::Result<String> {
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
        OffsetDateTime::now_utc().format(format).context("write the date")
    }

    /// Writes the report as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write_json(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("write the report")? + "\n";
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Files the report as `DATE-COMMIT.json` in `folder`, and as the folder's README the table.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn file(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let day = self.date.split(' ').next().unwrap_or_default();
        let commit = self.server.rsplit(' ').next().unwrap_or_default();
        let name = format!("{day}-{commit}.json");
        self.write_json(&folder.join(&name))?;
        let readme = folder.join("README.md");
        std::fs::write(&readme, self.markdown(&name)).with_context(|| format!("write {}", readme.display()))
    }

    /// What makes the figures doubtful.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.quick {
            warnings.push("a smoke test: the figures mean nothing".to_owned());
        }
        if self.load[0].busy(self.machine.cores) {
            let load = self.load[0].minute;
            warnings.push(format!("provisional: the machine was busy before the run (load {load:.2})"));
        }
        if self.server.ends_with("-dirty") {
            warnings.push("the server was built from changes that are not committed".to_owned());
        }
        warnings.extend(self.failures.iter().cloned());
        warnings
    }
}
