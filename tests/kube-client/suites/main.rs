//! A client library that others wrote, against the built server: what `kube` needs is what a controller in any language
//! needs. A package of its own, so that neither its types nor its features come near the product.

#![allow(clippy::print_stderr, reason = "what a test says goes to the output of the test that failed")]

mod api;
mod controller;
mod discovery;
mod events;
mod expiry;
mod leases;
mod load;
mod reflectors;
mod seen;
mod support;
