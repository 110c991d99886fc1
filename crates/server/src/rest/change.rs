//! Changing an object that may be there: read it, make what the client wants of it, check, compare and store; again when
//! somebody was faster and the client did not insist on a version.

use bytes::Bytes;
use detectviz_api::{Cause, Status, meta};
use detectviz_schema::managed::only_times_differ;
use detectviz_storage::{Compare, KeyValue, Op, StoreError, TxnOutcome};
use http::StatusCode;
use serde_json::Value;
use std::sync::Arc;

use super::apply::Config;
use super::object::{parsed, served};
use super::patch::Patch;
use super::write::{Draft, Write, Written, refuse_strictly};
use super::{Call, store_fault};
use crate::admission::Operation;
use crate::resource::Part;

/// How often a change is tried again when somebody else was faster. Upstream goes on until the request's time is over,
/// which bounds it here too: each round that is lost is a write that somebody won.
const ATTEMPTS: usize = 1000;

pub(super) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// What the client wants the object to be.
pub(super) enum Intent {
    /// This, whatever it was; with what is said of fields that stood twice.
    Replace(Value, Vec<String>),
    /// What it is, changed so.
    Patch(Patch),
    /// What it is, with these fields.
    Apply(Config),
    /// Nothing any more: a version was insisted on, and its one try was made.
    Spent,
}

/// How one try ended.
pub(super) enum Attempt {
    Done(Written),
    /// Somebody was faster: this is there now.
    Raced(Option<KeyValue>),
}

impl Intent {
    pub(super) fn is_apply(&self) -> bool {
        matches!(self, Self::Apply(_))
    }

    pub(super) fn is_spent(&self) -> bool {
        matches!(self, Self::Spent)
    }

    /// Whether an object that is not there is made.
    fn makes(&self, write: &Write<'_>) -> bool {
        let on_update = write.call.resource.definition.extensions.allow_create_on_update;
        write.part == Part::Whole && (self.is_apply() || on_update && matches!(self, Self::Replace(..)))
    }

    /// What `old` becomes, pruned, defaulted and held against its schema.
    pub(super) fn draft(&mut self, write: &Write<'_>, old: Option<&Value>) -> Result<Draft, Status> {
        match self {
            Self::Replace(object, duplicates) if matches!(meta::resource_version(object), "" | "0") => {
                write.draft(object.clone(), duplicates, refuse_strictly(write.form))
            }
            // Who insists on a version has one try, so that there is nothing to keep for another.
            Self::Replace(object, duplicates) => {
                let draft = write.draft(object.take(), duplicates, refuse_strictly(write.form));
                *self = Self::Spent;
                draft
            }
            Self::Spent => Err(write.call.conflict(&write.call.info().name, MODIFIED)),
            Self::Patch(patch) => match old {
                Some(old) => patch.draft(write, old),
                None => Err(write.call.resource.not_found(&write.call.info().name)),
            },
            Self::Apply(config) => config.draft(write, old),
        }
    }
}

impl Write<'_> {
    /// Does what `intent` says to the object that the path names.
    pub(super) async fn change(&self, mut intent: Intent) -> Result<Written, Status> {
        let name = &self.call.info().name;
        let makes = intent.makes(self);
        let mut current = self.call.find(name).await?;
        for _ in 0..ATTEMPTS {
            let attempt = match &current {
                Some(current) => self.change_present(&mut intent, current).await?,
                None if makes => {
                    let draft = self.absent(&mut intent)?;
                    self.create_absent(draft, intent.is_apply()).await?
                }
                None => return Err(self.call.resource.not_found(name)),
            };
            match attempt {
                Attempt::Done(written) => return Ok(written),
                Attempt::Raced(None) if !makes => return Err(self.call.resource.not_found(name)),
                Attempt::Raced(_) if intent.is_spent() => break,
                Attempt::Raced(now) => current = now,
            }
        }
        Err(self.call.conflict(name, MODIFIED))
    }

    fn absent(&self, intent: &mut Intent) -> Result<Draft, Status> {
        let draft = intent.draft(self, None)?;
        let uid = meta::uid(&draft.object);
        if !uid.is_empty() {
            let why = match intent {
                Intent::Apply(_) => {
                    format!(
                        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    )
                }
                _ => uid_mismatch(uid, ""),
            };
            return Err(self.call.conflict(&self.call.info().name, &why));
        }
        self.call.check_name(&draft.object)?;
        Ok(draft)
    }

    async fn change_present(&self, intent: &mut Intent, current: &KeyValue) -> Result<Attempt, Status> {
        let old = parsed(&self.call.resource, current)?;
        if let Intent::Replace(object, _) = &*intent {
            self.check_uid(object, &old)?;
            self.check_version(object, &old)?;
        }
        let mut draft = intent.draft(self, Some(&old))?;
        self.call.place(&mut draft.object)?;
        self.call.check_name(&draft.object)?;
        self.check_version(&draft.object, &old)?;
        self.keep_other_parts(&mut draft.object, &old);
        if !intent.is_apply() {
            self.manage(Some(&old), &mut draft.object);
        }
        self.mutate(Operation::Update, &mut draft, Some(&old)).await?;
        if self.call.resource.admission.mutates() {
            // What this write does not take, plugins cannot change by it either.
            self.keep_other_parts(&mut draft.object, &old);
        }
        self.settle(&mut draft, &old)?;
        self.admit(Operation::Update, &mut draft.object, Some(&old)).await?;
        let strip = !intent.is_apply();
        self.store_change(current, draft, &old, strip).await
    }

    /// Completes the new state of `old` by what the server and the strategy have to say, and checks it.
    pub(super) fn settle(&self, draft: &mut Draft, old: &Value) -> Result<(), Status> {
        let resource = &self.call.resource;
        resource.keep_system_metadata(&mut draft.object, old);
        if !matches!(self.part, Part::Fields(_)) {
            resource.strategy.prepare_update(&mut draft.object, old);
        }
        resource.count_generation(&mut draft.object, old);
        self.validate(draft, Some(old))?;
        if only_times_differ(old, &draft.object)
            && let Some(books) = old.pointer("/metadata/managedFields")
            && let Some(metadata) = meta::of_mut(&mut draft.object)
        {
            metadata.insert("managedFields".to_owned(), books.clone());
        }
        Ok(())
    }

    /// Of the object keeps what this write takes; all else is as in `old`.
    fn keep_other_parts(&self, object: &mut Value, old: &Value) {
        let resource = &self.call.resource;
        let Part::Fields(fields) = self.part else {
            if resource.has_status() {
                set(object, "status", old.get("status").cloned());
            }
            return;
        };
        let mut new = old.clone();
        for field in fields {
            set(&mut new, field, object.get_mut(*field).map(Value::take));
        }
        if resource.strategy.takes_metadata(&self.call.info().subresource) {
            set(&mut new, "metadata", object.get_mut("metadata").map(Value::take));
        } else if let (Some(metadata), Some(sent)) = (meta::of_mut(&mut new), meta::of_mut(object)) {
            match sent.remove("managedFields") {
                Some(books) => metadata.insert("managedFields".to_owned(), books),
                None => metadata.remove("managedFields"),
            };
        }
        *object = new;
    }

    fn check_uid(&self, wanted: &Value, old: &Value) -> Result<(), Status> {
        match meta::uid(wanted) {
            "" => Ok(()),
            uid if uid == meta::uid(old) => Ok(()),
            uid => Err(self.call.conflict(meta::name(old), &uid_mismatch(uid, meta::uid(old)))),
        }
    }

    /// Whether the wanted state says which version it changes, or need not.
    pub(super) fn check_version(&self, wanted: &Value, old: &Value) -> Result<(), Status> {
        let resource = &self.call.resource;
        match meta::resource_version(wanted) {
            "" | "0" if resource.definition.extensions.allow_unconditional_update => Ok(()),
            "" | "0" => {
                let cause = Cause {
                    reason: "FieldValueInvalid".into(),
                    message: "Invalid value: 0: must be specified for an update".into(),
                    field: "metadata.resourceVersion".into(),
                };
                let gvr = &resource.gvr;
                Err(Status::invalid(&gvr.group, &gvr.resource, meta::name(old), vec![cause]))
            }
            version if version == meta::resource_version(old) => Ok(()),
            _ => Err(self.call.conflict(meta::name(old), MODIFIED)),
        }
    }

    /// Stores the new state of `old`; `strip` lets go of the books if that makes it fit.
    pub(super) async fn store_change(
        &self,
        current: &KeyValue,
        draft: Draft,
        old: &Value,
        strip: bool,
    ) -> Result<Attempt, Status> {
        let Draft { mut object, warnings, .. } = draft;
        let done = |json| Ok(Attempt::Done(Written { code: StatusCode::OK, json, warnings }));
        let released = self.releases(&object, old);
        forget_version(&mut object);
        let value = bytes(&object);
        let is_same = self.call.resource.to_stored(value.clone())? == current.value;
        if self.options.dry_run || !released && is_same {
            return done(served(value, current.mod_revision)?);
        }
        let compare = Compare::ModRevision(current.mod_revision);
        let (outcome, stored) = if released {
            // The last hold on a deleted object was let go: this update is its end.
            let txn = self.call.resource.txn(current.key.clone(), compare, Op::Delete);
            (self.call.resource.backend.store.txn(txn).await.map_err(store_fault)?, value)
        } else {
            self.put_bytes(current.key.clone(), compare, value, strip.then_some(object)).await?
        };
        match outcome {
            TxnOutcome::Committed { revision, .. } => done(served(stored, revision)?),
            TxnOutcome::Conflict { current } => Ok(Attempt::Raced(current)),
        }
    }

    /// Whether this write lets go of the last hold on an object that is deleted and has no time left.
    fn releases(&self, new: &Value, old: &Value) -> bool {
        let grace = old.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
        meta::is_deleting(old) && grace.unwrap_or(0) == 0 && !self.call.resource.strategy.is_held(new)
    }

    /// Writes an object that is new.
    pub(super) async fn put(
        &self,
        key: Arc<str>,
        compare: Compare,
        mut object: Value,
    ) -> Result<(TxnOutcome, Bytes), Status> {
        forget_version(&mut object);
        let value = bytes(&object);
        self.put_bytes(key, compare, value, Some(object)).await
    }

    /// Writes `value`, in the stored form, and gives it back as it is served. What is too large is written without its books, if
    /// `object` is there to take them off.
    async fn put_bytes(
        &self,
        key: Arc<str>,
        compare: Compare,
        value: Bytes,
        object: Option<Value>,
    ) -> Result<(TxnOutcome, Bytes), Status> {
        let resource = &self.call.resource;
        let txn = resource.txn(Arc::clone(&key), compare, Op::Put(resource.to_stored(value.clone())?));
        match (resource.backend.store.txn(txn).await, object) {
            (Err(StoreError::TooLarge { .. }), Some(mut object)) => {
                if let Some(metadata) = meta::of_mut(&mut object) {
                    metadata.remove("managedFields");
                }
                let value = bytes(&object);
                let txn = resource.txn(key, compare, Op::Put(resource.to_stored(value.clone())?));
                Ok((resource.backend.store.txn(txn).await.map_err(store_fault)?, value))
            }
            (outcome, _) => Ok((outcome.map_err(store_fault)?, value)),
        }
    }
}

impl Call {
    /// The object called `name` as it is stored now, if it is.
    pub(super) async fn find(&self, name: &str) -> Result<Option<KeyValue>, Status> {
        self.resource.backend.store.get(&self.key(name), None).await.map_err(store_fault)
    }

    /// The object called `name` as it is stored now.
    pub(super) async fn present(&self, name: &str) -> Result<KeyValue, Status> {
        self.find(name).await?.ok_or_else(|| self.resource.not_found(name))
    }

    /// Refuses an object of another name than the path's.
    pub(super) fn check_name(&self, object: &Value) -> Result<(), Status> {
        let wanted = &self.info().name;
        match meta::name(object) {
            "" => Err(Status::bad_request(format!(
                "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
            ))),
            given if given == wanted => Ok(()),
            given => Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({wanted})"
            ))),
        }
    }

    pub(super) fn conflict(&self, name: &str, why: &str) -> Status {
        Status::conflict(&self.resource.gvr.group, &self.resource.gvr.resource, name, why)
    }
}

fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(map) = object.as_object_mut() else { return };
    match value {
        Some(value) => map.insert(field.to_owned(), value),
        None => map.remove(field),
    };
}

pub(super) fn uid_mismatch(wanted: &str, found: &str) -> String {
    format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}")
}

fn forget_version(object: &mut Value) {
    if let Some(metadata) = meta::of_mut(object) {
        metadata.remove("resourceVersion");
    }
}

/// The object as JSON.
pub(super) fn bytes(object: &Value) -> Bytes {
    object.to_string().into()
}
