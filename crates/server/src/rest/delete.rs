//! delete: at once when nothing holds the object, else marked, and gone with its last hold.

use detectviz_api::options::DeleteOptions;
use detectviz_api::{Status, meta};
use detectviz_core::http::{Body, Response};
use detectviz_storage::{Compare, KeyValue, Op, TxnOutcome};
use http::StatusCode;
use serde_json::Value;
use time::OffsetDateTime;

use super::ending::Ending;
use super::object::{parsed, stored, versioned};
use super::output::Output;
use super::present::warn;
use super::{Call, store_fault};
use crate::admission::{Operation, Options};

pub(super) async fn delete(call: Call, body: Body) -> Result<Response, Status> {
    let output = call.output()?;
    let options = call.delete_options(body).await?;
    let current = call.present(&call.info().name).await?;
    let deleted = call.end_object(current, &options).await?;
    let mut response = call.deleted(&output, &options, deleted)?;
    call.warn_without_policy(&options, &mut response);
    Ok(response)
}

/// What a delete came to.
pub(super) struct Deleted {
    /// The object as it is now, or was last.
    object: Value,
    /// Whether it is gone.
    gone: bool,
    /// Whether this delete marked it.
    marked: bool,
}

impl Call {
    /// Tells a client that said nothing about dependents what that means, where people expect something else.
    pub(super) fn warn_without_policy(&self, options: &DeleteOptions, response: &mut Response) {
        let is_said = options.propagation_policy.is_some() || options.orphan_dependents.is_some();
        if let Some(warning) = self.resource.strategy.warns_without_policy().filter(|_| !is_said) {
            warn(response, &[warning.to_owned()]);
        }
    }

    /// Deletes the object that was read as `current`, or as it is now if somebody was faster.
    pub(super) async fn end_object(
        &self,
        mut current: KeyValue,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        loop {
            let object = parsed(&self.resource, &current)?;
            self.check_preconditions(&object, options)?;
            self.admit_delete(&object, options).await?;
            let ending = self.resource.end(&object, options, OffsetDateTime::now_utc());
            let (object, op) = match ending {
                Ending::Pending => return Ok(Deleted { object, gone: false, marked: false }),
                Ending::Marked(object) => {
                    let value = stored(&self.resource, &object)?;
                    (object, (value != current.value).then_some(Op::Put(value)))
                }
                Ending::Gone(object) => (object, Some(Op::Delete)),
            };
            let gone = matches!(op, Some(Op::Delete));
            let (false, Some(op)) = (options.is_dry_run(), op) else {
                return Ok(Deleted { object, gone, marked: !gone });
            };
            match self.store_end(&current, op).await? {
                Ok(revision) => {
                    return Ok(Deleted { object: versioned(object, revision), gone, marked: !gone });
                }
                Err(now) => current = now,
            }
        }
    }

    /// Whether the object is the one that the client means. The resource stands in the singular, as upstream has it here.
    fn check_preconditions(&self, object: &Value, options: &DeleteOptions) -> Result<(), Status> {
        let wanted = options.preconditions.as_ref();
        let differs =
            |wanted: Option<&String>, found: &str| wanted.filter(|wanted| *wanted != found).cloned();
        let conflict = |why: String| {
            Err(Status::conflict(&self.resource.gvr.group, self.resource.kind(), meta::name(object), &why))
        };
        let uid = meta::uid(object);
        if let Some(expected) = differs(wanted.and_then(|wanted| wanted.uid.as_ref()), uid) {
            return conflict(format!(
                "the UID in the precondition ({expected}) does not match the UID in record ({uid}). The object might have been \
                 deleted and then recreated"
            ));
        }
        let version = meta::resource_version(object);
        if let Some(expected) = differs(wanted.and_then(|wanted| wanted.resource_version.as_ref()), version) {
            return conflict(format!(
                "the ResourceVersion in the precondition ({expected}) does not match the ResourceVersion in record \
                 ({version}). The object might have been modified"
            ));
        }
        Ok(())
    }

    async fn admit_delete(&self, object: &Value, options: &DeleteOptions) -> Result<(), Status> {
        self.resource.strategy.check_delete(object)?;
        let mut nothing = Value::Null;
        let mut attributes =
            self.attributes(Operation::Delete, &mut nothing, Some(object), Options::Delete(options));
        self.resource.admission.mutate(&mut attributes).await?;
        self.resource.admission.validate(&attributes).await
    }

    /// The revision of the deletion or mark; or the object as it is now, when somebody was faster.
    async fn store_end(&self, current: &KeyValue, op: Op) -> Result<Result<u64, KeyValue>, Status> {
        let txn = self.resource.txn(current.key.clone(), Compare::ModRevision(current.mod_revision), op);
        match self.resource.backend.store.txn(txn).await.map_err(store_fault)? {
            TxnOutcome::Committed { revision, .. } => Ok(Ok(revision)),
            TxnOutcome::Conflict { current: Some(now) } => Ok(Err(now)),
            TxnOutcome::Conflict { current: None } => {
                let name = current.key.rsplit('/').next().unwrap_or_default();
                Err(self.resource.not_found(name))
            }
        }
    }

    fn deleted(
        &self,
        output: &Output,
        options: &DeleteOptions,
        deleted: Deleted,
    ) -> Result<Response, Status> {
        let Deleted { object, gone, marked } = deleted;
        // Upstream says so only to those who ask in the old way.
        let code = match !gone && options.orphan_dependents == Some(false) {
            true => StatusCode::ACCEPTED,
            false => StatusCode::OK,
        };
        if marked || self.resource.definition.extensions.return_deleted_object {
            return output.object(&self.resource, code, &object.to_string().into());
        }
        let gvr = &self.resource.gvr;
        let status = Status::deleted(&gvr.group, &gvr.resource, meta::name(&object), meta::uid(&object));
        Ok(output.document(code, status.to_json().into()))
    }
}
