//! The suites: each is about one part of what a user can see, against built binaries, over TLS, with real clients.
//! `cargo xtask test` builds what they need and runs them; `cargo xtask test -- NAME` runs some.

#![allow(clippy::unwrap_used, reason = "in helpers of tests too, a panic is the report")]

mod aggregation;
mod api;
mod auth;
mod bad_input;
mod batteries;
mod crash;
mod dataplane;
mod discovery;
mod editions;
mod etcd;
mod events;
mod faults;
mod garbage;
mod hostile;
mod kubectl;
mod lifecycle;
mod protobuf;
mod reads;
mod reviews;
mod store;
mod support;
mod switching;
mod watch;
mod writes;
