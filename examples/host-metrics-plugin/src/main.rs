//! A backend plugin that answers with its own machine's figures: a sampler on one side, gRPC on the other.
//!
//! The order of a life: check that a host started us, listen, take the first samples, print the handshake line,
//! serve until told to stop, remove the socket. Nothing but that one line goes to stdout; stderr is the log.

mod log;
mod query;
mod sample;
mod sampler;
mod series;
mod service;
mod socket;
mod stop;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use detectviz_pluginv2::handshake::{MAGIC_COOKIE_KEY, MAGIC_COOKIE_VALUE};
use detectviz_pluginv2::{Address, Handshake};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use sampler::Sampler;
use socket::Socket;

/// What a person sees who starts the plugin by hand.
const NOT_A_COMMAND: &str = "\
This is a backend plugin and not a command: a host starts it, from a folder in its plugin directory, with
`grafana_plugin_type=datasource` in its environment, and talks to it over gRPC. See the README beside it.";

fn main() -> ExitCode {
    if std::env::var_os(MAGIC_COOKIE_KEY).is_none_or(|value| value != MAGIC_COOKIE_VALUE) {
        // There is nowhere left to report that stderr is closed.
        let _ = writeln!(io::stderr(), "{NOT_A_COMMAND}");
        return ExitCode::FAILURE;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error("plugin failed", &json!({"error": format!("{error:#}")}));
            ExitCode::FAILURE
        }
    }
}

/// Runs the plugin on a runtime that does not wait, at the end, for a `statvfs` on a dead network mount.
fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("start the runtime")?;
    let result = runtime.block_on(live());
    runtime.shutdown_timeout(Duration::ZERO);
    result
}

async fn live() -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let watch = stop::Watch::new()?;
    let socket = Socket::bind()?;
    let sampler = Arc::new(Sampler::new(sampler::interval_from_env()?));
    let latest = sampler.prime().await?;
    announce(&socket)?;
    tokio::select! {
        result = service::serve(&socket, Arc::clone(&sampler), stop.clone()) => result,
        result = sampler.run(latest) => result,
        result = watch.run(stop) => result,
    }
}

/// Prints the handshake line, the only line that ever goes to stdout.
fn announce(socket: &Socket) -> anyhow::Result<()> {
    let handshake = Handshake::new(Address::Unix(socket.path().to_owned()));
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{handshake}").and_then(|()| stdout.flush()).context("print the handshake line")?;
    log::info("plugin listens", &json!({"address": socket.path()}));
    Ok(())
}
