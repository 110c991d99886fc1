//! A replacement: what the client may not decide is carried over from the stored object before anything is compared.

use http::{Response, StatusCode};

use super::{Call, written};
use crate::flight::Flight;
use crate::respond::Body;
use crate::status::{Cause, Status};
use crate::store::Change;

/// PUT of one object: 404 where it does not exist, 409 for a stale `resourceVersion`. Without one it is unconditional.
pub(super) fn update(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let view = call.view()?;
    let key = call.key();
    let decoded = call.flight()?;
    let mut flight = decoded.flight;
    if flight.metadata.name.is_empty() {
        key.name.clone_into(&mut flight.metadata.name);
    }
    let stored = call.store.update(&key, call.dry_run()?, |current| {
        let current = current.ok_or_else(|| Status::not_found(&key.name))?;
        replace(current, flight.clone())
    })?;
    Ok(written(StatusCode::OK, view, &stored, &decoded.warnings))
}

/// Checks `next` against `current` and completes it. Removing the last finalizer of a dying object deletes it.
///
/// # Errors
/// 400 for another name, 409 for a stale version or another uid, 422 for an invalid object.
pub(super) fn replace(current: &Flight, mut next: Flight) -> Result<Change, Status> {
    let (old, new) = (&current.metadata, &mut next.metadata);
    if new.name != old.name || new.namespace != old.namespace {
        return Err(Status::bad_request(
            "the name of the object does not match the name on the URL, or its namespace",
        ));
    }
    if !new.resource_version.is_empty() && new.resource_version != old.resource_version {
        return Err(Status::conflict(&old.name));
    }
    check_uid(current, &new.uid)?;
    new.uid.clone_from(&old.uid);
    new.resource_version.clone_from(&old.resource_version);
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.generation = old.generation + i64::from(next.spec != current.spec);
    next.validate()?;
    check_finalizers(current, &next)?;
    let gone = next.metadata.deletion_timestamp.is_some() && next.metadata.finalizers.is_empty();
    Ok(if gone { Change::Delete } else { Change::Put(next.into()) })
}

/// Fails with 409 where `uid` is given and not that of `current`.
pub(super) fn check_uid(current: &Flight, uid: &str) -> Result<(), Status> {
    let stored = &current.metadata.uid;
    if uid.is_empty() || uid == stored {
        return Ok(());
    }
    let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}");
    Err(Status::precondition(&current.metadata.name, &why))
}

/// A dying object can only lose finalizers.
fn check_finalizers(current: &Flight, next: &Flight) -> Result<(), Status> {
    let added = |each: &&String| !current.metadata.finalizers.contains(*each);
    match next.metadata.finalizers.iter().find(added) {
        Some(added) if next.metadata.deletion_timestamp.is_some() => {
            let message = format!(
                "Forbidden: no new finalizers can be added if the object is being deleted, found {added:?}"
            );
            let cause =
                Cause { field: "metadata.finalizers".to_owned(), reason: "FieldValueForbidden", message };
            Err(Status::invalid(&next.metadata.name, &[cause]))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Flight {
        let mut flight = Flight::default();
        "a".clone_into(&mut flight.metadata.name);
        "default".clone_into(&mut flight.metadata.namespace);
        "u1".clone_into(&mut flight.metadata.uid);
        "7".clone_into(&mut flight.metadata.resource_version);
        flight.metadata.generation = 1;
        "TPE".clone_into(&mut flight.spec.origin);
        "NRT".clone_into(&mut flight.spec.destination);
        flight
    }

    fn check(change: impl FnOnce(&mut Flight)) -> Result<Change, u16> {
        let mut next = stored();
        change(&mut next);
        replace(&stored(), next).map_err(|status| status.code.as_u16())
    }

    #[test]
    fn only_a_new_spec_is_a_new_generation() {
        let generation = |change| match change {
            Ok(Change::Put(flight)) => flight.metadata.generation,
            other => panic!("{other:?}"),
        };
        assert_eq!(generation(check(|next| next.spec.gate = Some("A1".to_owned()))), 2);
        assert_eq!(generation(check(|next| next.metadata.finalizers.push("x".to_owned()))), 1);
    }

    #[test]
    fn stale_copies_and_other_objects_conflict() {
        assert_eq!(check(|next| "6".clone_into(&mut next.metadata.resource_version)).unwrap_err(), 409);
        assert_eq!(check(|next| "u2".clone_into(&mut next.metadata.uid)).unwrap_err(), 409);
        assert!(check(|next| next.metadata.resource_version.clear()).is_ok());
        assert_eq!(check(|next| "b".clone_into(&mut next.metadata.name)).unwrap_err(), 400);
    }

    #[test]
    fn the_last_finalizer_lets_a_dying_object_go() {
        let mut current = stored();
        current.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".to_owned());
        current.metadata.finalizers = vec!["x".to_owned()];
        let mut next = current.clone();
        next.metadata.finalizers.clear();
        assert!(matches!(replace(&current, next.clone()), Ok(Change::Delete)));
        next.metadata.finalizers = vec!["x".to_owned(), "y".to_owned()];
        assert!(replace(&current, next).is_err());
    }
}
