//! Who asks, and may they: decisions over values that are handed in, without any I/O.
//!
//! The server reads certificates, files and headers; this crate only judges what it was given. That keeps
//! every rule testable as a table and leaves one place to look at for each question: [`authenticate`] for
//! "who", [`authorize`] for "may", [`rules`] for "what all may they", [`headers`] for "what may a client not say about itself",
//! [`origin`] for "whose page is it".

pub mod authenticate;
pub mod authorize;
pub mod headers;
pub mod origin;
pub mod rules;

pub use authenticate::{Authenticator, Credentials, Unauthorized};
pub use authorize::{Authorizer, Decision, forbidden};
