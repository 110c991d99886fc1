//! Other people's checkers with our settings; each runs even when an earlier one failed.

use std::process::Command;

use anyhow::bail;

use crate::workspace::Workspace;
use crate::{process, tools};

/// `cargo xtask lint`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also check dependencies for known vulnerabilities (fetches the advisory database)
    #[arg(long)]
    advisories: bool,
}

/// Runs formatting, clippy and cargo-deny, and names all that failed with what to do.
pub(crate) fn lint(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    let checks = [
        ("formatting", Ok(workspace.cargo(&["fmt", "--all", "--", "--check"])), "run `cargo fmt --all`"),
        ("clippy", Ok(workspace.cargo(&clippy)), "mend each warning where clippy points"),
        (
            "dependencies",
            deny(workspace, args),
            "change the dependency, or add a dated exception with its reason to deny.toml",
        ),
    ];
    let mut failed = Vec::new();
    for (name, command, hint) in checks {
        if let Err(error) = command.and_then(|mut command| process::run(&mut command)) {
            failed.push(format!("{name}: {error:#}\nhint: {hint}"));
        }
    }
    if !failed.is_empty() {
        bail!("lint failed\n{}", failed.join("\n"));
    }
    eprintln!("lint: ok");
    Ok(())
}

fn deny(workspace: &Workspace, args: &Args) -> anyhow::Result<Command> {
    let mut deny = Command::new(tools::cargo_deny(workspace)?);
    deny.current_dir(workspace.root()).args(["--workspace", "--locked", "check"]);
    deny.args(["bans", "licenses", "sources"]).args(args.advisories.then_some("advisories"));
    Ok(deny)
}
