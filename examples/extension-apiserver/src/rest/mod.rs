//! The verbs of the resource: each takes a [`Call`] that is already authorized, and answers or fails with a status.

mod create;
mod delete;
mod patch;
mod read;
mod update;
mod view;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::flight::{Decoded, FieldValidation, Flight};
use crate::query::Query;
use crate::respond::{self, Body};
use crate::route::{Target, Verb};
use crate::status::Status;
use crate::store::{Key, Store};
use view::View;

pub(crate) use create::seed;

/// An authorized request for flights.
pub(crate) struct Call<'a> {
    /// The flights.
    pub(crate) store: &'a Arc<Store>,
    /// Cancelled when the server stops; watches end with it.
    pub(crate) shutdown: &'a CancellationToken,
    /// What the path names.
    pub(crate) target: Target<'a>,
    /// The decoded query.
    pub(crate) query: &'a Query,
    /// The request's headers.
    pub(crate) headers: &'a HeaderMap,
    /// The body, empty for reads.
    pub(crate) body: Bytes,
}

/// Does what the verb says.
///
/// # Errors
/// The status that the verb's own documentation names.
pub(crate) fn serve(verb: Verb, call: &Call<'_>) -> Result<Response<Body>, Status> {
    match verb {
        Verb::Get => read::get(call),
        Verb::List => read::list(call),
        Verb::Watch => watch::watch(call),
        Verb::Create => create::create(call),
        Verb::Update => update::update(call),
        Verb::Patch => patch::patch(call),
        Verb::Delete => delete::delete(call),
        Verb::DeleteCollection => delete::delete_collection(call),
    }
}

impl Call<'_> {
    /// The key of the named object; the router gives verbs that use it a namespace and a name.
    fn key(&self) -> Key {
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        Key { namespace: text(self.target.namespace), name: text(self.target.name) }
    }

    fn view(&self) -> Result<View, Status> {
        View::negotiate(self.headers, self.query)
    }

    /// Whether the request asks to keep nothing.
    fn dry_run(&self) -> Result<bool, Status> {
        match self.query.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Status::unprocessable(format!(
                "dryRun: Unsupported value: {other:?}: supported values: \"All\""
            ))),
        }
    }

    /// The media type of the body, without its parameters.
    fn media_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
    }

    fn json(&self) -> Result<Value, Status> {
        if !matches!(self.media_type(), "" | respond::JSON) {
            return Err(Status::unsupported_media_type(respond::JSON));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Status::bad_request(format!("decode body: {error}")))
    }

    fn flight(&self) -> Result<Decoded, Status> {
        let mut decoded = Flight::decode(self.json()?, FieldValidation::parse(self.query)?)?;
        let namespace = self.target.namespace.unwrap_or_default();
        let given = &mut decoded.flight.metadata.namespace;
        if !given.is_empty() && given != namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        namespace.clone_into(given);
        Ok(decoded)
    }
}

/// The answer to a write: the flight as it is now, and what was dropped on the way.
fn written(code: StatusCode, view: View, flight: &Flight, warnings: &[String]) -> Response<Body> {
    respond::with_warnings(respond::json(code, &view.object(flight)), warnings)
}
