//! Bytes to send, and the hash that tells two states of them apart.

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A document with its entity tag. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The bytes.
    pub bytes: Bytes,
    /// The bytes' hash in upper-case hexadecimal.
    pub hash: String,
}

impl Document {
    /// The document of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let mut hash = String::with_capacity(64);
        for byte in Sha256::digest(&bytes) {
            // Writing to a string does not fail.
            let _ = write!(hash, "{byte:02X}");
        }
        Self { bytes, hash }
    }

    pub(super) fn json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }
}
