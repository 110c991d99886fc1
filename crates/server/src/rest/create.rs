//! create: decode, let plugins change the object, give it what the server owns, check and store it; the name is taken or
//! it is ours.

use detectviz_api::options::WriteKind;
use detectviz_api::{Status, meta};
use detectviz_core::http::{Body, Response};
use detectviz_storage::{Compare, KeyValue, Op, TxnOutcome};
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

use super::Call;
use super::change::{Attempt, bytes};
use super::metadata::wipe;
use super::object::served;
use super::write::{Draft, Write, Written, refuse_strictly};
use crate::admission::{Attributes, Operation, Options};
use crate::resource::Part;

/// How often a generated name is tried; upstream's bound.
const NAME_ATTEMPTS: usize = 8;
/// The greatest length of what a generated name begins with.
const MAX_GENERATE_NAME: usize = 58;
/// What generated suffixes are made of: no vowels and no digits that look like letters, as upstream's.
const SUFFIX: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) async fn create(call: Call, body: Body) -> Result<Response, Status> {
    let write = Write::new(&call, Part::Whole, WriteKind::Create)?;
    let output = call.output()?;
    let incoming = call.incoming(body, write.form).await?;
    let draft = write.draft(incoming.object, &incoming.duplicates, refuse_strictly(write.form))?;
    write.create(draft).await?.respond(&call, &output)
}

impl Write<'_> {
    /// Creates the object, under a generated name if it asks for one.
    async fn create(&self, mut draft: Draft) -> Result<Written, Status> {
        if !matches!(meta::resource_version(&draft.object), "" | "0") {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        self.begin(&mut draft.object)?;
        self.manage(None, &mut draft.object);
        self.mutate(Operation::Create, &mut draft, None).await?;
        let prefix = match meta::name(&draft.object) {
            "" => meta::field(&draft.object, "generateName").chars().take(MAX_GENERATE_NAME).collect(),
            _ => String::new(),
        };
        if prefix.is_empty() {
            return self.created(draft).await?.map_err(|taken| self.already_exists(&taken.0, &taken.1));
        }
        let mut taken = Status::internal("no name was tried");
        for _ in 0..NAME_ATTEMPTS {
            let mut candidate = draft.clone();
            set_name(&mut candidate.object, &format!("{prefix}{}", suffix()));
            match self.created(candidate).await? {
                Ok(written) => return Ok(written),
                Err((object, current)) => taken = self.already_exists(&object, &current),
            }
        }
        Err(taken)
    }

    /// Puts a new object into its namespace, and takes off it what a client cannot give.
    fn begin(&self, object: &mut Value) -> Result<(), Status> {
        self.call.place(object)?;
        wipe(object);
        self.drop_status(object);
        Ok(())
    }

    fn drop_status(&self, object: &mut Value) {
        if self.call.resource.has_status() {
            object.as_object_mut().map(|map| map.remove("status"));
        }
    }

    /// Stores a new object that has its name; or gives back what stands there.
    async fn created(&self, draft: Draft) -> Result<Result<Written, (Value, Option<KeyValue>)>, Status> {
        let object = draft.object.get("metadata").cloned().unwrap_or_default();
        match self.store_new(draft).await? {
            Attempt::Done(written) => Ok(Ok(written)),
            Attempt::Raced(current) => Ok(Err((object, current))),
        }
    }

    /// Creates an object by an update or an apply.
    pub(super) async fn create_absent(&self, mut draft: Draft, applied: bool) -> Result<Attempt, Status> {
        self.begin(&mut draft.object)?;
        if !applied {
            self.manage(None, &mut draft.object);
        }
        self.mutate(Operation::Create, &mut draft, None).await?;
        self.store_new(draft).await
    }

    async fn store_new(&self, mut draft: Draft) -> Result<Attempt, Status> {
        let resource = &self.call.resource;
        resource.begin(&mut draft.object);
        self.drop_status(&mut draft.object);
        resource.strategy.prepare_create(&mut draft.object);
        self.validate(&mut draft, None)?;
        self.admit(Operation::Create, &mut draft.object, None).await?;
        let key = self.call.key(meta::name(&draft.object));
        let code = StatusCode::CREATED;
        let Draft { object, warnings, .. } = draft;
        if self.options.dry_run {
            let current = resource.backend.store.get(&key, None).await.map_err(super::store_fault)?;
            return Ok(match current {
                Some(current) => Attempt::Raced(Some(current)),
                None => Attempt::Done(Written { code, json: bytes(&object), warnings }),
            });
        }
        let (key, name) = (Arc::<str>::from(key), meta::name(&object).to_owned());
        match self.put(Arc::clone(&key), Compare::Absent, object).await? {
            (TxnOutcome::Committed { revision, .. }, stored) => {
                self.confirm(key, &name, revision).await?;
                Ok(Attempt::Done(Written { code, json: served(stored, revision)?, warnings }))
            }
            (TxnOutcome::Conflict { current }, _) => Ok(Attempt::Raced(current)),
        }
    }

    /// Lets plugins look again at what was created at `revision`; what they refuse now is taken back.
    async fn confirm(&self, key: Arc<str>, name: &str, revision: u64) -> Result<(), Status> {
        let mut object = json!({"metadata": {"name": name}});
        let options = Options::Write(&self.options);
        let attributes = self.call.attributes(Operation::Create, &mut object, None, options);
        let Err(refusal) = self.call.resource.admission.created(&attributes, revision).await else {
            return Ok(());
        };
        let mut latest = revision;
        // Whoever saw it may have changed it; what was made anew since is checked on its own.
        loop {
            let txn = self.call.resource.txn(Arc::clone(&key), Compare::ModRevision(latest), Op::Delete);
            match self.call.resource.backend.store.txn(txn).await.map_err(super::store_fault)? {
                TxnOutcome::Conflict { current: Some(now) } if now.create_revision == revision => {
                    latest = now.mod_revision;
                }
                _ => return Err(refusal),
            }
        }
    }

    /// 409; of a generated name it says that another try may find a free one, of an object on its way out that it is.
    fn already_exists(&self, metadata: &Value, current: &Option<KeyValue>) -> Status {
        let gvr = &self.call.resource.gvr;
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let mut refusal = Status::already_exists(&gvr.group, &gvr.resource, text("name"));
        if !text("generateName").is_empty() {
            refusal.message.push_str(", the server was not able to generate a unique name for the object");
            refusal = refusal.retry_after(1);
        }
        let current = current.as_ref().and_then(|current| serde_json::from_slice(&current.value).ok());
        if current.is_some_and(|current: Value| meta::is_deleting(&current)) {
            refusal.message.insert_str(0, "object is being deleted: ");
        }
        refusal
    }
}

impl Call {
    pub(super) fn attributes<'a>(
        &'a self,
        operation: Operation,
        object: &'a mut Value,
        old: Option<&'a Value>,
        options: Options<'a>,
    ) -> Attributes<'a> {
        Attributes {
            info: &self.context.info,
            identity: &self.context.identity,
            operation,
            object,
            old,
            options,
        }
    }

    /// Puts the object into the namespace of the path, unless it says another one.
    pub(super) fn place(&self, object: &mut Value) -> Result<(), Status> {
        let Some(metadata) = meta::of_mut(object) else { return Ok(()) };
        if !self.resource.definition.is_namespaced() {
            metadata.remove("namespace");
            return Ok(());
        }
        let wanted = &self.info().namespace;
        match metadata.get("namespace").and_then(Value::as_str).unwrap_or_default() {
            "" => drop(metadata.insert("namespace".to_owned(), wanted.as_str().into())),
            given if given == wanted => {}
            _ => {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
        Ok(())
    }
}

fn set_name(object: &mut Value, name: &str) {
    if let Some(metadata) = meta::of_mut(object) {
        metadata.insert("name".to_owned(), name.into());
    }
}

fn suffix() -> String {
    let random = uuid::Uuid::new_v4();
    random
        .as_bytes()
        .iter()
        .take(5)
        .map(|byte| char::from(SUFFIX[usize::from(*byte) % SUFFIX.len()]))
        .collect()
}
