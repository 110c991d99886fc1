//! Reads: options × encodings, as tables. A row is a request and what has to come back; each table runs on every storage.

mod forms;
mod negotiation;
mod pages;
mod selectors;
mod streams;
mod versions;

use detectviz_tests::{Answer, Client};
use serde_json::Value;

/// What a refusal has to say: code and reason, and the whole message.
type Refusal<'a> = (u16, &'a str, &'a str);

/// GET of each path is refused as its row says.
fn refuse(client: &Client, rows: &[(&str, Refusal<'_>)]) {
    for (path, (code, reason, message)) in rows {
        let status = client.get(*path).refused(*code, reason);
        assert_eq!(status["message"], *message, "{path}");
    }
}

/// GET with an `Accept` header.
fn accept(client: &Client, path: &str, accept: &str) -> Answer {
    client.request("GET", path).header("Accept", accept).send()
}

/// The names of a list's items, joined.
fn joined(list: &Value) -> String {
    crate::support::names(list).join(",")
}
