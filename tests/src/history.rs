//! What clients saw while they wrote, read and watched at the same time, and whether one order of events explains it all.
//!
//! Revisions make that cheap to decide. The order of writes is no guess, as it is for a store without them: each
//! acknowledged write says its place. So a [`History`] is checked by looking, for every operation, whether it fits into
//! that order between its call and its answer, and for every watch, whether it told that order's part of it. The rules are
//! etcd's validators of its robustness tests, said of this API; `History::check` looks for them all.
//!
//! Nothing here knows which store is behind the servers, nor how many servers there are.

mod client;
mod load;
mod model;
mod operation;
mod random;
mod reader;
mod rules;
mod servers;
mod watcher;
mod writer;

pub use load::{Load, Plan, Progress};
pub use model::Selection;
pub use random::{Random, rounds, seed};
pub use servers::Servers;

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;

use model::{Event, Model, State};
use operation::Operation;
use rules::Violation;
use watcher::Stream;

/// What was seen from one quiet moment to the next.
pub struct History {
    /// Everything at the first moment.
    base: State,
    /// Up to here, events were in the history before.
    seen_until: u64,
    /// What the watch of everything saw behind the base.
    events: Vec<Event>,
    operations: Vec<Operation>,
    /// What each watch saw, the one of everything first.
    streams: Vec<Stream>,
    /// Everything at the last moment.
    last: State,
}

impl History {
    /// What does not fit.
    fn violations(&self) -> Vec<Violation> {
        rules::check(self, &Model::new(&self.base, &self.events))
    }

    /// Checks that everything fits, and gives in numbers what that was.
    ///
    /// # Panics
    /// When something does not, with all that does not.
    pub fn check(&self) -> Summary {
        let violations = self.violations();
        let lines: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{} violations:\n{}", violations.len(), lines.join("\n"));
        self.summary()
    }

    fn summary(&self) -> Summary {
        let count = |passes: fn(&Operation) -> bool| self.operations.iter().filter(|o| passes(o)).count();
        Summary {
            acknowledged: count(Operation::is_acknowledged),
            unknown: count(|operation| operation.is_write() && operation.is_unknown()),
            reads: count(|operation| !operation.is_write()),
            events: self.streams.iter().map(|stream| stream.events().count()).sum(),
            resumed: self.streams.iter().map(|stream| stream.segments.len().saturating_sub(1)).sum(),
        }
    }
}

/// A history in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Writes of which nobody was told whether they happened.
    pub unknown: usize,
    /// Gets and lists.
    pub reads: usize,
    /// Events of all watches but the reference.
    pub events: usize,
    /// How often a watch went on where an earlier connection was cut.
    pub resumed: usize,
}

impl Summary {
    /// Says what a test has done, for the output of the test and, with the variable `SOAK_REPORT`, in a file of that name.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn report(self, what: &str, seed: u64, rounds: usize) {
        let line = format!("{what}: {rounds} rounds with seed {seed}, nothing broken: {self}");
        eprintln!("{line}");
        if let Some(path) = std::env::var_os("SOAK_REPORT") {
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| writeln!(file, "{line}")).expect("write the report");
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, unknown, reads, events, resumed } = self;
        write!(f, "{acknowledged} acknowledged writes, {unknown} unanswered, {reads} reads, ")?;
        write!(f, "{events} events over watches that went on {resumed} times")
    }
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.acknowledged += more.acknowledged;
        self.unknown += more.unknown;
        self.reads += more.reads;
        self.events += more.events;
        self.resumed += more.resumed;
    }
}
