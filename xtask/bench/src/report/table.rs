//! The report for people: aligned on a terminal, and as markdown in a file.

use std::fmt::Write as _;

use super::Report;

const HEAD: [&str; 5] = ["what", "aim", "reached", "peer", "ratio"];

impl Report {
    /// The report as a terminal shows it.
    pub(crate) fn text(&self) -> String {
        let rows: Vec<[String; 5]> =
            std::iter::once(HEAD.map(str::to_owned)).chain(self.figures.iter().map(|f| f.cells())).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3), width(4)];
        let mut text = String::new();
        for line in self.circumstances() {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        for row in rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        let _ = writeln!(text, "\n{}", self.sum());
        text
    }

    /// The report as a file whose data is in the file called `json` beside it.
    pub(super) fn markdown(&self, json: &str) -> String {
        let mut text = String::from("# Benchmarks\n\n");
        text.push_str("The newest complete run of `cargo xtask bench`; it writes this page.\n");
        text.push_str(
            "A value is the median of the rounds, with the lowest and the highest in parentheses.\n",
        );
        text.push_str("A ratio above 1 is better than the peer, whatever is measured.\n\n");
        for line in self.circumstances() {
            let _ = writeln!(text, "* {line}");
        }
        let _ = writeln!(text, "* all rounds: [{json}]({json})\n\n{}\n", self.sum());
        let _ = writeln!(text, "| {} |\n|---|---|---|---|---|", HEAD.join(" | "));
        for figure in &self.figures {
            let _ = writeln!(text, "| {} |", figure.cells().join(" | "));
        }
        text
    }

    fn circumstances(&self) -> Vec<String> {
        let machine = &self.machine;
        let [before, after] = &self.load;
        let mut lines = vec![
            format!("{} UTC, {}, beside {}", self.date, self.server, self.peers.join(", ")),
            format!("{} × {}, {}", machine.cores, machine.cpu, machine.kernel),
            format!("data on {}, a 4 KiB append with fdatasync takes {:.0} µs", machine.disk, machine.sync),
            format!(
                "load average {:.2} before, {:.2} after; {} rounds",
                before.minute, after.minute, self.rounds
            ),
        ];
        lines.extend(self.warnings().into_iter().map(|warning| format!("WARNING: {warning}")));
        lines
    }

    fn sum(&self) -> String {
        let met = self.figures.iter().filter_map(super::Figure::met).collect::<Vec<_>>();
        let reached = met.iter().filter(|met| **met).count();
        format!("{reached} of {} aims reached", met.len())
    }
}
