//! The main job: everything built, started, registered and shown, then held until Ctrl-C.
//!
//! The steps read in order in [`start`]; whatever happens, the children end before xtask does.

mod client;
mod manifests;
mod progress;
mod show;
mod supervisor;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::build::{self, Edition, Profile};
use crate::plugin;
use crate::tools;
use crate::workspace::Workspace;
use client::Client;
use manifests::Manifest;
use progress::Progress;
use supervisor::{Interrupted, Supervisor};

/// How long a process may take until it is ready; generous, since a first start on a slow disk syncs a lot.
const START: Duration = Duration::from_secs(60);
/// Between two looks at something that has no event to wait for.
const LOOK: Duration = Duration::from_millis(250);

/// `cargo xtask run`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The edition to start
    #[arg(long, value_enum, default_value_t = Edition::Enterprise)]
    edition: Edition,
    /// Where the server keeps objects, certificates and its kubeconfig
    #[arg(long, default_value = "./data")]
    data_dir: PathBuf,
    /// The port of the API server on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 6443)]
    secure_port: u16,
}

/// What is built and where, once nothing is left to compile.
struct Built {
    server: PathBuf,
    extension: PathBuf,
    plugins: PathBuf,
}

/// Builds, starts and registers everything, shows it, and stays until Ctrl-C.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    let progress = Progress::start();
    let built = build_all(workspace, args.edition, &progress)?;
    let kubectl = tools::kubectl(workspace, tools::Prefer::Installed)
        .inspect_err(|error| eprintln!("note: going on without kubectl: {error:#}"))
        .ok();
    let mut supervisor = Supervisor::new(workspace.dist().join("log"))?;
    let outcome = start(workspace, args, &built, kubectl, &mut supervisor, &progress);
    progress.step("stopping");
    supervisor.end();
    match outcome {
        Err(error) if !error.is::<Interrupted>() => Err(error),
        _ => {
            progress.step("everything stopped");
            Ok(())
        }
    }
}

fn build_all(workspace: &Workspace, edition: Edition, progress: &Progress) -> anyhow::Result<Built> {
    progress.step(&format!(
        "building detectviz ({}, release; the first time takes some minutes)",
        edition.name()
    ));
    let server = build::edition_binary(workspace, edition, Profile::Release, None)?;
    progress.step("building the two examples");
    let examples = build::examples(workspace, Profile::Release)?;
    let plugins = plugin::install(workspace, &examples)?;
    let extension = workspace.dist().join("examples/extension-apiserver");
    build::place(&examples.join("extension-apiserver"), &extension)?;
    Ok(Built { server, extension, plugins })
}

/// Starts the server and the examples, waits for each, and holds them; returns only with an error.
fn start(
    workspace: &Workspace,
    args: &Args,
    built: &Built,
    kubectl: Option<PathBuf>,
    supervisor: &mut Supervisor,
    progress: &Progress,
) -> anyhow::Result<()> {
    let address = start_server(args, built, supervisor, progress)?;
    let info = start_extension(workspace, args, built, supervisor, progress)?;
    let client = Client::choose(kubectl, &args.data_dir, address);
    let manifests = manifests::all(info.port, &info.ca_bundle);
    if register(&client, &manifests, args.edition, supervisor, progress)? {
        show::first_output(&client, args.edition, supervisor, progress)?;
    }
    progress.step("running; Ctrl-C stops everything");
    supervisor.hold()
}

/// Starts the API server, and returns its address once it is ready.
fn start_server(
    args: &Args,
    built: &Built,
    supervisor: &mut Supervisor,
    progress: &Progress,
) -> anyhow::Result<String> {
    progress.step("starting detectviz");
    let mut server = Command::new(&built.server);
    server.arg("serve").arg("--data-dir").arg(&args.data_dir).arg("--plugin-dir").arg(&built.plugins);
    for toggle in ["kubernetesAggregator=true", "dataplaneAggregator=true"] {
        server.args(["--toggle", toggle]);
    }
    server.args(["--secure-port", &args.secure_port.to_string()]);
    supervisor.spawn("detectviz", &mut server)?;
    let address = supervisor.line("detectviz", START, ready_address)?;
    let kubeconfig = args.data_dir.join("admin.kubeconfig");
    anyhow::ensure!(kubeconfig.is_file(), "detectviz is ready but wrote no {}", kubeconfig.display());
    progress.step(&format!("ready at {address}, kubeconfig {}", kubeconfig.display()));
    Ok(address)
}

/// The address in the line that the server prints when it is ready: `ready https://ADDR:PORT`.
fn ready_address(line: &str) -> Option<String> {
    let address = line.strip_prefix("ready ")?.trim();
    let (_, port) = address.strip_prefix("https://")?.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port != 0)?;
    Some(address.to_owned())
}

/// What the example server says about itself once it listens.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    port: u16,
    /// The CA of its serving certificate: PEM in base64, as an APIService carries it.
    ca_bundle: String,
}

/// Starts the example API server on a free port, trusting the front-proxy CA of the data folder.
fn start_extension(
    workspace: &Workspace,
    args: &Args,
    built: &Built,
    supervisor: &mut Supervisor,
    progress: &Progress,
) -> anyhow::Result<Info> {
    progress.step("starting the example API server");
    let written = workspace.dist().join("flights.json");
    if written.exists() {
        std::fs::remove_file(&written).with_context(|| format!("remove {}", written.display()))?;
    }
    let mut extension = Command::new(&built.extension);
    extension.args(["--secure-port", "0", "--requestheader-client-ca-file"]);
    extension.arg(args.data_dir.join("pki/front-proxy-ca.crt"));
    extension.args(["--requestheader-allowed-names", "front-proxy-client"]);
    extension.args(["--tls-server-name", "flights.default.svc", "--write-info"]).arg(&written).arg("--seed");
    supervisor.spawn("extension-apiserver", &mut extension)?;
    supervisor.until(START, LOOK, "the example API server listens", || read_info(&written))
}

/// The info file, or nothing while it is not there or not whole.
fn read_info(path: &Path) -> Option<Info> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// Registers the examples and waits until both are available; false when no client is there to do it.
fn register(
    client: &Client,
    manifests: &[Manifest],
    edition: Edition,
    supervisor: &mut Supervisor,
    progress: &Progress,
) -> anyhow::Result<bool> {
    if client.is_none() {
        show::without_client(manifests)?;
        return Ok(false);
    }
    progress.step("registering the examples");
    client.apply(manifests)?;
    for manifest in manifests.iter().filter(|manifest| manifest.has_availability) {
        // OSS has no runner that could make it available; there the condition says so.
        await_condition(client, manifest, edition == Edition::Enterprise, supervisor, progress)?;
    }
    Ok(true)
}

/// Waits until an object's `Available` is as expected, telling each change on the way.
fn await_condition(
    client: &Client,
    manifest: &Manifest,
    expected: bool,
    supervisor: &mut Supervisor,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut told = String::new();
    let wanted = format!("{} has Available={expected}", manifest.name);
    let outcome = supervisor.until(START, LOOK, &wanted, || {
        let now = client.availability(manifest);
        if now.text != told {
            progress.step(&format!("{}: {}", manifest.name, now.text));
            told.clone_from(&now.text);
        }
        (now.is_true == Some(expected)).then_some(())
    });
    match outcome {
        Err(error) if !error.is::<Interrupted>() => bail!("{error:#}; it is {told}"),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_ready_line_gives_an_address() {
        assert_eq!(ready_address("ready https://127.0.0.1:6443").unwrap(), "https://127.0.0.1:6443");
        assert_eq!(ready_address("ready https://[::1]:40001").unwrap(), "https://[::1]:40001");
        for line in
            ["serving https://127.0.0.1:6443", "ready", "ready https://127.0.0.1", "ready https://x:0"]
        {
            assert_eq!(ready_address(line), None, "{line}");
        }
    }

    #[test]
    fn the_info_file_is_read_as_the_example_writes_it() {
        let info: Info = serde_json::from_str(r#"{"port":40001,"caBundle":"TFM=","more":1}"#).unwrap();
        assert_eq!(info, Info { port: 40001, ca_bundle: "TFM=".to_owned() });
    }
}
