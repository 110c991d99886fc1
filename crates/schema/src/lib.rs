//! A definition compiled once, and everything that is then decided by walking a value beside its schema.
//!
//! Nothing here does I/O, and nothing here is written for one kind: decoding, pruning, defaulting, validation, strategic merge,
//! protobuf and OpenAPI read the same compiled tree, so a stored definition is served exactly as a built-in one.

pub mod columns;
pub mod compile;
pub mod decode;
#[cfg(test)]
mod fixture;
pub mod managed;
pub mod meta;
mod node;
pub mod openapi;
mod path;
pub mod protobuf;
pub mod strategic;
pub mod validate;
pub mod yaml;

pub use compile::{CompileError, Compiled, CompiledVersion, Fragments};
pub use decode::{DecodeError, Decoded, Limits, decode_json};
pub use protobuf::{Envelope, ProtobufError, decode_envelope, delete_options_from_protobuf};
pub use validate::Admitted;
pub use yaml::decode_yaml;
