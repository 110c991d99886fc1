//! delete: at once when nothing holds the object, else marked, and gone with its last hold.

use detectviz_api::options::DeleteOptions;
use detectviz_api::{Status, meta, timestamp};
use detectviz_core::http::{Body, Response};
use detectviz_storage::{Compare, KeyValue, Op, TxnOutcome};
use http::StatusCode;
use serde_json::Value;

use super::object::{parsed, stored, versioned};
use super::output::Output;
use super::{Call, store_fault};
use crate::admission::{Operation, Options};

pub(super) async fn delete(call: Call, body: Body) -> Result<Response, Status> {
    let output = call.output()?;
    let options = call.delete_options(body).await?;
    let name = call.info().name.clone();
    let mut current = call.present(&name).await?;
    loop {
        let object = parsed(&call.resource, &current)?;
        call.check_delete(&object, &options).await?;
        let marked = call.marked(&object);
        if options.is_dry_run() {
            return call.deleted(&output, &object, marked);
        }
        match call.store_delete(&current, marked.as_ref()).await? {
            Ok(revision) => {
                let marked = marked.map(|object| versioned(object, revision));
                return call.deleted(&output, &object, marked);
            }
            Err(now) => current = now,
        }
    }
}

impl Call {
    async fn check_delete(&self, object: &Value, options: &DeleteOptions) -> Result<(), Status> {
        let name = meta::name(object);
        let wanted = options.preconditions.clone().unwrap_or_default();
        let (uid, version) = (meta::uid(object), meta::resource_version(object));
        if let Some(expected) = wanted.uid.filter(|expected| expected != uid) {
            let why =
                format!("Precondition failed: UID in precondition: {expected}, UID in object meta: {uid}");
            return Err(self.conflict(name, &why));
        }
        if let Some(expected) = wanted.resource_version.filter(|expected| expected != version) {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {expected}, ResourceVersion in object meta: {version}"
            );
            return Err(self.conflict(name, &why));
        }
        self.resource.strategy.check_delete(object)?;
        let mut nothing = Value::Null;
        let mut attributes =
            self.attributes(Operation::Delete, &mut nothing, Some(object), Options::Delete(options));
        self.resource.admission.mutate(&mut attributes).await?;
        self.resource.admission.validate(&attributes).await
    }

    /// The object with its deletion marked, if something holds it.
    fn marked(&self, object: &Value) -> Option<Value> {
        if !self.resource.strategy.is_held(object) {
            return None;
        }
        let mut object = object.clone();
        if !meta::is_deleting(&object) {
            if let Some(metadata) = meta::of_mut(&mut object) {
                metadata.insert("deletionTimestamp".to_owned(), timestamp::now().into());
                metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
            }
            self.resource.strategy.prepare_delete(&mut object);
        }
        Some(object)
    }

    /// The revision of the deletion or mark; or the object as it is now, when somebody was faster.
    async fn store_delete(
        &self,
        current: &KeyValue,
        marked: Option<&Value>,
    ) -> Result<Result<u64, KeyValue>, Status> {
        let op = match marked {
            None => Op::Delete,
            Some(object) => Op::Put(stored(&self.resource, object)?),
        };
        if let Op::Put(value) = &op
            && *value == current.value
        {
            return Ok(Ok(current.mod_revision));
        }
        let txn = self.resource.txn(current.key.clone(), Compare::ModRevision(current.mod_revision), op);
        match self.resource.backend.store.txn(txn).await.map_err(store_fault)? {
            TxnOutcome::Committed { revision, .. } => Ok(Ok(revision)),
            TxnOutcome::Conflict { current: Some(now) } => Ok(Err(now)),
            TxnOutcome::Conflict { current: None } => Err(self.resource.not_found(&self.info().name)),
        }
    }

    fn deleted(&self, output: &Output, object: &Value, marked: Option<Value>) -> Result<Response, Status> {
        if let Some(marked) = marked {
            return output.object(&self.resource, StatusCode::OK, &marked.to_string().into());
        }
        let gvr = &self.resource.gvr;
        let gone = Status::deleted(&gvr.group, &gvr.resource, meta::name(object), meta::uid(object));
        Ok(output.document(StatusCode::OK, gone.to_json().into()))
    }
}
