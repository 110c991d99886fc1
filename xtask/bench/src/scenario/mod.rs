//! One file a scenario. Each starts its own servers, lets ours and the peers take turns, and returns figures.

mod changes;
mod footprint;
mod gets;
mod list;
mod managed;
mod proxy;
mod restart;
mod rounds;
mod watch;
mod writes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::options::{Options, Scenario};
use crate::peer::Etcd;
use crate::report::Figure;
use crate::server::Server;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Turns of each contestant.
    pub(crate) rounds: u32,
    /// How long one turn is.
    pub(crate) turn: Duration,
    /// Objects of the listed namespace.
    pub(crate) listed: u64,
    /// Objects of a page.
    pub(crate) page: u64,
    /// Connections of watchers, and watchers on each.
    pub(crate) watchers: (usize, usize),
    /// Objects that a restarted server has.
    pub(crate) kept: u64,
    /// Connections through a proxy whose memory is looked at.
    pub(crate) proxied: usize,
}

impl Scale {
    /// What the aims are about.
    const FULL: Self = Self {
        rounds: 5,
        turn: Duration::from_secs(3),
        listed: 10_000,
        page: 500,
        watchers: (10, 100),
        kept: 100_000,
        proxied: 1_000,
    };
    /// Only to see that everything works.
    const QUICK: Self = Self {
        rounds: 1,
        turn: Duration::from_millis(400),
        listed: 1_024,
        page: 128,
        watchers: (2, 10),
        kept: 2_048,
        proxied: 100,
    };

    /// What the options ask for.
    pub(crate) fn of(options: &Options) -> Self {
        let scale = if options.quick { Self::QUICK } else { Self::FULL };
        Self { rounds: options.rounds.unwrap_or(scale.rounds), ..scale }
    }
}

/// What every scenario has.
pub(crate) struct Bench {
    /// How much is measured.
    pub(crate) scale: Scale,
    /// The server under test.
    pub(crate) binary: PathBuf,
    /// The same with its runners, for what the aggregator does.
    pub(crate) enterprise: PathBuf,
    /// What the names of cases must have, if anything.
    case: Option<String>,
    folder: TempDir,
}

impl Bench {
    /// Keeps all data in a new folder inside `place`, which ends with the benchmarks.
    ///
    /// # Errors
    /// When there can be no folder.
    pub(crate) fn new(
        options: &Options,
        binary: PathBuf,
        enterprise: PathBuf,
        place: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(place).with_context(|| format!("create {}", place.display()))?;
        let folder = TempDir::with_prefix_in("bench-", place).context("make a folder for data")?;
        Ok(Self { scale: Scale::of(options), binary, enterprise, case: options.case.clone(), folder })
    }

    /// Whether a case of this name is to be measured.
    fn wants(&self, name: &str) -> bool {
        self.case.as_deref().is_none_or(|case| name.contains(case))
    }

    /// Where data is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Measures one scenario.
    ///
    /// # Errors
    /// When a server fails or refuses something.
    pub(crate) async fn run(&self, scenario: Scenario) -> anyhow::Result<Vec<Figure>> {
        match scenario {
            Scenario::Writes => writes::run(self).await,
            Scenario::Changes => changes::run(self).await,
            Scenario::Apply => changes::run_apply(self).await,
            Scenario::Managed => managed::run(self).await,
            Scenario::Gets => gets::run(self).await,
            Scenario::Proxy => proxy::run(self).await,
            Scenario::List => list::run(self).await,
            Scenario::Watch => watch::run(self).await,
            Scenario::Restart => restart::run(self).await,
            Scenario::Footprint => footprint::run(self).await,
        }
    }

    async fn server(&self, name: &str) -> anyhow::Result<Server> {
        let folder = self.folder().join(name).join("detectviz");
        Server::start(&self.binary, &folder).await.context("start the server")
    }

    async fn etcd(&self, name: &str) -> anyhow::Result<Etcd> {
        Etcd::start(&self.folder().join(name).join("etcd")).await.context("start etcd")
    }
}
