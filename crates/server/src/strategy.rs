//! What a schema cannot say of a resource. Every method has a default: a strategy says only what is special.

use detectviz_api::{Cause, Identity, Status, meta};
use detectviz_schema::managed::Reset;
use serde_json::Value;
use std::time::Duration;

/// The special rules of one resource.
pub trait Strategy: Send + Sync {
    /// Brings an object that was just read into the form in which it is kept, before anybody's fields are counted:
    /// what upstream's defaults and conversions do beyond a schema.
    fn normalize(&self, object: &mut Value) {
        let _ = object;
    }

    /// Changes a new object before it is validated.
    fn prepare_create(&self, object: &mut Value) {
        let _ = object;
    }

    /// Changes an updated object before it is validated.
    fn prepare_update(&self, object: &mut Value, old: &Value) {
        let _ = (object, old);
    }

    /// What is wrong with a new object, beyond its schema.
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let _ = object;
        Vec::new()
    }

    /// What is wrong with an update, beyond its schema.
    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let _ = old;
        self.validate(object)
    }

    /// What to tell the client of an object that is valid.
    fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let _ = (object, old);
        Vec::new()
    }

    /// Whether the object may be deleted at all.
    ///
    /// # Errors
    /// The refusal.
    fn check_delete(&self, object: &Value) -> Result<(), Status> {
        let _ = object;
        Ok(())
    }

    /// Changes an object that is deleted, but which something still holds. Each delete comes by here.
    fn prepare_delete(&self, object: &mut Value) {
        let _ = object;
    }

    /// How many seconds an object that is deleted is given to end, when `asked` says how many the client wants. `None` for
    /// kinds that nothing runs for: they are not given any.
    fn grace_seconds(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        let _ = (object, asked);
        None
    }

    /// Whether dependents live on without their owner when the client that deletes it says nothing about them.
    fn orphans_by_default(&self) -> bool {
        false
    }

    /// What to tell a client that deletes and says nothing about dependents.
    fn warns_without_policy(&self) -> Option<&'static str> {
        None
    }

    /// Whether something still holds the object, so that a delete only marks it.
    fn is_held(&self, object: &Value) -> bool {
        meta::has_finalizers(object)
    }

    /// How long an object lasts after its last write; without it, until it is deleted. The store sees to it.
    fn lifetime(&self) -> Option<Duration> {
        None
    }

    /// Fills in what a computed resource answers `caller`, who asks by creating `object`; it was validated.
    ///
    /// # Errors
    /// The refusal.
    fn answer(&self, caller: &Identity, object: &mut Value) -> Result<(), Status> {
        let _ = (caller, object);
        Ok(())
    }

    /// Subresources, besides `status`, that write the named top-level fields and keep all else.
    fn writable_subresource(&self, subresource: &str) -> Option<&'static [&'static str]> {
        let _ = subresource;
        None
    }

    /// Whether a write of `subresource` takes labels, annotations and the other metadata that clients own.
    fn takes_metadata(&self, subresource: &str) -> bool {
        let _ = subresource;
        false
    }

    /// The fields that a write of `subresource` (empty for the object itself) does not take, hence does not own; `None` for
    /// those that the definition says.
    fn reset_fields(&self, subresource: &str) -> Option<Reset<'static>> {
        let _ = subresource;
        None
    }
}

/// Nothing special.
#[derive(Debug, Default)]
pub struct Plain;

impl Strategy for Plain {}
