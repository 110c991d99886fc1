//! How this client wants to see flights, decided once a request and applied to objects, lists and events alike.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::flight::Flight;
use crate::negotiate::{self, Representation};
use crate::query::Query;
use crate::route::{GROUP, KIND, VERSION};
use crate::status::Status;
use crate::store::Snapshot;
use crate::table::{self, IncludeObject};

/// Marks the bookmark that ends a watch's initial state.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// A representation with its options.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    representation: Representation,
    include: IncludeObject,
}

impl View {
    /// Reads `Accept` and `includeObject`.
    pub(super) fn negotiate(headers: &HeaderMap, query: &Query) -> Result<Self, Status> {
        let offered = [Representation::Object, Representation::Table, Representation::Metadata];
        let representation = negotiate::accept(headers, &offered)?;
        Ok(Self { representation, include: IncludeObject::parse(query)? })
    }

    /// One flight.
    pub(super) fn object(self, flight: &Flight) -> Value {
        self.event(flight, true)
    }

    /// One flight of a watch, whose first table alone names the columns.
    pub(super) fn event(self, flight: &Flight, first: bool) -> Value {
        match self.representation {
            Representation::Table => {
                let revision = &flight.metadata.resource_version;
                table::table(std::iter::once(flight), revision, self.include, first)
            }
            Representation::Metadata => flight.to_partial_metadata(),
            Representation::Object | Representation::Discovery => flight.to_json(),
        }
    }

    /// A collection.
    pub(super) fn list(self, snapshot: &Snapshot) -> Value {
        let revision = snapshot.revision.to_string();
        let flights = snapshot.flights.iter().map(AsRef::as_ref);
        let (api_version, kind, items) = match self.representation {
            Representation::Table => return table::table(flights, &revision, self.include, true),
            Representation::Metadata => {
                let items = flights.map(Flight::to_partial_metadata).collect::<Vec<_>>();
                ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned(), items)
            }
            Representation::Object | Representation::Discovery => {
                (format!("{GROUP}/{VERSION}"), format!("{KIND}List"), flights.map(Flight::to_json).collect())
            }
        };
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"resourceVersion": revision}, "items": items})
    }

    /// The object of a bookmark: a revision, and whether the initial state ends with it.
    pub(super) fn bookmark(self, revision: u64, initial_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let partial =
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata});
        match self.representation {
            Representation::Table => json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": revision.to_string()},
                "columnDefinitions": null,
                "rows": [{"cells": ["", "", "", "", ""], "object": partial}],
            }),
            Representation::Metadata => partial,
            Representation::Object | Representation::Discovery => {
                json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND, "metadata": metadata,
                       "spec": {"origin": "", "destination": ""}})
            }
        }
    }
}
