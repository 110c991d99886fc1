//! Checks for what no compiler sees: each reads files, gives back complaints, and knows how to mend them.

mod docs;
mod features;
mod guards;
mod lengths;
mod manifests;
mod scan;
mod words;

use anyhow::bail;

use crate::process;
use crate::workspace::Workspace;

/// `cargo xtask tidy`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lower the baseline of long functions and files to today's lengths (never raises it)
    #[arg(long)]
    bless: bool,
    /// Also check that generated code is what the generator writes (slow)
    #[arg(long)]
    codegen: bool,
}

/// What a check looks at.
struct Context<'a> {
    workspace: &'a Workspace,
    /// Every file of the checkout, sorted.
    files: Vec<String>,
    bless: bool,
}

/// One check: its name, what finds its complaints, and how to mend them.
struct Check {
    name: &'static str,
    find: fn(&Context<'_>) -> anyhow::Result<Vec<String>>,
    hint: &'static str,
}

const CHECKS: [Check; 7] = [
    Check { name: "docs", find: docs::check, hint: "correct the path in the page, or restore the file" },
    Check {
        name: "guards",
        find: guards::check,
        hint: "name the test that guards the rule now, or drop the rule",
    },
    Check {
        name: "lengths",
        find: lengths::check,
        hint: "split what grew; when something shrank, run `cargo xtask tidy --bless`",
    },
    Check {
        name: "manifests",
        find: manifests::check,
        hint: "write `NAME.workspace = true` and put version and features into the root Cargo.toml",
    },
    Check {
        name: "features",
        find: features::check,
        hint: "fix the crate's features in [workspace.dependencies], so that every edition builds it once",
    },
    Check { name: "words", find: words::check, hint: "finish the code, or name the thing without its place" },
    Check { name: "lock", find: lock, hint: "run `cargo metadata` and commit Cargo.lock" },
];

const CODEGEN: Check = Check {
    name: "codegen",
    find: codegen,
    hint: "run `cargo run --package detectviz-codegen` and commit what it writes",
};

/// Runs all checks and lists every complaint.
pub(crate) fn tidy(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    let context = Context { workspace, files: workspace.files()?, bless: args.bless };
    let asked = CHECKS.into_iter().chain(args.codegen.then_some(CODEGEN));
    let failed: Vec<&str> = asked.filter(|check| !passes(check, &context)).map(|check| check.name).collect();
    if !failed.is_empty() {
        bail!("tidy failed: {}", failed.join(", "));
    }
    Ok(())
}

fn passes(check: &Check, context: &Context<'_>) -> bool {
    let complaints = (check.find)(context).unwrap_or_else(|error| vec![format!("{error:#}")]);
    for complaint in &complaints {
        eprintln!("tidy {}: {complaint}", check.name);
    }
    let end = if complaints.is_empty() {
        format!("tidy {}: ok", check.name)
    } else {
        format!("hint: {}", check.hint)
    };
    eprintln!("{end}");
    complaints.is_empty()
}

/// Cargo.lock belongs to the manifests as they are.
fn lock(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let mut cargo = context.workspace.cargo(&["metadata", "--locked", "--format-version", "1"]);
    process::quiet(&mut cargo).map(|_| Vec::new())
}

/// Generated code is what the generator writes today.
fn codegen(context: &Context<'_>) -> anyhow::Result<Vec<String>> {
    let mut cargo =
        context.workspace.cargo(&["run", "--quiet", "--package", "detectviz-codegen", "--", "--check"]);
    process::run(&mut cargo).map(|()| Vec::new())
}
