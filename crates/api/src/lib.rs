//! The API machinery's words: types that every other crate speaks, and that know nothing of ours.
//!
//! Nothing here does I/O. What can be decided from a request line, a header or a document alone is
//! decided here, once, so that the server, the runners and the clients cannot disagree about it.

pub mod condition;
pub mod definition;
pub mod go;
pub mod identity;
pub mod meta;
pub mod names;
pub mod negotiate;
pub mod options;
pub mod patch;
pub mod quantity;
pub mod query;
pub mod request_info;
pub mod resource;
pub mod selector;
pub mod status;
pub mod timestamp;
mod write_options;

pub use identity::Identity;
pub use request_info::{RequestInfo, Verb};
pub use resource::{GroupVersion, GroupVersionKind, GroupVersionResource};
pub use status::{Cause, Reason, Status};
