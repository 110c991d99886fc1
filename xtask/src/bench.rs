//! Builds what is measured, then the program that measures it, and hands the options on.

#[path = "../bench/src/options.rs"]
mod options;

use std::ffi::OsString;
use std::process::Command;

use self::options::Scenario;
use crate::build::{self, Edition, Profile};
use crate::process;
use crate::workspace::Workspace;

/// The benchmarks' binary.
const BINARY: &str = "detectviz-bench";
/// What is built for them, as cargo selects it. With the server, which is built by then, so that what both depend on
/// has the same features and is not built twice.
pub(crate) const PACKAGES: [&str; 4] = ["--package", BINARY, "--package", "detectviz-oss"];

/// `cargo xtask bench`
#[derive(clap::Args)]
#[command(
    after_help = "A complete run takes about 20 minutes, wants an idle machine, and files its report as
bench/results/DATE-COMMIT.json and bench/results/README.md. nginx is measured when it is installed.
`proxy` puts the enterprise edition beside nginx as a reverse proxy, with as many workers each.

  cargo xtask bench                        # everything, with etcd and nginx in the same rounds
  cargo xtask bench --quick                # a smoke test of a minute
  cargo xtask bench --only gets,list       # two scenarios, printed and not filed
  cargo xtask bench --only gets --server-bin target/dist/oss/detectviz   # no build, such as under a profiler"
)]
pub(crate) struct Args {
    #[command(flatten)]
    options: options::Options,
}

/// Measures release builds: of the OSS edition, and of the enterprise one what its aggregator does. Or the server that was
/// given.
pub(crate) fn bench(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    let servers = servers(workspace, &args.options)?;
    process::run(workspace.cargo(&["build", "--release"]).args(PACKAGES))?;
    let mut command = Command::new(workspace.target().join(Profile::Release.folder()).join(BINARY));
    command.arg("--root").arg(workspace.root()).args(words(&args.options));
    process::run(command.args(servers))
}

/// Where the servers are, in words of a command line: those that were built, or the one that was given.
fn servers(workspace: &Workspace, options: &options::Options) -> anyhow::Result<Vec<OsString>> {
    if let Some(given) = &options.server_bin {
        return Ok(vec!["--server-bin".into(), std::path::absolute(given)?.into()]);
    }
    let wanted = |scenario| options.only.is_empty() || options.only.contains(&scenario);
    let built = |edition| build::edition_binary(workspace, edition, Profile::Release, None);
    let mut words = Vec::new();
    if options.only != [Scenario::Proxy] {
        words.extend(["--server-bin".into(), built(Edition::Oss)?.into()]);
    }
    if wanted(Scenario::Proxy) {
        words.extend(["--enterprise-bin".into(), built(Edition::Enterprise)?.into()]);
    }
    Ok(words)
}

/// The options as words of a command line, but for the server, which is known by now.
fn words(options: &options::Options) -> Vec<String> {
    let mut words = Vec::new();
    for scenario in &options.only {
        words.push(format!("--only={}", scenario.name()));
    }
    words.extend(options.case.iter().map(|case| format!("--case={case}")));
    if options.quick {
        words.push("--quick".to_owned());
    }
    words.extend(options.rounds.map(|rounds| format!("--rounds={rounds}")));
    words.extend(options.json.iter().map(|path| format!("--json={}", path.display())));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn options_that_are_handed_on_mean_the_same() {
        let given = ["bench", "--only=gets,list", "--case=1 KiB", "--quick", "--rounds=3", "--json=a.json"];
        let first = Cli::parse_from(given).args.options;
        let handed = words(&first);
        let again = Cli::parse_from(std::iter::once("bench".to_owned()).chain(handed)).args.options;
        assert_eq!(format!("{first:?}"), format!("{again:?}"));
    }
}
