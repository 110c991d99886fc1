//! The one build entry: people and CI type `cargo xtask COMMAND`, and everything else is a detail of it.
//!
//! One module a subcommand. A command prints what it runs to stderr, and a check that fails ends with one
//! line that says how to mend it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks by printing")]

mod bench;
mod build;
mod dist;
mod editions;
mod lint;
mod plugin;
mod process;
mod run;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use workspace::Workspace;

/// Builds, runs and checks Detectviz.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build editions into target/dist/EDITION/detectviz, one cargo call an edition
    Build(build::Args),
    /// Build and start everything: the server, both runners and the two examples, ready for kubectl
    Run(run::Args),
    /// Build both editions and the examples, then run every test against them
    Test(test::Args),
    /// Measure a release server beside etcd and nginx, and report ratios; a figure never fails it
    Bench(bench::Args),
    /// Archive optimized editions with licences, completions, a bill of materials and checksums
    Dist(dist::Args),
    /// Check formatting, clippy and the dependency policy (deny.toml)
    Lint(lint::Args),
    /// Check what no compiler checks: doc paths, lengths, manifests, feature sets, lock file
    Tidy(tidy::Args),
    /// Build every feature combination and compare its edition table with the committed one
    Editions(editions::Args),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match command {
        Command::Build(args) => build::build(&workspace, &args),
        Command::Run(args) => run::run(&workspace, &args),
        Command::Test(args) => test::test(&workspace, &args),
        Command::Bench(args) => bench::bench(&workspace, &args),
        Command::Dist(args) => dist::dist(&workspace, &args),
        Command::Lint(args) => lint::lint(&workspace, &args),
        Command::Tidy(args) => tidy::tidy(&workspace, &args),
        Command::Editions(args) => editions::editions(&workspace, &args),
    }
}
