//! A revisioned key-value store, and the cache that all reads are served from: the store says what is true and durable,
//! its event stream alone feeds the cache, and nobody reads what was not yet made durable.
//!
//! * [`Store`] is the contract; [`contract_suite`] is what any implementation has to pass.
//! * [`memory::Memory`] and [`embedded::Embedded`] implement it on one shared index.
//! * [`cache::Cache`] serves get, list and watch.

pub mod cache;
mod contract;
pub mod contract_suite;
pub mod embedded;
mod error;
mod expiry;
mod history;
mod index;
pub mod keys;
pub mod memory;
mod published;

pub use contract::{
    Batch, Compare, Event, EventKind, KeyValue, Op, Range, Revision, Store, Txn, TxnOutcome, Watch,
    WatchSource,
};
pub use error::StoreError;
pub use history::HistoryLimits;
