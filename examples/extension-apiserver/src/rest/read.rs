//! Reads are answered from the present, and a client that has seen more than the present is told to come back.

use http::{Response, StatusCode};

use super::Call;
use crate::query::Query;
use crate::respond::{self, Body};
use crate::selector::Filter;
use crate::status::Status;

/// GET of one object: 404 where it does not exist, 504 for a `resourceVersion` of the future.
pub(super) fn get(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let view = call.view()?;
    reached(call.query, call.store.revision())?;
    let key = call.key();
    let flight = call.store.get(&key).ok_or_else(|| Status::not_found(&key.name))?;
    Ok(respond::json(StatusCode::OK, &view.object(&flight)))
}

/// GET of a collection, whole: `limit` is not applied, which the API allows.
pub(super) fn list(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let view = call.view()?;
    if call.query.get("continue").is_some() {
        return Err(Status::bad_request(
            "continue key is not valid: lists are whole and no key was handed out",
        ));
    }
    let snapshot = call.store.list(&Filter::parse(call.target.namespace, call.query)?);
    let asked = reached(call.query, snapshot.revision)?;
    if call.query.get("resourceVersionMatch") == Some("Exact") && asked != Some(snapshot.revision) {
        return Err(Status::expired(asked.unwrap_or_default(), snapshot.revision));
    }
    Ok(respond::json(StatusCode::OK, &view.list(&snapshot)))
}

/// The `resourceVersion` that was asked for, once it is certain that `current` has reached it.
fn reached(query: &Query, current: u64) -> Result<Option<u64>, Status> {
    let asked = revision(query)?;
    if let Some(asked) = asked.filter(|asked| *asked > current) {
        return Err(Status::too_new(asked, current));
    }
    Ok(asked)
}

/// Reads the `resourceVersion` parameter.
///
/// # Errors
/// 400 where it is no number.
pub(super) fn revision(query: &Query) -> Result<Option<u64>, Status> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            Status::bad_request(format!("resourceVersion: Invalid value: {text:?}: not a number"))
        })
    };
    query.get("resourceVersion").map(parse).transpose()
}
