//! What a person can type next, each line with its first real output.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::client::Client;
use super::manifests::{self, Manifest};
use super::progress::Progress;
use super::supervisor::{Interrupted, Supervisor};
use crate::build::Edition;
use crate::process;

/// How long a shown command may fail until its first output.
const BOUND: Duration = Duration::from_secs(30);
/// How much of an output is shown.
const LINES: usize = 25;
const CHARACTERS: usize = 2_000;

/// Runs and prints the commands to try; the ones that need a runner only where the edition has it.
pub(super) fn first_output(
    client: &Client,
    edition: Edition,
    supervisor: &mut Supervisor,
    progress: &Progress,
) -> anyhow::Result<()> {
    progress.step("try these:");
    let has_runners = edition == Edition::Enterprise;
    let services = client.kubectl(&["get", "apiservices"]);
    let flights = client.kubectl(&["get", "flights"]).filter(|_| has_runners);
    let body = manifests::query();
    let query = client.curl(
        manifests::QUERY_PATH,
        &["-H", "Content-Type: application/json", "--fail-with-body", "-d", &body],
    );
    for command in [services, flights, query.filter(|_| has_runners)].into_iter().flatten() {
        show(command, supervisor)?;
    }
    let more = [
        ["get", "flights", "-w"].as_slice(),
        &["api-resources"],
        &["create", "configmap", "first", "--from-literal=a=b"],
    ];
    for command in more.iter().skip(usize::from(!has_runners)).filter_map(|args| client.kubectl(args)) {
        println!("\n$ {}", process::line(&command));
    }
    println!();
    Ok(())
}

/// Repeats a command until it succeeds, and prints it with its output.
fn show(mut command: Command, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let line = process::line(&command);
    let mut last = None;
    let outcome = supervisor.until(BOUND, super::LOOK, "it succeeds", || {
        process::quiet(&mut command).map_err(|error| last = Some(error)).ok()
    });
    let output = match (outcome, last) {
        (Err(error), Some(last)) if !error.is::<Interrupted>() => return Err(last.context(error)),
        (outcome, _) => outcome?,
    };
    println!("\n$ {line}\n{}", shortened(&output));
    Ok(())
}

/// The beginning of an output, with a note of what is left out.
fn shortened(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().take(LINES).collect();
    let shown: String = lines.join("\n").chars().take(CHARACTERS).collect();
    let left = output.trim_end().len() - shown.len();
    if left == 0 { shown } else { format!("{shown}\n… ({left} more bytes)") }
}

/// Without kubectl and curl nothing can be registered from here: says what to install and what to apply.
pub(super) fn without_client(manifests: &[Manifest]) -> anyhow::Result<()> {
    println!(
        "\nNeither kubectl nor curl is here. Put one of them on PATH and start again, or apply these objects:"
    );
    for manifest in manifests {
        let body = serde_json::to_string_pretty(&manifest.body).context("write a manifest")?;
        println!("---\n{body}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_output_is_cut_with_a_note() {
        assert_eq!(shortened("a\nb\n"), "a\nb");
        let long = shortened(&"é".repeat(CHARACTERS + 1));
        assert!(long.ends_with("… (2 more bytes)"), "{}", &long[long.len() - 40..]);
        assert!(shortened(&"a\n".repeat(LINES + 1)).ends_with("more bytes)"));
    }
}
