//! The real binary over TLS, asked as a front proxy asks.

#![allow(clippy::unwrap_used, reason = "in helpers of tests too, a panic is the report")]

mod flights;
mod front_proxy;
mod support;
