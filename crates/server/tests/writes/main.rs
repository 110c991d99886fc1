//! The write engine as a client of one kind meets it: every verb, patch type and subresource, with plugins in the way, others
//! who are faster, and a store that is too small.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(clippy::needless_pass_by_value, reason = "a table of JSON reads better without ampersands")]

mod admission;
mod metadata;
mod patches;
mod races;
mod scale;
mod support;
