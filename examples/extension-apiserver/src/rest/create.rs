//! A new object: the client names it or gives a prefix, the server decides everything else in its metadata.

use http::{Response, StatusCode};
use uuid::Uuid;

use super::{Call, written};
use crate::flight::{self, Flight, FlightSpec};
use crate::respond::Body;
use crate::status::{Cause, Status};
use crate::store::{Change, Key, Store};

/// Letters and digits that spell no words, for generated names.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many letters a generated name gets.
const SUFFIX: usize = 5;
/// How many characters of a prefix a generated name keeps.
const PREFIX: usize = 248;
/// How many generated names are tried.
const ATTEMPTS: usize = 8;

/// POST to a namespace: 409 where the name is taken, 422 where the object is invalid.
pub(super) fn create(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let view = call.view()?;
    let decoded = call.flight()?;
    let mut flight = decoded.flight;
    if !flight.metadata.resource_version.is_empty() {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    initialize(&mut flight);
    let stored = store(call.store, &flight, call.dry_run()?)?;
    Ok(written(StatusCode::CREATED, view, &stored, &decoded.warnings))
}

fn initialize(flight: &mut Flight) {
    let metadata = &mut flight.metadata;
    metadata.uid = Uuid::new_v4().to_string();
    metadata.generation = 1;
    metadata.creation_timestamp = Some(flight::now());
    metadata.deletion_timestamp = None;
    metadata.deletion_grace_period_seconds = None;
}

fn store(store: &Store, flight: &Flight, dry_run: bool) -> Result<std::sync::Arc<Flight>, Status> {
    let generated = flight.metadata.name.is_empty();
    let mut taken = Status::already_exists(&flight.metadata.name);
    for _ in 0..if generated { ATTEMPTS } else { 1 } {
        let mut candidate = flight.clone();
        if generated {
            candidate.metadata.name = generate(&flight.metadata.generate_name)?;
        }
        candidate.validate()?;
        let key =
            Key { namespace: candidate.metadata.namespace.clone(), name: candidate.metadata.name.clone() };
        if store.get(&key).is_none() {
            return store.update(&key, dry_run, |current| match current {
                None => Ok(Change::Put(candidate.clone().into())),
                Some(_) => Err(Status::already_exists(&key.name)),
            });
        }
        taken = Status::already_exists(&key.name);
    }
    Err(taken)
}

fn generate(prefix: &str) -> Result<String, Status> {
    if prefix.is_empty() {
        let message = "Required value: name or generateName is required".to_owned();
        let cause = Cause { field: "metadata.name".to_owned(), reason: "FieldValueRequired", message };
        return Err(Status::invalid("", &[cause]));
    }
    let random = Uuid::new_v4();
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    let suffix = random.as_bytes().iter().take(SUFFIX).map(letter);
    Ok(prefix.chars().take(PREFIX).chain(suffix).collect())
}

/// Puts three flights into the namespace `default`.
///
/// # Errors
/// None in an empty store.
pub(crate) fn seed(into: &Store) -> Result<(), Status> {
    for (name, origin, destination, gate) in [
        ("ci-101", "TPE", "NRT", Some("A5")),
        ("br-198", "TPE", "NRT", Some("C3")),
        ("jx-800", "TPE", "KIX", None),
    ] {
        let mut flight = Flight {
            spec: FlightSpec {
                origin: origin.to_owned(),
                destination: destination.to_owned(),
                gate: gate.map(str::to_owned),
            },
            ..Flight::default()
        };
        name.clone_into(&mut flight.metadata.name);
        "default".clone_into(&mut flight.metadata.namespace);
        initialize(&mut flight);
        store(into, &flight, false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_their_prefix_and_are_valid() {
        let name = generate("ci-").unwrap();
        assert!(name.starts_with("ci-") && name.len() == 8, "{name}");
        assert!(generate("").is_err());
        assert_eq!(generate(&"a".repeat(300)).unwrap().len(), 253);
    }

    #[test]
    fn a_taken_name_is_refused() {
        let store = Store::new();
        seed(&store).unwrap();
        assert!(seed(&store).unwrap_err().to_string().contains("\"ci-101\" already exists"));
    }
}
