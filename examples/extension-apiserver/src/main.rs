//! A small aggregated API server: what stands behind an `APIService`, reduced to one resource and all of its duties.

mod authorize;
mod delegate;
mod discovery;
mod flight;
mod handler;
mod identity;
mod negotiate;
mod openapi;
mod options;
mod query;
mod respond;
mod rest;
mod route;
mod schema;
mod selector;
mod server;
mod socket;
mod status;
mod store;
mod table;
mod tls;
mod whoami;

use std::io::IsTerminal as _;

use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).init();
    server::run(options::Options::parse()).await
}
