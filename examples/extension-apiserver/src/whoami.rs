//! A mirror for tests: what exactly arrived at the backend, after every proxy on the way.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::{Value, json};

use crate::identity::Identity;

/// The identity and all headers, by lower-case name, each with its values in order.
pub(crate) fn whoami(identity: &Identity, headers: &HeaderMap) -> Value {
    let mut received = BTreeMap::<&str, Vec<String>>::new();
    for (name, value) in headers {
        received
            .entry(name.as_str())
            .or_default()
            .push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let mut answer = json!(identity);
    answer["headers"] = json!(received);
    answer
}
