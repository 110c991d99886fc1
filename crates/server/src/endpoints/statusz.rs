//! `/statusz`: what this process is, for people; JSON for programs.

use detectviz_api::{Status, negotiate};
use detectviz_core::edition::Report;
use detectviz_core::health::Remarks;
use detectviz_core::http::Response;
use http::{HeaderMap, header};
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use super::Version;

/// Makes the page when it is asked for.
pub struct StatusPage {
    /// The build.
    pub version: Version,
    /// When the process started.
    pub started: Instant,
    /// When, as text.
    pub started_at: String,
    /// The runners and modules as they are now.
    pub report: Arc<dyn Fn() -> Report + Send + Sync>,
    /// What a person should look at.
    pub remarks: Arc<Remarks>,
}

impl StatusPage {
    pub(super) fn page(&self, request: &HeaderMap) -> Result<Response, Status> {
        let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let as_json = negotiate::choose(accept, "text/plain, application/json", |media| match () {
            () if media.covers("text/plain") => Some(false),
            () if media.covers("application/json") => Some(true),
            () => None,
        })?;
        let report = (self.report)();
        Ok(if as_json {
            super::json(&self.json(&report))
        } else {
            super::text("text/plain; charset=utf-8", self.text(&report))
        })
    }

    fn json(&self, report: &Report) -> serde_json::Value {
        let remarks = self.remarks.all().into_iter();
        let remarks: Vec<_> =
            remarks.map(|(subject, remark)| json!({"subject": subject, "remark": remark})).collect();
        json!({
            "remarks": remarks,
            "version": self.version.version, "edition": self.version.edition, "commit": self.version.commit,
            "startTime": self.started_at, "uptimeSeconds": self.started.elapsed().as_secs(), "entries": report.entries,
        })
    }

    fn text(&self, report: &Report) -> String {
        let Version { version, commit, edition, .. } = &self.version;
        let uptime = self.started.elapsed().as_secs();
        let mut text = format!(
            "detectviz statusz\n\nVersion: {version}\nEdition: {edition}\nCommit: {commit}\nStarted: {}\nUp: {uptime}s\n\n",
            self.started_at
        );
        for entry in &report.entries {
            let state = if entry.would_start { "started" } else { "not started" };
            let line = writeln!(text, "{} {}: {state}: {}", entry.kind_text(), entry.name, entry.reason);
            line.expect("writing to a String does not fail");
        }
        for (subject, remark) in self.remarks.all() {
            writeln!(text, "{subject}: {remark}").expect("writing to a String does not fail");
        }
        text
    }
}
