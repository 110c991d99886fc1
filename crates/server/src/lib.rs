//! The generic API server: it knows how requests travel and what resources can do, and nothing of any one resource.
//!
//! A request comes in through [`listener`], walks the one ordered list of [`chain`], and ends in an [`endpoints`]
//! page, in a resource of [`rest`], or in whatever stands in front of the resources.

pub mod admission;
pub mod chain;
pub mod conversion;
mod encode;
pub mod endpoints;
pub mod install;
pub mod listener;
pub mod metrics;
pub mod pki;
pub mod resource;
pub mod rest;
pub mod strategy;
mod upgrade;

pub use chain::{Chain, InProcess};
pub use install::{Installer, Link, Resources};
pub use resource::{Backend, Resource};
