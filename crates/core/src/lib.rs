//! What every edition shares and every runner plugs into: the contracts, their noop defaults, and the plain parts
//! that hold them together. No HTTP engine, no TLS, no store: those are rooms above and beside.

pub mod backend_policy;
pub mod catalog;
pub mod delegate;
pub mod edition;
pub mod group;
pub mod handler;
pub mod health;
pub mod http;
pub mod informer;
pub mod leadership;
pub mod lifecycle;
pub mod loopback;
pub mod metrics;
pub mod options;
pub mod runner;
pub mod toggles;
pub mod tunnel;

pub use backend_policy::BackendPolicy;
pub use catalog::Catalog;
pub use delegate::{Delegate, Slot};
pub use edition::{Edition, EditionTable, Provider, Registration};
pub use group::ApiGroupBuilder;
pub use handler::{Context, Handler};
pub use leadership::Leadership;
pub use lifecycle::RunContext;
pub use loopback::Loopback;
pub use options::Options;
pub use runner::{AggregatorRunner, DataplaneRunner, Module, Runner, Setup, Stopped};
pub use tunnel::Tunnel;
