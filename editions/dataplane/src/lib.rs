//! Backend plugins behind this server's address: a `DataPlaneService` names a plugin and a group-version, and this link
//! of the chain answers the plugin's queries there.
//!
//! ```text
//! Link (lookup in a snapshot) → QueryHandler (decode, settings, call, answer) → plugin process (gRPC, unix socket)
//!   ↑ routes                        ↑ data source + secret, by loopback            ↑ supervised: Host
//! Controller (informer on DataPlaneServices, Available condition)
//! ```
//!
//! Only `…/namespaces/NS/{datasources|connections}/UID/query` is taken; all else falls through to the next link.
//! Deliberately absent: admission, conversion, stream and route services, and decoding of Arrow frames.

mod condition;
mod context;
mod controller;
mod handler;
mod link;
mod metrics;
mod plugin;
mod query;
mod runner;
mod service;
mod settings;

use std::sync::Arc;

use detectviz_core::toggles::DATAPLANE_AGGREGATOR;
use detectviz_core::{Provider, Registration, edition};

pub use runner::Runner;

inventory::submit! {
    Registration {
        name: edition::DATAPLANE,
        toggle: DATAPLANE_AGGREGATOR,
        implementation: "detectviz-dataplane",
        provider: Provider::Dataplane(|| Arc::new(Runner::default())),
    }
}
