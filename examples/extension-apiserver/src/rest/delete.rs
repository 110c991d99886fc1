//! Deletion is a request: finalizers hold the object back, preconditions say which object was meant.

use http::{Response, StatusCode};
use serde::Deserialize;

use super::{Call, update};
use crate::flight::{self, Flight};
use crate::respond::{self, Body};
use crate::selector::Filter;
use crate::status::{self, Status};
use crate::store::{Change, Key};

/// The part of `metav1.DeleteOptions` that means something here: nothing depends on a flight, and none dies slowly.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeleteOptions {
    preconditions: Option<Preconditions>,
    dry_run: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl DeleteOptions {
    fn read(call: &Call<'_>) -> Result<Self, Status> {
        if call.body.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_value(call.json()?)
            .map_err(|error| Status::bad_request(format!("decode DeleteOptions: {error}")))
    }

    fn dry_run(&self, call: &Call<'_>) -> Result<bool, Status> {
        let asked = self.dry_run.as_ref().is_some_and(|values| values.iter().any(|value| value == "All"));
        Ok(call.dry_run()? || asked)
    }

    fn check(&self, current: &Flight) -> Result<(), Status> {
        let Some(wanted) = &self.preconditions else { return Ok(()) };
        update::check_uid(current, wanted.uid.as_deref().unwrap_or_default())?;
        let stored = &current.metadata.resource_version;
        match &wanted.resource_version {
            Some(version) if version != stored => {
                let why = format!(
                    "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {stored}"
                );
                Err(Status::precondition(&current.metadata.name, &why))
            }
            _ => Ok(()),
        }
    }
}

/// DELETE of one object: answers with a `Status` once it is gone, with the object while finalizers hold it.
pub(super) fn delete(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let view = call.view()?;
    let options = DeleteOptions::read(call)?;
    let key = call.key();
    let flight =
        call.store.update(&key, options.dry_run(call)?, |current| request(current, &key, &options))?;
    let body =
        if flight.metadata.finalizers.is_empty() { status::deleted(&flight) } else { view.object(&flight) };
    Ok(respond::json(StatusCode::OK, &body))
}

/// DELETE of what the selectors match in one namespace; answers with those flights.
pub(super) fn delete_collection(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let view = call.view()?;
    let options = DeleteOptions::read(call)?;
    let dry_run = options.dry_run(call)?;
    let snapshot = call.store.list(&Filter::parse(call.target.namespace, call.query)?);
    for flight in &snapshot.flights {
        let metadata = &flight.metadata;
        let key = Key { namespace: metadata.namespace.clone(), name: metadata.name.clone() };
        match call.store.update(&key, dry_run, |current| request(current, &key, &options)) {
            // Somebody else was faster.
            Err(status) if status.code == StatusCode::NOT_FOUND => {}
            outcome => drop(outcome?),
        }
    }
    Ok(respond::json(StatusCode::OK, &view.list(&snapshot)))
}

fn request(current: Option<&Flight>, key: &Key, options: &DeleteOptions) -> Result<Change, Status> {
    let current = current.ok_or_else(|| Status::not_found(&key.name))?;
    options.check(current)?;
    if current.metadata.finalizers.is_empty() {
        return Ok(Change::Delete);
    }
    let mut dying = current.clone();
    dying.metadata.deletion_timestamp.get_or_insert_with(flight::now);
    dying.metadata.deletion_grace_period_seconds = Some(0);
    Ok(Change::Put(dying.into()))
}
