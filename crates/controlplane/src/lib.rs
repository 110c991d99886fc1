//! The built-in API groups: for each resource a definition file, the few rules that a schema cannot say, and the
//! controllers that make its objects come true. Controllers are clients of this server like any other: all they read
//! and write goes through the loopback.

pub mod admission;
pub mod controllers;
pub mod definitions;
#[cfg(test)]
mod fake;
pub mod strategies;

pub use admission::{NamespaceLifecycle, NamespaceLookup, NamespaceState};
pub use controllers::{ExtensionTrust, Obstacles, Upkeep, start_controllers};
pub use strategies::{Reviewers, Strategies};
