//! The runner against the real example API server, over real TLS; only the server around it is small: two
//! collections in memory.

#![allow(clippy::unwrap_used, reason = "in helpers of tests too, a panic is the report")]

mod backend;
mod hostile;
mod identity;
mod life;
mod memory;
mod rolling;
mod schema;
mod services;
mod world;
