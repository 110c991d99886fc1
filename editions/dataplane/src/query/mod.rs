//! A query request and its answer as documents; nothing here calls anything.

pub(crate) mod answer;
pub(crate) mod decode;
pub(crate) mod fault;
pub(crate) mod model;
pub(crate) mod range;
