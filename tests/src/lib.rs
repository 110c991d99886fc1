//! The harness: built binaries as child processes, asked by real clients over TLS. It knows nothing of our crates, so that
//! a fault in them cannot hide in a client that shares it.
//!
//! Everything here panics with a sentence when it fails: in a test, a panic is the report. A test waits for a condition,
//! never for a time; [`BOUND`] only ends what would hang for ever.

#![allow(clippy::print_stderr, reason = "what the harness says goes to the output of the test that failed")]

mod backends;
mod certificates;
mod environment;
mod etcd;
mod examples;
mod faults;
mod frames;
mod history;
mod http;
mod http2;
mod kubectl;
mod nginx;
mod process;
mod raw_backend;
mod relay;
mod server;
mod variants;
mod wait;
mod watch;
mod websocket;
mod wire;

pub use backends::{Backends, Mode};
pub use certificates::{Authority, Certificate};
pub use environment::{Edition, Line, editions};
pub use etcd::{Etcd, EtcdLine, EtcdTls};
pub use examples::{ExtensionServer, PLUGIN, PluginFolder};
pub use faults::{FaultyDisk, SmallDisk};
pub use frames::{Http2, Reply};
pub use history::{History, Load, Plan, Progress, Random, Selection, Servers, Summary, rounds, seed};
pub use http::{Answer, Client, Request};
pub use kubectl::{Kubectl, Output};
pub use nginx::Nginx;
pub use process::Running;
pub use raw_backend::{Backend, Seen, Wire};
pub use relay::Relay;
pub use server::{Builder, Server, Storage, command, replace};
pub use tokio_tungstenite::tungstenite::Message;
pub use variants::{
    each_storage, enterprise, enterprise_every_line, every_edition, every_line, switchable, variants,
};
pub use wait::{wait_for, wait_until};
pub use watch::{Transport, Watch};
pub use websocket::{WebSocket, server_socket};
pub use wire::Connection;
