//! Other API servers behind this one's address: for each remote `APIService` a backend, a probe, an entry in the
//! catalog, and a handler that forwards. Kubernetes' kube-aggregator, with Grafana's `ExternalName` for a Service.
//!
//! ```text
//! remote services file → APIService, ExternalName
//! APIService + ExternalName, Service, EndpointSlices → controller → worker (probe, discovery) → condition, catalog, routes
//! request → link (routes) → proxy → backend
//! ```

mod backend;
mod controller;
mod error;
mod escape;
mod front_proxy;
mod link;
mod metrics;
mod proxy;
mod remote;
mod runner;
mod spec;
mod stamp;

pub use runner::Runner;

use detectviz_core::{Provider, Registration, edition, toggles};
use std::sync::Arc;

inventory::submit! {
    Registration {
        name: edition::AGGREGATOR,
        toggle: toggles::KUBERNETES_AGGREGATOR,
        implementation: "detectviz-aggregator",
        provider: Provider::Aggregator(|| Arc::new(Runner::default())),
    }
}
