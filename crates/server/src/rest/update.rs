//! update, and what every change of an object has in common: read, change, admit, validate, compare and store; again
//! when somebody was faster and the caller did not insist on a version.

use detectviz_api::options::WriteOptions;
use detectviz_api::{Cause, Reason, Status, meta};
use detectviz_core::http::{Body, Response};
use detectviz_storage::{Compare, KeyValue, Op, TxnOutcome};
use http::StatusCode;
use serde_json::Value;

use super::body::Incoming;
use super::object::{parsed, stored, versioned};
use super::present::warn;
use super::{Call, store_fault};
use crate::admission::Operation;

/// How often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 10;

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

pub(super) async fn update(call: Call, body: Body, fields: Option<&[&str]>) -> Result<Response, Status> {
    let name = call.info().name.clone();
    if name.is_empty() {
        return Err(Status::method_not_allowed());
    }
    let options = WriteOptions::parse(&call.context.info.query)?;
    let output = call.output()?;
    let mut incoming = call.incoming(body).await?;
    call.check_name(&incoming.object)?;
    call.place(&mut incoming.object)?;
    let duplicates = std::mem::take(&mut incoming.duplicates);
    let sent = incoming.object;
    let changed =
        call.change(&name, fields, &options, &duplicates, &mut |old| call.versioned_update(&sent, old)).await;
    let may_create = call.resource.definition.extensions.allow_create_on_update && fields.is_none();
    let (code, (object, warnings)) = match changed {
        Err(fault) if fault.is(Reason::NotFound) && may_create => {
            let incoming = Incoming { object: sent.clone(), duplicates: duplicates.clone() };
            (StatusCode::CREATED, call.create_object(incoming, &options).await?)
        }
        changed => (StatusCode::OK, changed?),
    };
    let mut response = output.object(&call.resource, code, &object.to_string().into())?;
    warn(&mut response, &warnings);
    Ok(response)
}

impl Call {
    fn check_name(&self, object: &Value) -> Result<(), Status> {
        let wanted = &self.info().name;
        match meta::name(object) {
            "" => Err(Status::bad_request("the name of the object must be set in metadata.name")),
            given if given == wanted => Ok(()),
            given => Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({wanted})"
            ))),
        }
    }

    /// What was sent, if it says which version it changes or need not.
    fn versioned_update(&self, sent: &Value, old: &Value) -> Result<Value, Status> {
        let unconditional = self.resource.definition.extensions.allow_unconditional_update;
        if matches!(meta::resource_version(sent), "" | "0") && !unconditional {
            let cause = Cause {
                reason: "FieldValueInvalid".into(),
                message: "Invalid value: 0: must be specified for an update".into(),
                field: "metadata.resourceVersion".into(),
            };
            return Err(Status::invalid(
                &self.resource.gvr.group,
                self.resource.kind(),
                meta::name(old),
                vec![cause],
            ));
        }
        Ok(sent.clone())
    }

    /// Changes the object called `name` by `change`, which gets the present state with its version and returns the
    /// wanted one. Only `fields` are taken of a subresource. Returns the new state and warnings.
    pub(super) async fn change(
        &self,
        name: &str,
        fields: Option<&[&str]>,
        options: &WriteOptions,
        duplicates: &[String],
        change: &mut (dyn FnMut(&Value) -> Result<Value, Status> + Send),
    ) -> Result<(Value, Vec<String>), Status> {
        let mut current = self.present(name).await?;
        for _ in 0..ATTEMPTS {
            let old = parsed(&current)?;
            let wanted = change(&old)?;
            self.check_version(&wanted, &old)?;
            let (new, warnings) = self.admit(wanted, &old, fields, options, duplicates).await?;
            match self.store_change(&current, new, &old, options.dry_run).await? {
                Stored::Done(object) => return Ok((object, warnings)),
                Stored::Raced(now) => current = now,
            }
        }
        Err(self.conflict(name, MODIFIED))
    }

    /// The object called `name` as it is stored now.
    pub(super) async fn present(&self, name: &str) -> Result<KeyValue, Status> {
        let found = self.resource.backend.store.get(&self.key(name), None).await.map_err(store_fault)?;
        found.ok_or_else(|| self.resource.not_found(name))
    }

    fn check_version(&self, wanted: &Value, old: &Value) -> Result<(), Status> {
        let (expected, uid) = (meta::resource_version(wanted), meta::uid(wanted));
        if !uid.is_empty() && uid != meta::uid(old) {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta::uid(old)
            );
            return Err(self.conflict(meta::name(old), &why));
        }
        match expected {
            "" | "0" => Ok(()),
            version if version == meta::resource_version(old) => Ok(()),
            _ => Err(self.conflict(meta::name(old), MODIFIED)),
        }
    }

    async fn admit(
        &self,
        wanted: Value,
        old: &Value,
        fields: Option<&[&str]>,
        options: &WriteOptions,
        duplicates: &[String],
    ) -> Result<(Value, Vec<String>), Status> {
        let resource = &self.resource;
        let mut new = resource.successor(wanted, old, fields);
        if fields.is_none() {
            resource.strategy.prepare_update(&mut new, old);
        }
        let mut attributes = self.attributes(Operation::Update, &mut new, Some(old), options.dry_run);
        resource.admission.mutate(&mut attributes).await?;
        let special = |object: &Value| {
            let added = added_finalizers(object, old);
            if added.is_empty() { resource.strategy.validate_update(object, old) } else { added }
        };
        let warnings = resource.check(&mut new, duplicates, options.field_validation, special)?;
        resource.count_generation(&mut new, old);
        let attributes = self.attributes(Operation::Update, &mut new, Some(old), options.dry_run);
        resource.admission.validate(&attributes).await?;
        Ok((new, warnings))
    }

    async fn store_change(
        &self,
        current: &KeyValue,
        new: Value,
        old: &Value,
        dry_run: bool,
    ) -> Result<Stored, Status> {
        let released = meta::is_deleting(&new) && !self.resource.strategy.is_held(&new);
        let value = stored(&new);
        let unchanged = value == current.value && !released;
        if unchanged || dry_run {
            let version = meta::resource_version(old).parse().unwrap_or_default();
            return Ok(Stored::Done(versioned(new, version)));
        }
        // The last hold on a deleted object was let go: this update is its end.
        let op = if released { Op::Delete } else { Op::Put(value) };
        let txn = self.resource.txn(current.key.clone(), Compare::ModRevision(current.mod_revision), op);
        match self.resource.backend.store.txn(txn).await.map_err(store_fault)? {
            TxnOutcome::Committed { revision, .. } => Ok(Stored::Done(versioned(new, revision))),
            TxnOutcome::Conflict { current: Some(now) } => Ok(Stored::Raced(now)),
            TxnOutcome::Conflict { current: None } => Err(self.resource.not_found(meta::name(old))),
        }
    }

    pub(super) fn conflict(&self, name: &str, why: &str) -> Status {
        Status::conflict(&self.resource.gvr.group, &self.resource.gvr.resource, name, why)
    }
}

/// An object that is being deleted takes no new finalizers: it could be held for ever.
fn added_finalizers(object: &Value, old: &Value) -> Vec<Cause> {
    let finalizers = |object: &'_ Value| {
        object.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let before = finalizers(old);
    let added: Vec<String> =
        finalizers(object).iter().filter(|have| !before.contains(have)).map(ToString::to_string).collect();
    if !meta::is_deleting(old) || added.is_empty() {
        return Vec::new();
    }
    vec![Cause {
        reason: "FieldValueForbidden".into(),
        message: format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        ),
        field: "metadata.finalizers".into(),
    }]
}

enum Stored {
    Done(Value),
    Raced(KeyValue),
}
