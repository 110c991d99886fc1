//! The benchmarks as a program of its own, so that xtask stays light: `cargo xtask bench` builds and runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks by printing")]

mod load;
mod managed;
mod options;
mod peer;
mod process;
mod report;
mod scenario;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::{Parser, ValueEnum as _};

use crate::options::{Options, Scenario};
use crate::report::{Load, Machine, Report};
use crate::scenario::Bench;

/// How many clients fill a server at once.
pub(crate) const FILLERS: usize = 32;

/// Measures a server beside its peers.
#[derive(Parser)]
#[command(name = "detectviz-bench")]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// The checkout, for data and reports
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// The enterprise edition, where a scenario is about its runners [default: --server-bin]
    #[arg(long, value_name = "PATH")]
    enterprise_bin: Option<PathBuf>,
}

/// Tells the person what goes on.
pub(crate) fn progress(what: &str) {
    eprintln!("  {what}");
}

fn main() -> ExitCode {
    match start(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // On this thread, which lives as long as the servers it starts.
    let report = runtime.block_on(async {
        tokio::select! {
            report = measure(cli) => report,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    })?;
    print!("{}", report.text());
    if let Some(path) = &cli.options.json {
        report.write_json(path)?;
    }
    if let Some(fault) = report.failures.first() {
        anyhow::bail!("{fault}");
    }
    if cli.options.only.is_empty() && !cli.options.quick {
        report.file(&cli.root.join("bench/results"))?;
    }
    Ok(())
}

async fn measure(cli: &Cli) -> anyhow::Result<Report> {
    let options = &cli.options;
    let root = std::fs::canonicalize(&cli.root).context("find the checkout")?;
    let find = |path: &Path| std::fs::canonicalize(path).with_context(|| format!("find {}", path.display()));
    let built = || root.join("target/dist/oss/detectviz");
    let [given, other] = [&options.server_bin, &cli.enterprise_bin].map(Option::as_ref);
    // Each stands in for the other, since one scenario alone needs only one.
    let binary = find(&given.or(other).cloned().unwrap_or_else(built))?;
    let enterprise = other.map_or(Ok(binary.clone()), |path| find(path))?;
    let server = version(&binary)?;
    let before = Load::now();
    let bench = Bench::new(options, binary, enterprise, &root.join("target/bench"))?;
    let machine = Machine::look(bench.folder())?;
    let (mut figures, mut failures) = (Vec::new(), Vec::new());
    let all = Scenario::value_variants();
    for scenario in all.iter().filter(|one| options.only.is_empty() || options.only.contains(one)) {
        eprintln!("{}", scenario.name());
        match bench.run(*scenario).await {
            Ok(found) => figures.extend(found),
            Err(fault) => failures.push(format!("measure {}: {fault:#}", scenario.name())),
        }
    }
    Ok(Report {
        date: Report::now()?,
        server,
        peers: std::iter::once(peer::etcd_version()?).chain(peer::nginx_version()).collect(),
        rounds: bench.scale.rounds,
        quick: options.quick,
        machine,
        load: [before, Load::now()],
        figures,
        failures,
    })
}

/// Version and commit, as the server tells them.
fn version(binary: &Path) -> anyhow::Result<String> {
    let output = Command::new(binary).args(["version", "-o", "json"]).output();
    let output = output.with_context(|| format!("start {}", binary.display()))?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).context("read the version")?;
    let word = |name: &str| told[name].as_str().unwrap_or("unknown").to_owned();
    Ok(format!("Detectviz {} {} {}", word("version"), word("edition"), word("commit")))
}
