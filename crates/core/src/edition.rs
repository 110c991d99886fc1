//! What this binary was built with: a checked table of runners and modules. An edition is this value, nothing else.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::runner::{AggregatorRunner, DataplaneRunner, Module, Noop, Runner};
use crate::toggles::{self, Toggles};

/// Who built this binary, and from what.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Edition {
    /// `oss` or `enterprise`.
    pub name: &'static str,
}

/// One runner or module, submitted by its crate with `inventory::submit!`.
pub struct Registration {
    /// Its name in the table; a runner's name is its slot in the chain.
    pub name: &'static str,
    /// The toggle that starts it.
    pub toggle: &'static str,
    /// The crate that provides it.
    pub implementation: &'static str,
    /// How it is made, on first use.
    pub provider: Provider,
}

/// How a runner or module is made.
#[derive(Clone, Copy)]
pub enum Provider {
    /// An aggregator of API servers.
    Aggregator(fn() -> Arc<dyn AggregatorRunner>),
    /// An aggregator of backend plugins.
    Dataplane(fn() -> Arc<dyn DataplaneRunner>),
    /// A module.
    Module(fn() -> Arc<dyn Module>),
}

inventory::collect!(Registration);

/// The aggregator's name in the table.
pub const AGGREGATOR: &str = "aggregator";
/// The dataplane aggregator's name in the table.
pub const DATAPLANE: &str = "dataplane";

/// What a row of the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// Stands in the chain, for API servers.
    AggregatorRunner,
    /// Stands in the chain, for plugins.
    DataplaneRunner,
    /// Stands beside the chain.
    Module,
}

/// One row: a runner or module, provided by this binary or not.
#[derive(Clone)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The toggle that starts it.
    pub toggle: &'static str,
    /// The crate that provides it; `None` is the noop.
    pub implementation: Option<&'static str>,
    provider: Provider,
}

/// The condition that keeps a row from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Nobody asked for it.
    #[error("feature toggle {toggle} is off")]
    ToggleOff {
        /// The toggle that starts it.
        toggle: &'static str,
    },
    /// It was asked for, but this binary was built without it.
    #[error("the {edition} edition has no {name} runner")]
    NotInEdition {
        /// This edition.
        edition: &'static str,
        /// The missing runner or module.
        name: &'static str,
    },
    /// There is nothing that it could stand in front of.
    #[error("no API group is registered")]
    NoApiGroup,
    /// It was to be started while the server ran, and could not.
    #[error("the {name} runner could not be started: the server's log and /statusz say why")]
    NotStarted {
        /// The runner or module.
        name: &'static str,
    },
}

/// The whole table with its decisions, as `detectviz editions` and `/statusz` show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The edition's name.
    pub edition: &'static str,
    /// A line a row.
    pub entries: Vec<Entry>,
}

/// A row with its decision.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The row's name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether this binary has it.
    pub provided: bool,
    /// The crate that provides it, or `noop`.
    pub implementation: &'static str,
    /// The toggle that starts it.
    pub toggle: &'static str,
    /// Whether it starts.
    pub would_start: bool,
    /// Why, or why not.
    pub reason: String,
}

impl Report {
    /// Says of rows that should run, and do not, why.
    pub fn note(&mut self, faults: &BTreeMap<&'static str, String>) {
        for entry in &mut self.entries {
            if let Some(why) = faults.get(entry.name) {
                entry.would_start = false;
                entry.reason.clone_from(why);
            }
        }
    }
}

impl Entry {
    /// The kind as people read it.
    pub fn kind_text(&self) -> &'static str {
        match self.kind {
            Kind::AggregatorRunner => "AggregatorRunner",
            Kind::DataplaneRunner => "DataplaneRunner",
            Kind::Module => "Module",
        }
    }
}

/// The checked table of an edition.
#[derive(Clone)]
pub struct EditionTable {
    /// The edition's name.
    pub edition: Edition,
    rows: Vec<Row>,
}

/// Two crates claim one name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name:?} is provided twice, by {first} and by {second}; one of them must go")]
pub struct Duplicate {
    name: &'static str,
    first: &'static str,
    second: &'static str,
}

impl EditionTable {
    /// The table of this binary, from what its crates submitted.
    ///
    /// # Errors
    /// When two crates claim one name.
    pub fn collect(edition: Edition) -> Result<Self, Duplicate> {
        Self::build(edition, inventory::iter::<Registration>())
    }

    /// A table of what is `registered`, with a noop for each runner that nothing provides.
    ///
    /// # Errors
    /// When two crates claim one name.
    pub fn build<'a>(
        edition: Edition,
        registered: impl IntoIterator<Item = &'a Registration>,
    ) -> Result<Self, Duplicate> {
        let mut provided: BTreeMap<&'static str, Row> = BTreeMap::new();
        for registration in registered {
            let row = Row::provided(registration);
            if let Some(first) = provided.insert(registration.name, row) {
                let first = first.implementation.unwrap_or_default();
                let mut owners = [first, registration.implementation];
                owners.sort_unstable();
                return Err(Duplicate { name: registration.name, first: owners[0], second: owners[1] });
            }
        }
        for noop in [Row::noop_aggregator(), Row::noop_dataplane()] {
            provided.entry(noop.name).or_insert(noop);
        }
        Ok(Self { edition, rows: provided.into_values().collect() })
    }

    /// The rows, sorted by name.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of a runner's slot.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The names of all toggles that mean something here.
    pub fn toggles(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.rows.iter().map(|row| row.toggle).chain(toggles::BUILT_IN).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether `row` starts: this edition provides it, its toggle is on, and an API group is registered. What the edition
    /// lacks is told first: to turn a toggle on would not help.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn decide(&self, row: &Row, toggles: &Toggles, groups: usize) -> Result<(), Obstacle> {
        match () {
            () if row.implementation.is_none() => {
                Err(Obstacle::NotInEdition { edition: self.edition.name, name: row.name })
            }
            () if !toggles.is_on(row.toggle) => Err(Obstacle::ToggleOff { toggle: row.toggle }),
            () if groups == 0 => Err(Obstacle::NoApiGroup),
            () => Ok(()),
        }
    }

    /// Every row with its decision.
    pub fn report(&self, toggles: &Toggles, groups: usize) -> Report {
        let entries = self.rows.iter().map(|row| {
            let decision = self.decide(row, toggles, groups);
            Entry {
                name: row.name,
                kind: row.kind,
                provided: row.implementation.is_some(),
                implementation: row.implementation.unwrap_or("noop"),
                toggle: row.toggle,
                would_start: decision.is_ok(),
                reason: match decision {
                    Ok(()) => format!("feature toggle {} is on", row.toggle),
                    Err(obstacle) => obstacle.to_string(),
                },
            }
        });
        Report { edition: self.edition.name, entries: entries.collect() }
    }
}

impl Row {
    fn provided(registration: &Registration) -> Self {
        let kind = match registration.provider {
            Provider::Aggregator(_) => Kind::AggregatorRunner,
            Provider::Dataplane(_) => Kind::DataplaneRunner,
            Provider::Module(_) => Kind::Module,
        };
        let Registration { name, toggle, implementation, provider } = *registration;
        Self { name, kind, toggle, implementation: Some(implementation), provider }
    }

    fn noop_aggregator() -> Self {
        let provider = Provider::Aggregator(|| Arc::new(Noop));
        let (kind, toggle) = (Kind::AggregatorRunner, toggles::KUBERNETES_AGGREGATOR);
        Self { name: AGGREGATOR, kind, toggle, implementation: None, provider }
    }

    fn noop_dataplane() -> Self {
        let provider = Provider::Dataplane(|| Arc::new(Noop));
        let (kind, toggle) = (Kind::DataplaneRunner, toggles::DATAPLANE_AGGREGATOR);
        Self { name: DATAPLANE, kind, toggle, implementation: None, provider }
    }

    /// Makes the runner; `None` for a module.
    pub fn runner(&self) -> Option<Arc<dyn Runner>> {
        match self.provider {
            Provider::Aggregator(make) => Some(make()),
            Provider::Dataplane(make) => Some(make()),
            Provider::Module(_) => None,
        }
    }

    /// Makes the module; `None` for a runner.
    pub fn module(&self) -> Option<Arc<dyn Module>> {
        match self.provider {
            Provider::Module(make) => Some(make()),
            Provider::Aggregator(_) | Provider::Dataplane(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(name: &'static str, implementation: &'static str) -> Registration {
        let provider = Provider::Aggregator(|| Arc::new(Noop));
        Registration { name, toggle: toggles::KUBERNETES_AGGREGATOR, implementation, provider }
    }

    const OSS: Edition = Edition { name: "oss" };

    #[test]
    fn an_empty_edition_has_both_noops_and_says_why_nothing_starts() {
        let table = EditionTable::build(OSS, []).unwrap();
        let names: Vec<_> = table.rows().iter().map(|row| (row.name, row.implementation)).collect();
        assert_eq!(names, [(AGGREGATOR, None), (DATAPLANE, None)]);
        let row = table.row(AGGREGATOR).unwrap();
        let mut toggles = Toggles::off(table.toggles());
        let lacking = Err(Obstacle::NotInEdition { edition: "oss", name: "aggregator" });
        assert_eq!(table.decide(row, &toggles, 1), lacking);
        toggles.set(row.toggle, true).unwrap();
        assert_eq!(table.decide(row, &toggles, 1), lacking);
    }

    #[test]
    fn a_provided_runner_starts_only_with_its_toggle_and_a_group() {
        let registered = [registration(AGGREGATOR, "a-crate")];
        let table = EditionTable::build(OSS, &registered).unwrap();
        let row = table.row(AGGREGATOR).unwrap();
        let mut toggles = Toggles::off(table.toggles());
        let off = Err(Obstacle::ToggleOff { toggle: "kubernetesAggregator" });
        assert_eq!(table.decide(row, &toggles, 1), off);
        toggles.set(row.toggle, true).unwrap();
        assert_eq!(table.decide(row, &toggles, 0), Err(Obstacle::NoApiGroup));
        assert_eq!(table.decide(row, &toggles, 1), Ok(()));
    }

    #[test]
    fn a_name_provided_twice_is_refused_with_both_owners() {
        let registered = [registration("x", "one"), registration("x", "another")];
        let fault = EditionTable::build(OSS, &registered).err().unwrap();
        assert_eq!(fault.to_string(), "\"x\" is provided twice, by another and by one; one of them must go");
    }
}
