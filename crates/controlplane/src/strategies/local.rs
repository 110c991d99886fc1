//! The line between what this server serves itself and what it may have others serve.

use detectviz_api::condition::Condition;
use detectviz_api::{Cause, GroupVersion};
use detectviz_core::Catalog;
use detectviz_core::catalog::Owner;
use serde_json::Value;

use super::causes::forbidden;
use super::text;

/// What is wrong with an object that gives the group-version in its `spec` to another server, said of `field`.
pub(super) fn taken(catalog: &Catalog, object: &Value, field: &str) -> Option<Cause> {
    let gv = GroupVersion::new(text(object, "/spec/group"), text(object, "/spec/version"));
    let is_local = catalog.snapshot().owner(&gv) == Some(Owner::Local);
    is_local.then(|| {
        let why =
            format!("{gv} is served by this server itself, as one of its built-in APIs, and by no other");
        forbidden(field, &why)
    })
}

/// What is true of every APIService without a service: upstream's words.
pub(crate) fn available() -> Condition {
    Condition::new("Available", true, "Local", "Local APIServices are always available")
}
