//! The suites run against built binaries, so building those comes first; the runner's lines come last.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::build::{self, Profile, Selection};
use crate::workspace::Workspace;
use crate::{plugin, process, tools};

/// The packages that hold no test of their own: the edition binaries are what the suites run against.
const WITHOUT_TESTS: [&str; 3] = ["detectviz-oss", "detectviz-enterprise", "detectviz-codegen"];
/// The suites that bring a client library. It wants other features of what it shares with the product, so that in one
/// call with all others those would no longer be tested as they are built.
const CLIENTS: &str = "detectviz-kube-tests";

/// `cargo xtask test`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The editions that the suites run against
    #[arg(long, value_enum, default_value_t)]
    edition: Selection,
    /// Run the crash and fault tests alone, for as many rounds as `--rounds` says, and say what they did
    #[arg(long, conflicts_with = "rest")]
    soak: bool,
    /// How often a soak lets each fault happen
    #[arg(long, default_value_t = 300, requires = "soak")]
    rounds: usize,
    /// Arguments of `cargo test`, such as a test's name
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Builds what the suites need, runs all tests, and closes with the sum of their results.
pub(crate) fn test(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    let kubectl = tools::kubectl(workspace, tools::Prefer::Pinned)?;
    let old_kubectl = tools::old_kubectl(workspace);
    let editions = args.edition.editions();
    for edition in &editions {
        build::edition_binary(workspace, *edition, Profile::Debug, None)?;
    }
    let examples = build::examples(workspace, Profile::Debug)?;
    plugin::install(workspace, &examples)?;
    build::faulty_disk(workspace)?;
    let names: Vec<&str> = editions.iter().map(|edition| edition.name()).collect();
    let older_etcd = tools::older_etcd(workspace);
    let nginx = tools::nginx(workspace);
    let report = workspace.target().join("soak.txt");
    let calls = if args.soak { vec![suites()] } else { vec![packages(), of(CLIENTS)] };
    let (mut success, mut sum) = (true, Sum::default());
    for packages in calls {
        let mut cargo = cargo_test(workspace, &packages, &kubectl, &examples);
        if let Ok(old_kubectl) = &old_kubectl {
            cargo.env("XTASK_KUBECTL_OLD", old_kubectl);
        }
        if let Some(etcd) = &older_etcd {
            cargo.env("XTASK_ETCD", etcd);
        }
        if let Some(nginx) = &nginx {
            cargo.env("XTASK_NGINX", nginx);
        }
        cargo.env("XTASK_EDITIONS", names.join(","));
        if args.soak {
            soak(&mut cargo, args.rounds, &report)?;
        }
        success &= stream(cargo.args(&args.rest), &mut sum)?;
    }
    if args.soak {
        print!("{}", std::fs::read_to_string(&report).unwrap_or_default());
    }
    if !success || sum.failed > 0 {
        bail!("tests failed: {}\nhint: run one test with `cargo xtask test -- NAME`", sum.line());
    }
    if let Err(error) = old_kubectl {
        println!("note: not tested with the old line of kubectl: {error:#}");
    }
    println!("{}", sum.line());
    Ok(())
}

/// Lets the crash and fault tests run alone, one after the other, for many rounds.
fn soak(cargo: &mut Command, rounds: usize, report: &Path) -> anyhow::Result<()> {
    // The report is of this run alone.
    if report.exists() {
        std::fs::remove_file(report).with_context(|| format!("remove {}", report.display()))?;
    }
    cargo.env("ROUNDS", rounds.to_string()).env("SOAK_REPORT", report);
    cargo.args([
        "--",
        "--nocapture",
        "--test-threads=1",
        "crash::kill",
        "faults::torn",
        "a_load_",
        "etcd::load",
    ]);
    Ok(())
}

/// The packages with tests that are built like the product, as cargo selects them.
pub(crate) fn packages() -> Vec<String> {
    let excluded = WITHOUT_TESTS.iter().chain([&CLIENTS]).flat_map(|package| ["--exclude", package]);
    std::iter::once("--workspace").chain(excluded).map(str::to_owned).collect()
}

/// One package, as cargo selects it.
fn of(package: &str) -> Vec<String> {
    vec!["--package".to_owned(), package.to_owned()]
}

/// The suites that are ours alone, as cargo selects them.
fn suites() -> Vec<String> {
    ["--package", "detectviz-tests", "--test", "suites"].map(str::to_owned).into()
}

fn cargo_test(workspace: &Workspace, packages: &[String], kubectl: &Path, examples: &Path) -> Command {
    let mut cargo = workspace.cargo(&["test", "--no-fail-fast"]);
    cargo.args(packages);
    cargo.env("XTASK_DIST", workspace.dist());
    cargo.env("XTASK_KUBECTL", kubectl);
    cargo.env("XTASK_EXAMPLES", examples);
    cargo
}

/// Runs the tests, passing their output on line by line; adds their results to `sum`, and returns whether all passed.
fn stream(cargo: &mut Command, sum: &mut Sum) -> anyhow::Result<bool> {
    process::echo(cargo);
    let mut child =
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start `cargo test`")?;
    let stdout = child.stdout.take().context("read the output of `cargo test`")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("read the output of `cargo test`")?;
        println!("{line}");
        sum.add(&line);
    }
    let status = child.wait().context("wait for `cargo test`")?;
    Ok(status.success())
}

/// The results of all test binaries together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Sum {
    /// Adds what a line says, if it is a `test result:` line.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, word)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// The closing line: `N passed, N failed`, and what was skipped when something was.
    fn line(&self) -> String {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_are_summed_and_other_lines_ignored() {
        let mut sum = Sum::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s",
            "test a::b ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 1.20s",
            "note: test result: 9 passed",
        ] {
            sum.add(line);
        }
        assert_eq!(sum, Sum { passed: 5, failed: 1, skipped: 4 });
        assert_eq!(sum.line(), "5 passed, 1 failed, 4 skipped");
        assert_eq!(Sum { skipped: 0, ..sum }.line(), "5 passed, 1 failed");
    }
}
