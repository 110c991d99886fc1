//! Protobuf to JSON, led by the numbers that stand in the schema: no generated types, one walk for all kinds.
//!
//! Go's encoder writes every field that is no pointer, empty or not, while JSON leaves the empty ones out; so here an empty
//! text, a zero, `false` and an empty message are left out too, unless the schema calls the field `required`, or
//! `nullable`, by which a definition says that in Go it is a pointer.
//!
//! What a definition says, beside `x-protobuf-field`, is what JSON needs anyway: `format` is `date-time`, `micro-time`,
//! `duration`, `quantity` or `byte`; an object of any fields and no properties is JSON in `Raw`; a map's value that is a
//! list is a message around it (`ExtraValue`); and a number of two parts leads into a message that Go embeds.

mod message;
mod special;
mod wire;

use serde_json::Value;
use std::sync::{Arc, LazyLock};

use crate::CompiledVersion;
use crate::compile::compile_schema;
use crate::meta;
use crate::node::Node;
use crate::path::Path;
use wire::{Payload, Reader};

/// Why a protobuf body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read protobuf field {path:?}: {fault}")]
pub struct ProtobufError {
    /// The path of the field, such as `metadata.labels`; empty for the message as a whole.
    pub path: String,
    /// What is wrong there.
    pub fault: ProtobufFault,
}

/// What is wrong with a protobuf field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufFault {
    /// The four bytes before the envelope are missing.
    #[error("the body does not start with the four bytes \"k8s\\0\"")]
    Prefix,
    /// A length or a number reaches past the end.
    #[error("the input ends in the middle of it")]
    Truncated,
    /// A variable-length number has more than the ten bytes that 64 bits need, or more than 64 bits.
    #[error("a variable-length number does not fit 64 bits")]
    Overlong,
    /// A field's number is none.
    #[error("{0} is no field number; they go from 1 to 536870911")]
    FieldNumber(u64),
    /// A wire type that proto2 messages of the API never have.
    #[error("wire type {0} is not supported; supported are 0, 1, 2 and 5")]
    WireType(u8),
    /// A value that is encoded as another type than the schema's.
    #[error("encoded as {found}, must be {wanted}")]
    Mismatch {
        /// How it is encoded.
        found: &'static str,
        /// How it must be.
        wanted: &'static str,
    },
    /// A text that is no UTF-8.
    #[error("the text is not UTF-8")]
    Utf8,
    /// A time outside the years 0 to 9999.
    #[error("the time is outside the years 0 to 9999")]
    Time,
    /// A number that JSON cannot hold.
    #[error("the number is infinite or none, which JSON cannot hold")]
    NotFinite,
    /// Embedded JSON that is none.
    #[error("{0}")]
    Json(String),
    /// The message holds more values than are allowed.
    #[error("too many values, at most {0} are allowed")]
    TooMany(usize),
    /// An envelope whose content is something else than a protobuf message.
    #[error("{0:?} is not supported; it must be empty or application/vnd.kubernetes.protobuf")]
    Content(String),
}

impl ProtobufFault {
    fn at(self, path: &Path<'_>) -> ProtobufError {
        ProtobufError { path: path.to_string(), fault: self }
    }
}

/// What stands around every protobuf body: `runtime.Unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The `apiVersion`, such as `v1`.
    pub api_version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The object's own message, without `apiVersion` and `kind`.
    pub raw: &'a [u8],
}

/// Reads the envelope of a request's body.
///
/// # Errors
/// When `bytes` are no envelope, or one around something else than protobuf.
pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope<'_>, ProtobufError> {
    let Some(unknown) = bytes.strip_prefix(b"k8s\0") else {
        return Err(ProtobufFault::Prefix.at(&Path::Root));
    };
    let mut envelope = Envelope::default();
    for field in Reader::new(unknown) {
        let (number, payload) = field.map_err(|fault| fault.at(&Path::Root))?;
        let at = |name| move |fault: ProtobufFault| fault.at(&Path::Root.field(name));
        match number {
            1 => read_type(&mut envelope, payload).map_err(at("typeMeta"))?,
            2 => envelope.raw = payload.bytes().map_err(at("raw"))?,
            3 => check_content(payload, &[""]).map_err(at("contentEncoding"))?,
            4 => check_content(payload, &["", "application/vnd.kubernetes.protobuf"])
                .map_err(at("contentType"))?,
            _ => {}
        }
    }
    Ok(envelope)
}

fn read_type<'a>(envelope: &mut Envelope<'a>, payload: Payload<'a>) -> Result<(), ProtobufFault> {
    for field in Reader::new(payload.bytes()?) {
        match field? {
            (1, text) => envelope.api_version = text.text()?,
            (2, text) => envelope.kind = text.text()?,
            _ => {}
        }
    }
    Ok(())
}

fn check_content(payload: Payload<'_>, allowed: &[&str]) -> Result<(), ProtobufFault> {
    let text = payload.text()?;
    if allowed.contains(&text) { Ok(()) } else { Err(ProtobufFault::Content(text.to_owned())) }
}

impl CompiledVersion {
    /// Reads an object's message, the envelope's `raw`; the caller adds `apiVersion` and `kind`.
    ///
    /// # Errors
    /// Which field cannot be read, and why. Fields whose number the schema does not know are skipped.
    pub fn from_protobuf(&self, raw: &[u8]) -> Result<Value, ProtobufError> {
        message::decode(&self.root, raw)
    }
}

/// Reads the message of `meta/v1` `DeleteOptions`, the envelope's `raw`.
///
/// # Errors
/// Which field cannot be read, and why.
pub fn delete_options_from_protobuf(raw: &[u8]) -> Result<Value, ProtobufError> {
    static SCHEMA: LazyLock<Arc<Node>> = LazyLock::new(|| {
        compile_schema(&meta::delete_options())
            .expect("our own schema compiles, as the tests of this module show")
    });
    message::decode(&SCHEMA, raw)
}

#[cfg(test)]
mod tests;
