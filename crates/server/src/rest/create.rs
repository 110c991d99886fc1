//! create: decode, own the metadata, admit, validate, store; the name is taken or it is ours.

use detectviz_api::options::WriteOptions;
use detectviz_api::{Status, meta};
use detectviz_core::http::{Body, Response};
use detectviz_storage::{Compare, Op, TxnOutcome};
use http::StatusCode;
use serde_json::Value;

use super::body::Incoming;
use super::object::{stored, versioned};
use super::present::warn;
use super::{Call, store_fault};
use crate::admission::{Attributes, Operation};

/// How often a generated name is tried; upstream's bound.
const NAME_ATTEMPTS: usize = 8;
/// The greatest length of what a generated name begins with.
const MAX_GENERATE_NAME: usize = 58;
/// What generated suffixes are made of: no vowels and no digits that look like letters, as upstream's.
const SUFFIX: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) async fn create(call: Call, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.context.info.query)?;
    let output = call.output()?;
    let incoming = call.incoming(body).await?;
    let (object, warnings) = call.create_object(incoming, &options).await?;
    let mut response = output.object(&call.resource, StatusCode::CREATED, &object.to_string().into())?;
    warn(&mut response, &warnings);
    Ok(response)
}

impl Call {
    /// Creates the object, under a generated name if it asks for one.
    pub(super) async fn create_object(
        &self,
        incoming: Incoming,
        options: &WriteOptions,
    ) -> Result<(Value, Vec<String>), Status> {
        let mut object = incoming.object;
        self.place(&mut object)?;
        if !matches!(meta::resource_version(&object), "" | "0") {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        self.resource.begin(&mut object);
        let prefix = match meta::name(&object) {
            "" => meta::field(&object, "generateName").chars().take(MAX_GENERATE_NAME).collect::<String>(),
            _ => String::new(),
        };
        let attempts = if prefix.is_empty() { 1 } else { NAME_ATTEMPTS };
        let mut taken = Status::internal("no name was tried");
        for _ in 0..attempts {
            let mut candidate = object.clone();
            if !prefix.is_empty() {
                set_name(&mut candidate, &format!("{prefix}{}", suffix()));
            }
            match self.store_new(candidate, &incoming.duplicates, options).await {
                Err(fault) if fault.is(detectviz_api::Reason::AlreadyExists) => taken = fault,
                other => return other,
            }
        }
        Err(taken)
    }

    async fn store_new(
        &self,
        mut object: Value,
        duplicates: &[String],
        options: &WriteOptions,
    ) -> Result<(Value, Vec<String>), Status> {
        let resource = &self.resource;
        resource.strategy.prepare_create(&mut object);
        let mut attributes = self.attributes(Operation::Create, &mut object, None, options.dry_run);
        resource.admission.mutate(&mut attributes).await?;
        let special = |object: &Value| resource.strategy.validate(object);
        let warnings = resource.check(&mut object, duplicates, options.field_validation, special)?;
        let attributes = self.attributes(Operation::Create, &mut object, None, options.dry_run);
        resource.admission.validate(&attributes).await?;
        let key = self.key(meta::name(&object));
        if options.dry_run {
            return match self.cached(meta::name(&object)) {
                Some(_) => Err(self.already_exists(&object)),
                None => Ok((object, warnings)),
            };
        }
        let txn = resource.txn(key, Compare::Absent, Op::Put(stored(&object)));
        match resource.backend.store.txn(txn).await.map_err(store_fault)? {
            TxnOutcome::Committed { revision, .. } => Ok((versioned(object, revision), warnings)),
            TxnOutcome::Conflict { .. } => Err(self.already_exists(&object)),
        }
    }

    pub(super) fn attributes<'a>(
        &'a self,
        operation: Operation,
        object: &'a mut Value,
        old: Option<&'a Value>,
        dry_run: bool,
    ) -> Attributes<'a> {
        Attributes {
            info: &self.context.info,
            identity: &self.context.identity,
            operation,
            object,
            old,
            dry_run,
        }
    }

    /// Puts the object into the namespace of the path, unless it says another one.
    pub(super) fn place(&self, object: &mut Value) -> Result<(), Status> {
        if !self.resource.definition.is_namespaced() {
            return Ok(());
        }
        let wanted = &self.info().namespace;
        match meta::namespace(object) {
            "" => {
                if let Some(metadata) = meta::of_mut(object) {
                    metadata.insert("namespace".to_owned(), wanted.as_str().into());
                }
                Ok(())
            }
            given if given == wanted => Ok(()),
            given => Err(Status::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request: {given:?}, {wanted:?}"
            ))),
        }
    }

    fn already_exists(&self, object: &Value) -> Status {
        let gvr = &self.resource.gvr;
        Status::already_exists(&gvr.group, &gvr.resource, meta::name(object))
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
